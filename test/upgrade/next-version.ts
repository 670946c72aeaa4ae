import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readSchemaFiles, type SchemaFiles } from "../../src/db/schema-files.ts";

/**
 * A later version. Its schema has an additional column and table, a function with a different signature, one function fewer, and views with an
 * additional column.
 */
export const NEXT = "0.2.0";

/** Edits of the files in sql/. Each must find the text that it replaces. */
const EDITS: readonly [file: string, from: string, to: string][] = [
  // A view uses this function: the function, the view, and the views that read that view are recreated.
  [
    "definitions/retries/retry_policy.sql",
    "legwork_private.describe_retry(task text, queue text)",
    "legwork_private.describe_retry(task text, queue text, short boolean default false)",
  ],
  [
    "definitions/retries/retry_policy.sql",
    "comment on function legwork_private.describe_retry(text, text)",
    "comment on function legwork_private.describe_retry(text, text, boolean)",
  ],
  [
    "definitions/retries/retry_policy.sql",
    "function legwork_private.describe_retry(text, text) from public",
    "function legwork_private.describe_retry(text, text, boolean) from public",
  ],
  // A public function, in the same file as policies, gets another parameter, and a policy changes.
  [
    "definitions/access/settings.sql",
    "legwork.change_setting(name text, value text) returns void",
    "legwork.change_setting(name text, value text, why text default null) returns void",
  ],
  [
    "definitions/access/settings.sql",
    "comment on function legwork.change_setting(text, text)",
    "comment on function legwork.change_setting(text, text, text)",
  ],
  [
    "definitions/access/settings.sql",
    "function legwork.change_setting(text, text) from public",
    "function legwork.change_setting(text, text, text) from public",
  ],
  [
    "definitions/access/settings.sql",
    "(select max(m.id) from graphile_worker.migrations m)",
    "(select max(m.id) from graphile_worker.migrations m where true)",
  ],
  [
    "definitions/history/settings.sql",
    "on legwork.settings for select to public using (true)",
    "on legwork.settings for select to public using (name <> '')",
  ],
  // The view of jobs gets a column in the middle, which `create or replace view` cannot do.
  [
    "definitions/views/jobs.sql",
    "  u.id, u.task, u.queue, u.state,",
    "  u.id, u.task, upper(u.task) as loud_task, u.queue, u.state,",
  ],
  [
    "definitions/views/jobs.sql",
    "comment on column legwork_private.all_jobs.queue is",
    "comment on column legwork_private.all_jobs.loud_task is 'Its task, louder.';\ncomment on column legwork_private.all_jobs.queue is",
  ],
];

/** The SQL of that version. `minimum` is the oldest version that may use its schema. */
export async function nextVersion({ minimum = "0.1.0" }: { minimum?: string } = {}): Promise<SchemaFiles> {
  const directory = await mkdtemp(join(tmpdir(), "legwork-next-"));
  try {
    await cp(fileURLToPath(new URL("../../sql/", import.meta.url)), directory, { recursive: true });
    await writeFile(
      join(directory, "migrations/9000_notes.sql"),
      "alter table legwork_private.task_definitions add column note text;\ncreate table legwork_private.notes (id bigint primary key);\nalter table legwork_private.notes enable row level security;\n",
    );
    await writeFile(join(directory, "migrations/9000_notes.after.sql"), "insert into legwork_private.notes values (1);\n");
    for (const [file, from, to] of EDITS) {
      const path = join(directory, file);
      const text = await readFile(path, "utf8");
      if (!text.includes(from)) throw new Error(`${file} no longer contains '${from}'.`);
      await writeFile(path, text.replace(from, to));
    }
    const rerun = join(directory, "definitions/lifecycle/rerun.sql");
    const text = await readFile(rerun, "utf8");
    const start = text.indexOf("create or replace function legwork.job_reruns(");
    const end = text.indexOf("create or replace function", start + 1);
    if (start < 0 || end < 0) throw new Error("rerun.sql no longer contains job_reruns.");
    await writeFile(rerun, text.slice(0, start) + text.slice(end));
    return readSchemaFiles(directory, NEXT, minimum);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
