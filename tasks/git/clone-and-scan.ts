import { lstat } from "node:fs/promises";
import { extname, join, matchesGlob } from "node:path";
import { defineTask } from "legwork";
import { z } from "zod";
import { withClone } from "../@lib/clone.ts";
import { listFiles, readText } from "../@lib/clone-files.ts";
import { Folder } from "../@lib/folder.ts";
import { hidingSecrets } from "../@lib/hide-secrets.ts";
import { parseRepositoryUrl } from "../@lib/repository-url.ts";
import { jsonBytes, RESULT_TEXT_BYTES } from "../@lib/result-text.ts";
import { setting } from "../@lib/settings.ts";
import { millisecondsOf, timeLimit } from "../@lib/time-limit.ts";

/** The maximum number of files, and of kinds of files, that are listed. */
const SHOWN = 200;

/** The maximum size of the texts in a result (bytes). The rest of the result's limit is for the paths of 200 files. */
const TEXTS_BYTES = RESULT_TEXT_BYTES - 64 * 1024;

export default defineTask({
  description: "Clones the newest commit of a git repository, reports its contents, and always removes the clone.",
  payload: z.strictObject({
    url: z
      .string()
      .min(1)
      .max(2_000)
      .describe(
        "https://, ssh:// or user@host:path. LEGWORK_GIT_PROTOCOLS lists the allowed protocols; file:// also needs LEGWORK_ALLOWED_FOLDERS.",
      ),
    matching: z
      .array(z.string().min(1).max(500))
      .max(50)
      .default([])
      .describe("The files to list, as globs for their paths: PLAN.md, **/package.json. The first 200 matches are listed."),
    texts: z
      .boolean()
      .default(false)
      .describe("Whether to include the texts of matching files: each file up to 256 KiB, 176 KiB in total."),
    maxBytes: z.int().min(1).max(10_000_000_000).default(500_000_000).describe("The largest size of the clone (bytes)."),
    timeout: timeLimit("5m").default("5m").describe("The time limit for cloning, such as 5m."),
  }),
  result: z.strictObject({
    repository: z.string().describe("The repository's URL without credentials."),
    commit: z.string().nullable().describe("Null for a repository without a commit."),
    files: z.int().describe("The number of files, at most 20,000, without .git and the usual folders for third-party code."),
    bytes: z.int(),
    kinds: z
      .array(z.strictObject({ extension: z.string(), files: z.int(), bytes: z.int() }))
      .describe("Files by extension; the extension with the most files first."),
    matches: z.array(z.strictObject({ path: z.string(), bytes: z.int(), text: z.string().optional() })),
    truncated: z.boolean().describe("Whether matches or texts were left out."),
  }),
  // The URL may contain credentials.
  redact: ["url"],
  async run(payload, { signal }) {
    const repository = parseRepositoryUrl(payload.url);
    const { path } = repository;
    if (path !== undefined && setting("LEGWORK_GIT_PROTOCOLS")?.includes("file") === true) {
      await (await Folder.open("url", path)).close();
    }
    const { username, password } = repository.credentials ?? {};
    const options = {
      signal,
      protocols: setting("LEGWORK_GIT_PROTOCOLS") ?? (["https", "ssh"] as const),
      guarded: true,
      timeLimit: millisecondsOf(payload.timeout),
      maxBytes: payload.maxBytes,
    };
    return await hidingSecrets([username, password], async () =>
      withClone(payload.url, options, async ({ directory, commit }) => {
        const paths = await listFiles(directory, signal);
        const kinds = new Map<string, { extension: string; files: number; bytes: number }>();
        const matches: { path: string; bytes: number; text?: string }[] = [];
        let bytes = 0;
        let truncated = false;
        let room = payload.texts ? TEXTS_BYTES : 0;
        for (const path of paths) {
          signal.throwIfAborted();
          // A file whose name is not UTF-8 cannot be opened by its listed name.
          const size = (await lstat(join(directory, path)).catch(() => undefined))?.size ?? 0;
          bytes += size;
          const extension = extname(path).toLowerCase();
          const kind = kinds.get(extension) ?? { extension, files: 0, bytes: 0 };
          kinds.set(extension, { extension, files: kind.files + 1, bytes: kind.bytes + size });
          if (!payload.matching.some((glob) => matchesGlob(path, glob))) continue;
          if (matches.length === SHOWN) {
            truncated = true;
            continue;
          }
          const text = payload.texts ? (await readText(directory, path))?.replaceAll("\0", "\u{fffd}") : undefined;
          const fits = text !== undefined && jsonBytes(text) <= room;
          if (fits) room -= jsonBytes(text);
          else if (payload.texts) truncated = true;
          matches.push({ path, bytes: size, ...(fits ? { text } : {}) });
        }
        const most = [...kinds.values()].toSorted((left, right) => right.files - left.files).slice(0, SHOWN);
        return { repository: repository.shown, commit, files: paths.length, bytes, kinds: most, matches, truncated };
      }),
    );
  },
});
