import { createHash } from "node:crypto";
import { defineTask, PayloadError } from "legwork";
import { z } from "zod";
import { assertAnswered } from "../@lib/assert-answered.ts";
import { fileName, Folder, folderPath, ignore } from "../@lib/folder.ts";
import { guardedFetch, MOST_REDIRECTS, plainAddress, shown } from "../@lib/guarded-fetch.ts";
import { hidingSecrets, secretsOf } from "../@lib/hide-secrets.ts";
import { fitting, RESULT_TEXT_BYTES } from "../@lib/result-text.ts";
import { millisecondsOf, timeLimit } from "../@lib/time-limit.ts";

export default defineTask({
  description: "Fetches a URL if its content has changed, returns the checksum, and returns the text or stores it in a file.",
  payload: z.strictObject({
    url: plainAddress.describe("The URL. A host that is not public must be in LEGWORK_ALLOWED_ADDRESSES."),
    accept: z
      .string()
      .max(500)
      .regex(/^[\x20-\x7e]*$/)
      .optional()
      .describe("The Accept header."),
    etag: z
      .string()
      .max(500)
      .regex(/^[\x21-\x7e ]+$/)
      .optional()
      .describe("The etag of an earlier result. The server does not send the same content again."),
    lastModified: z
      .string()
      .max(100)
      .regex(/^[\x20-\x7e]+$/)
      .optional()
      .describe("The lastModified of an earlier result. The server sends the content only if it has changed since."),
    checksum: z
      .string()
      .regex(/^[0-9a-f]{64}$/, "expected a SHA-256 in hex")
      .optional()
      .describe(
        "The checksum of an earlier result. The same content counts as unchanged, regardless of what the server reports.",
      ),
    maxBytes: z
      .int()
      .min(1)
      .max(1_000_000_000)
      .default(1_000_000)
      .describe("The maximum size of the decompressed response (bytes)."),
    timeout: timeLimit("30s").default("30s").describe("The time limit for the whole request."),
    redirects: z.int().min(0).max(MOST_REDIRECTS).default(MOST_REDIRECTS).describe("How many redirects to follow."),
    keep: z
      .enum(["text", "nothing"])
      .default("text")
      .describe("text: the result contains the text, up to 240 KiB. Ignored if the text is stored in a file."),
    into: z
      .strictObject({ folder: folderPath, name: fileName })
      .optional()
      .describe("A file to store the text in, in one of LEGWORK_ALLOWED_FOLDERS or a subfolder. An existing file is replaced."),
  }),
  result: z.strictObject({
    changed: z
      .boolean()
      .describe(
        "False if the server reports no change or the checksum is the same. The text is then neither returned nor stored.",
      ),
    status: z.int(),
    url: z.string().describe("The final URL after redirects, without credentials and query."),
    checksum: z.string().optional().describe("The SHA-256 of the content, in hex."),
    bytes: z.int(),
    contentType: z.string().optional(),
    etag: z.string().optional(),
    lastModified: z.string().optional(),
    text: z.string().optional(),
    truncated: z.boolean().optional().describe("Whether the text was cut off."),
  }),
  async run(payload, { job, signal }) {
    const { url, maxBytes, into } = payload;
    const limited = AbortSignal.any([signal, AbortSignal.timeout(millisecondsOf(payload.timeout))]);
    await using folder = into === undefined ? undefined : await Folder.open("into.folder", into.folder, { create: true });
    return await hidingSecrets(secretsOf(url), async () => {
      const headers: Record<string, string> = {};
      if (payload.accept !== undefined) headers.accept = payload.accept;
      if (payload.etag !== undefined) headers["if-none-match"] = payload.etag;
      if (payload.lastModified !== undefined) headers["if-modified-since"] = payload.lastModified;
      await using answer = await guardedFetch(url, { headers, redirects: payload.redirects, signal: limited });
      const found = {
        status: answer.status,
        url: shown(answer.url),
        contentType: answer.headers.get("content-type") ?? undefined,
        etag: answer.headers.get("etag") ?? undefined,
        lastModified: answer.headers.get("last-modified") ?? undefined,
      };
      if (answer.status === 304) return { ...found, changed: false, checksum: payload.checksum, bytes: 0 };
      assertAnswered(answer, shown(answer.url));
      // Checked before anything is read. If the server sends more than it announced, reading stops at the limit.
      const announced = Number(answer.headers.get("content-length") ?? 0);
      if (announced > maxBytes) throw new PayloadError(`The response is larger than ${maxBytes} bytes.`);
      const hash = createHash("sha256");
      const kept: Uint8Array[] = [];
      let bytes = 0;
      let room = folder === undefined && payload.keep === "text" ? RESULT_TEXT_BYTES : 0;
      // Written under a temporary name until it is complete.
      const partial = `.partial-${job.id}-${into?.name}`;
      await folder?.removeFile(partial).catch(ignore("ENOENT"));
      const file = await folder?.createFile(partial);
      try {
        for await (const chunk of answer.chunks(maxBytes)) {
          hash.update(chunk);
          bytes += chunk.length;
          if (room > 0) kept.push(chunk.subarray(0, room));
          room -= chunk.length;
          await file?.writeFile(chunk);
        }
        const checksum = hash.digest("hex");
        if (checksum === payload.checksum) return { ...found, changed: false, checksum, bytes };
        if (folder !== undefined && into !== undefined) {
          await file?.sync();
          await folder.rename(partial, into.name);
          return { ...found, changed: true, checksum, bytes };
        }
        if (payload.keep === "nothing") return { ...found, changed: true, checksum, bytes };
        // Postgres cannot store NUL characters in text.
        const whole = new TextDecoder().decode(Buffer.concat(kept)).replaceAll("\0", "\u{fffd}");
        const text = fitting(whole, RESULT_TEXT_BYTES);
        return { ...found, changed: true, checksum, bytes, text, truncated: room < 0 || text.length < whole.length };
      } finally {
        await file?.close();
        await folder?.removeFile(partial).catch(ignore("ENOENT"));
      }
    });
  },
});
