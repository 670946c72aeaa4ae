import { UnboundedTime } from "../../db/parse-timestamp.ts";

/** A statement as graphile-worker passes it to node-postgres. */
export interface Statement {
  /** The name of the prepared statement; empty if the statement is not prepared. */
  readonly name: string;
  readonly text: string;
  readonly values: readonly unknown[];
}

/** The part of the fetch query's result that graphile-worker reads. */
export interface Fetched {
  readonly rows: Record<string, unknown>[];
}

/**
 * The columns of graphile-worker's job table, in its order. Values that are the same for all fetched jobs, or that usually equal another column, are
 * not returned: this saves 0.75 of the 9 µs that fetching a job takes.
 */
const COLUMNS = `jobs.id, jobs.job_queue_id, jobs.task_id, jobs.payload, jobs.priority, nullif(jobs.run_at, jobs.created_at) as run_at,
  jobs.attempts, jobs.max_attempts, jobs.last_error, jobs.created_at, nullif(jobs.updated_at, jobs.created_at) as updated_at, jobs.key,
  case when jobs.id = (select id from j limit 1) then jobs.locked_at end as locked_at, null::text as locked_by, jobs.revision, jobs.flags,
  null::boolean as is_available`;

/**
 * The priorities of the jobs that may be fetched, each found by a lookup in graphile-worker's index on priority and run_at. With this list, the index
 * also supports the condition on run_at. Without it, a fetch that finds fewer jobs than it requests reads the index entries of all jobs that are
 * scheduled for later: 127 ms with a million such jobs, and 0.5 ms with the list. (Postgres 18 does such skip scans on its own.) The lookup starts at
 * the last entry of each priority, because the first ones include entries of completed jobs, which Postgres keeps while an old transaction is open.
 */
const PRIORITIES = `array(
    with recursive p (priority) as (
      (select x.priority from graphile_worker._private_jobs x where x.is_available order by x.priority desc limit 1)
      union all
      select (select x.priority from graphile_worker._private_jobs x where x.is_available and x.priority < p.priority order by x.priority desc limit 1)
      from p where p.priority is not null
    )
    select p.priority from p where p.priority is not null
  )`;

/**
 * Makes graphile-worker's fetch query faster. It looks only at priorities that exist. Each column is returned only once; the original returns the
 * columns by which it selects jobs twice. To take one job per serial key, the query no longer sorts the jobs without a key; they start in the order
 * in which they were selected, and among jobs with equal priority and run_at, the smallest id comes first. The result needs `restoreColumns`.
 *
 * The key is set to itself because, in an update that sets no indexed column, Postgres searches a full index page for row versions to delete. In the
 * index of keys, where the last page has all jobs without a key, it rarely finds any, and the search costs 1.4 µs per job. The next vacuum removes
 * these entries instead.
 */
export function fetchStatement(statement: Statement): Statement {
  // With useNodeTime, the worker's clock decides which jobs are due. The fetch time must still come from the database's clock, like all other times
  // in Legwork.
  const timed = { ...statement, text: statement.text.replaceAll(/locked_at = \$\d+::timestamptz/g, "locked_at = now()") };
  const withKey = replaced(timed, "attempts = jobs.attempts + 1,", "attempts = jobs.attempts + 1, key = jobs.key,");
  const bounded = replaced(
    withKey,
    "where jobs.is_available = true",
    `where jobs.is_available = true and jobs.priority = any (${PRIORITIES})`,
  );
  const text = replaced(bounded, /\breturning \*\s*$/, `returning ${COLUMNS}`).text.replace(
    /select distinct on \(job_queue_id, case when job_queue_id is null then id end\)\s+job_queue_id, priority, run_at, id\s+from j_raw\s+order by job_queue_id, case when job_queue_id is null then id end, priority asc, run_at asc/,
    `select job_queue_id, priority, run_at, id from j_raw where job_queue_id is null
       union all
       (select distinct on (job_queue_id) job_queue_id, priority, run_at, id
        from j_raw where job_queue_id is not null order by job_queue_id, priority asc, run_at asc, id asc)`,
  );
  return { ...statement, name: statement.name === "" ? "" : `${statement.name}+once`, text };
}

/** Replaces a part of a statement. Throws if the statement does not contain that part. */
export function replaced(statement: Statement, part: string | RegExp, replacement: string): Statement {
  const text = statement.text.replace(part, () => replacement);
  if (text === statement.text)
    throw new Error(`graphile-worker's statement '${statement.name}' is not the one that Legwork supports.`);
  return { ...statement, text };
}

/** Returns the number of jobs that a fetch statement requests. */
export function limitOf({ text }: Statement): number {
  return Number(/\blimit (\d+)\s+for update\b/.exec(text)?.[1] ?? 1);
}

/** Makes a fetch statement request fewer jobs. */
export function withLimit(statement: Statement, limit: number): Statement {
  if (limit === limitOf(statement)) return statement;
  return unprepared(replaced(statement, /\blimit \d+(?=\s+for update\b)/, `limit ${limit}`));
}

/** Makes a fetch statement look only for jobs of the tasks with these ids. */
export function withTasks(statement: Statement, ids: readonly number[]): Statement {
  return { ...statement, values: [statement.values[0], ids, ...statement.values.slice(2)] };
}

/**
 * Returns the statement without a name, so that it is not prepared and is planned each time. The plan of a prepared statement does not depend on the
 * tasks that it looks for, and would read all due jobs of other tasks: half a second with 400,000 such jobs, instead of one millisecond.
 */
export function unprepared(statement: Statement): Statement {
  return { ...statement, name: "" };
}

/** Makes a fetch statement for several jobs take only the first `count` jobs of the tasks in each group. */
export function capped(
  statement: Statement,
  limits: readonly { readonly task: number; readonly group: number; readonly count: number }[],
): Statement {
  const first = statement.values.length + 1;
  const start = replaced(statement, /with j_raw as \(\s+select /, "with j_due as (\n  select jobs.task_id, ");
  const { text } = replaced(
    start,
    /skip locked\s+\),\s*j as \(/,
    `skip locked
),
j_raw as (
  select x.job_queue_id, x.priority, x.run_at, x.id from (
    select d.*, g.count, row_number() over (partition by g."group" order by d.priority, d.run_at, d.id) as place
    from j_due d
    left join unnest($${first}::int[], $${first + 1}::int[], $${first + 2}::int[]) as g (task_id, "group", count) on g.task_id = d.task_id
  ) x
  where x.count is null or x.place <= x.count
),
j as (`,
  );
  const values = [limits.map(({ task }) => task), limits.map(({ group }) => group), limits.map(({ count }) => count)];
  return unprepared({ ...statement, text, values: [...statement.values, ...values] });
}

/** Restores the columns that the query of `fetchStatement` does not return, so that a task gets the whole row. */
export function restoreColumns(fetched: Fetched, workerId: string): Fetched {
  const lockedAt = fetched.rows.find((row) => row.locked_at !== null)?.locked_at;
  for (const row of fetched.rows) {
    row.run_at ??= copyOf(row.created_at);
    row.updated_at ??= copyOf(row.created_at);
    row.locked_at ??= copyOf(lockedAt);
    row.locked_by = workerId;
    row.is_available = false;
  }
  return fetched;
}

/** Copies a time, because a task may change the times of its own job. */
function copyOf(time: unknown): unknown {
  return time instanceof Date && !(time instanceof UnboundedTime) ? new Date(time) : time;
}
