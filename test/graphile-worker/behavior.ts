import type { RunnerOptions } from "graphile-worker";
import type { TestDatabase } from "../support/database.ts";

/**
 * Where the behaviors are checked: a database without Legwork, one with its schema, and one where every task is limited, each with a plain
 * graphile-worker, and a database with Legwork's own worker.
 */
export type Place = "without Legwork" | "with Legwork" | "with a limit" | "Legwork's worker";

export interface Side {
  readonly place: Place;
  readonly database: TestDatabase;
  /** The directory of TASKS. */
  readonly tasks: string;
  readonly rows: (sql: string, values?: unknown[]) => Promise<Record<string, unknown>[]>;
  /** Runs the due jobs until there are no more. The options are for a plain worker and have no effect on Legwork's own worker. */
  readonly run: (options?: RunnerOptions) => Promise<void>;
}

/** A behavior that users of graphile-worker rely on, described by its observable result. */
export interface Behavior {
  readonly name: string;
  readonly see: (side: Side) => Promise<unknown>;
  readonly is: unknown;
  /** Whether it is also checked with Legwork's worker. Not for a behavior that requires that no worker is running, or an option of graphile-worker. */
  readonly anyWorker?: true;
  /** The results that differ. docs/reference/database-footprint.md lists each of them with its reason. */
  readonly except?: { readonly [place in Place]?: { readonly is: unknown; readonly documented: string } };
}

/** The run_at of a waiting job. */
export const HELD = "While a limit or pause holds a job, `graphile_worker.jobs.run_at` is `infinity`";
export const DATABASE_CLOCK = "Jobs of a limited task start according to the database's clock";

export const CONTEXT = "Jobs that a task adds in Legwork's worker have the flags `parent:` and `correlation:`";

/** Plain task files, each of which uses a feature of graphile-worker and records what it saw in the table `seen`. */
export const TASKS: Record<string, string> = {
  "note.mjs": `export default async (payload, { job, query }) => {
    await query("insert into seen (job_id, task, note) values ($1, $2, $3)", [job.id, job.task_identifier, JSON.stringify(payload)]);
  };`,
  "other.mjs": `export { default } from "./note.mjs";`,
  "overlap.mjs": `export default async (payload, { job, query }) => {
    const { rows } = await query("insert into seen (job_id, task) values ($1, 'overlap') returning n", [job.id]);
    await query("select pg_sleep(0.02)");
    await query("update seen set note = '\\"ended\\"' where n = $1", [rows[0].n]);
  };`,
  "fail.mjs": `export default async (payload) => {
    if (payload.thrown === "text") throw "not an error";
    throw new Error(payload.message ?? "It failed.");
  };`,
  "again.mjs": `export default async (payload, { job, query, addJob }) => {
    await query("insert into seen (job_id, task, note) values ($1, 'again', $2)", [job.id, JSON.stringify(payload)]);
    if (payload.again) await addJob("again", { again: false }, { jobKey: job.key, runAt: new Date("2099-01-01T00:00:00Z") });
  };`,
  "batch.mjs": `export default async (payload) => payload.map(async (entry) => {
    if (entry.fails) throw new Error("entry " + entry.n);
  });`,
  "helpers.mjs": `export default async (payload, helpers) => {
    const { job, query, withPgClient, addJob, addJobs, getQueueName, logger, abortSignal } = helpers;
    logger.debug("seen");
    const { rows } = await withPgClient((client) => client.query("select $1::int + 1 as n", [payload.n]));
    const added = await addJob("note", { from: "addJob" }, { priority: 3, maxAttempts: 4, queueName: "q", flags: ["f"] });
    const many = await addJobs([{ identifier: "note", payload: { from: "addJobs" } }]);
    const [row] = (await query("select locked_by = $2 as mine, locked_at is not null as locked from graphile_worker.jobs where id = $1", [job.id, job.locked_by])).rows;
    await query("insert into seen (job_id, task, note) values ($1, 'helpers', $2)", [job.id, JSON.stringify({
      n: rows[0].n, queue: await getQueueName(), aborted: abortSignal.aborted, added: [added.priority, added.max_attempts, Object.keys(added.flags).map((flag) => flag.replace(/\\d+/, "n")).toSorted()],
      many: many.length, row, keys: Object.keys(job).toSorted(), attempts: job.attempts, payload: job.payload, helpers: Object.keys(helpers).toSorted(),
    })]);
  };`,
};

/** Added to each database: the table `seen`, and a view of the jobs in which times can be compared. */
export const SUPPORT = `
  create table public.seen (n integer generated always as identity, job_id bigint, task text, note jsonb, at timestamptz default clock_timestamp());
  create function public.moment(t timestamptz) returns text language sql stable return case
    when t = 'infinity' then 'infinity'
    when abs(extract(epoch from t - now())) < 60 then 'now'
    else to_char(t at time zone 'UTC', 'YYYY-MM-DD') end;
  create view public.brief as select id, task_identifier as task, queue_name as queue, (select payload from graphile_worker._private_jobs p where p.id = j.id) as payload, priority,
    public.moment(run_at) as run_at, attempts, max_attempts, last_error, key, revision, flags, locked_by is not null as locked from graphile_worker.jobs j;`;

/** All fields of a job except its id. */
export const BRIEF =
  "select task, queue, payload, priority, run_at, attempts, max_attempts, last_error, key, revision, flags, locked from public.brief order by id";

/** A job without any options, in the format of BRIEF. */
export const PLAIN_JOB = {
  task: "note",
  queue: null,
  payload: {},
  priority: 0,
  run_at: "now",
  attempts: 0,
  max_attempts: 25,
  last_error: null,
  key: null,
  revision: 0,
  flags: null,
  locked: false,
};

/** The error that a statement raises. */
export async function errorOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "none",
    (error: { code: string; constraint?: string }) => [error.code, error.constraint].filter(Boolean).join(" "),
  );
}
