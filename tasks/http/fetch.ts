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
  description: "Fetches an address over HTTP if it has changed, tells its checksum, and keeps its text or stores it in a file.",
  payload: z.strictObject({
    url: plainAddress.describe("The address. One that is not public has to be in LEGWORK_ALLOWED_ADDRESSES."),
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
      .describe("What an earlier fetch has told: not sent again if it still is."),
    lastModified: z
      .string()
      .max(100)
      .regex(/^[\x20-\x7e]+$/)
      .optional()
      .describe("What an earlier fetch has told, likewise."),
    checksum: z
      .string()
      .regex(/^[0-9a-f]{64}$/, "expected a SHA-256 in hex")
      .optional()
      .describe("The SHA-256 that an earlier fetch has told: the same content has not changed, whatever the server says."),
    maxBytes: z.int().min(1).max(1_000_000_000).default(1_000_000).describe("The most that is read, unpacked."),
    timeout: timeLimit("30s").default("30s").describe("How long all of it may take."),
    redirects: z.int().min(0).max(MOST_REDIRECTS).default(MOST_REDIRECTS).describe("How many redirects are followed."),
    keep: z
      .enum(["text", "nothing"])
      .default("text")
      .describe("Whether the text is in the result, up to 240 KiB of it. Not when it goes into a file."),
    into: z
      .strictObject({ folder: folderPath, name: fileName })
      .optional()
      .describe("A file to store it in, in place of one that is there; in one of LEGWORK_ALLOWED_FOLDERS or below."),
  }),
  result: z.strictObject({
    changed: z.boolean().describe("False when the server says so, or the checksum is the same: nothing is kept then."),
    status: z.int(),
    url: z.string().describe("Where it came from, after redirects, without credentials and query."),
    checksum: z.string().optional().describe("SHA-256 of what was read."),
    bytes: z.int(),
    contentType: z.string().optional(),
    etag: z.string().optional(),
    lastModified: z.string().optional(),
    text: z.string().optional(),
    truncated: z.boolean().optional().describe("Whether the text is longer than what is kept."),
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
      // Said before anything is read; a server that says less than it sends is stopped at the limit.
      const announced = Number(answer.headers.get("content-length") ?? 0);
      if (announced > maxBytes) throw new PayloadError(`The answer is larger than ${maxBytes} bytes.`);
      const hash = createHash("sha256");
      const kept: Uint8Array[] = [];
      let bytes = 0;
      let room = folder === undefined && payload.keep === "text" ? RESULT_TEXT_BYTES : 0;
      // Under a name of its own until it is whole.
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
        // Postgres stores no NUL in a text.
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
