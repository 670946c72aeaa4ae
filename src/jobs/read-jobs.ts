import { assertId, MAX_LOOKED_AT } from "../bounds.ts";
import { JOB_STATES, type JobState } from "../contract/states.ts";
import { callFunction } from "../db/call-function.ts";
import { viewsFor } from "../db/confinement.ts";
import { readJson } from "../db/exact-json.ts";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import { selectWithin } from "../db/select-within.ts";
import { LegworkError } from "../errors.ts";

export { JOB_STATES, type JobState };

/** A row of `legwork.jobs`. */
export interface JobRow {
  id: string;
  task: string;
  queue: string;
  state: JobState;
  priority: number;
  attempts: number;
  max_attempts: number;
  payload: unknown;
  result: unknown;
  error: string | null;
  run_at: Date;
  created_at: Date;
  started_at: Date | null;
  finished_at: Date | null;
  worker: string | null;
  job_key: string | null;
  serial_key: string | null;
  tenant: string | null;
  correlation_id: string | null;
  parent_id: string | null;
  /** 0 to 100; null while its task has not said. */
  progress: number | null;
  progress_message: string | null;
}

/** A row of `legwork.attempts`. */
export interface AttemptRow {
  attempt: number;
  state: "running" | "completed" | "failed";
  error_name: string | null;
  error_message: string | null;
  error_stack: string | null;
  error_code: string | null;
  started_at: Date | null;
  finished_at: Date | null;
  retry_at: Date | null;
  worker: string | null;
}

export interface JobFilter {
  state?: JobState;
  task?: string;
  queue?: string;
  tenant?: string;
  correlationId?: string;
  /** Only what that job has enqueued. */
  parentId?: string;
  jobKey?: string;
  /** Needs a state other than completed, or something that few jobs share: correlationId, parentId or jobKey. */
  priority?: number;
  /** A part of the error's message, in upper or lower case. Needs what `priority` needs. */
  error?: string;
  /** A path in the payload and what stands there: `user.id:42`. See `searchPayloads`. */
  payload?: string;
  /** Without payload and result, which are null then. */
  brief?: boolean;
  /** Created at this time or later. */
  createdAfter?: Date;
  createdBefore?: Date;
  /** Only jobs with a smaller id: the next page starts at the last id of this one. */
  before?: string;
  /** Only jobs with a larger id: the next page when the oldest come first. */
  after?: string;
  /** Newest first by default. */
  order?: "newest" | "oldest";
  /** At most 500. */
  limit: number;
}

/** The columns of `legwork.jobs`. */
const COLUMNS: readonly (keyof JobRow)[] = [
  "id",
  "task",
  "queue",
  "state",
  "priority",
  "attempts",
  "max_attempts",
  "payload",
  "result",
  "error",
  "run_at",
  "created_at",
  "started_at",
  "finished_at",
  "worker",
  "job_key",
  "serial_key",
  "tenant",
  "correlation_id",
  "parent_id",
  "progress",
  "progress_message",
];

/** Those that are JSON. They are read as text, so that no digit is lost. */
const JSON_COLUMNS: readonly (keyof JobRow)[] = ["payload", "result"];

/** The states that a job does not leave by itself. */
const ENDED: ReadonlySet<unknown> = new Set<JobState>(["completed", "failed", "cancelled", "expired"]);

/** Whether these are states, and jobs in them have ended. */
export function haveEnded(states: readonly unknown[]): boolean {
  return states.length > 0 && states.every((state) => ENDED.has(state));
}

/**
 * What follows for a row of `legwork.jobs` from `task = ?`, where its state is one of these or, without any, not asked for. The index of what waits is by
 * number. Of what has ended nothing more is said: a condition that Postgres has no statistics for makes it expect a two-hundredth of the rows, and
 * then, for less than a page of them, read them all.
 */
export function impliedByTask(states: readonly unknown[]): string[] {
  return haveEnded(states) ? [] : ["task_number = (select legwork_private.task_number(?))"];
}

/**
 * What follows for a row of `legwork.jobs` from its state being one of these, as conditions. A state is computed for a waiting job and stored for an
 * ended one: the planner cannot see that a job that waits has not failed and does not run, and would read all of them. That it has neither ended nor
 * started, it does see.
 */
export function impliedByStates(states: readonly unknown[]): string[] {
  if (states.length === 0) return [];
  if (haveEnded(states)) return ["finished_at is not null"];
  if (states.some((state) => ENDED.has(state))) return [];
  if (states.every((state) => state === "running")) return ["finished_at is null", "started_at is not null"];
  return states.includes("running") ? ["finished_at is null"] : ["finished_at is null", "started_at is null"];
}

/** What a search in payloads found, and how far it has looked. */
export interface PayloadSearch {
  rows: JobRow[];
  /** Whether there may be more than these, because they have `maxBytes` already. */
  isMore: boolean;
  /** Jobs whose payloads were read. */
  looked_at: number;
  /** The last job whose payload was read; null when there was none. */
  looked_to: string | null;
}

/**
 * Jobs that match, newest first. Throws LW400 for a combination of filters that no index serves.
 *
 * @example
 * import { listJobs } from "legwork/operations";
 *
 * const failed = await listJobs(client, { state: "failed", task: "notify/email", limit: 20 });
 */
export async function listJobs(client: Queryable, filter: JobFilter): Promise<JobRow[]> {
  if (filter.payload !== undefined) return (await searchPayloads(client, filter, filter.payload)).rows;
  assertServed(filter);
  const { where, values } = await conditionsOf(client, filter);
  const text = pageOf(client, filter, where, `$${values.length + 1}`);
  const rows = await selectRows(client, text, [...values, filter.limit]);
  return readJson<JobRow>(client, rows, JSON_COLUMNS);
}

/** As `listJobs`, in the caller's transaction and up to the job that brings the page to `maxBytes`; also says whether there may be more. */
export async function listJobsWithin(
  client: Queryable,
  filter: JobFilter,
  maxBytes: number,
): Promise<{ rows: JobRow[]; isMore: boolean }> {
  assertServed(filter);
  const { where, values } = await conditionsOf(client, filter);
  const text = pageOf(client, filter, where, `$${values.length + 1}`);
  const { rows, isMore } = await selectWithin(client, text, [...values, filter.limit], maxBytes);
  return { rows: readJson<JobRow>(client, rows, JSON_COLUMNS), isMore };
}

function pageOf(client: Queryable, filter: JobFilter, where: string, limit: string): string {
  const direction = filter.order === "oldest" ? "asc" : "desc";
  return `select ${columnsOf(filter)} from ${viewsFor(client)}.jobs ${where} order by id ${direction} limit ${limit}`;
}

/**
 * Jobs that match and whose payload has a value at a path, such as `user.id:42`; text, numbers and booleans are compared as text. No index has
 * it, so the payloads of the first 10,000 jobs that the other filters leave are read and no more: the next search begins (`before`, `after`) where
 * this one has stopped looking. What a task's definition redacts is not found. `maxBytes` is as of `listJobsWithin`.
 *
 * @example
 * import { searchPayloads } from "legwork/operations";
 *
 * const { rows, looked_to } = await searchPayloads(client, { task: "notify/email", limit: 20 }, "to:ann@example.com");
 */
export async function searchPayloads(
  client: Queryable,
  filter: JobFilter,
  payload: string,
  maxBytes?: number,
): Promise<PayloadSearch> {
  assertServed(filter);
  const [, path = "", value = ""] = /^([^:]+):(.*)$/s.exec(payload) ?? [];
  if (path === "") {
    const message = "What is searched for in payloads is a path and a value, such as user.id:42.";
    throw new LegworkError("LW400", message, {
      hint: "Steps are keys, or positions in arrays.",
      fields: [{ path: ["payload"], message }],
    });
  }
  const { where, values } = await conditionsOf(client, filter);
  const direction = filter.order === "oldest" ? "asc" : "desc";
  const parameter = (index: number): string => `$${values.length + index}`;
  const views = viewsFor(client);
  const found = await selectRows(
    client,
    `with looked as materialized (
       select id, legwork.payload_text(payload, ${parameter(1)}) = ${parameter(2)} as hit
       from ${views}.jobs ${where} order by id ${direction} limit ${MAX_LOOKED_AT}
     )
     select count(*)::integer as looked_at, ${direction === "asc" ? "max" : "min"}(id) as looked_to,
       array(select l.id from looked l where l.hit order by l.id ${direction} limit ${parameter(3)}) as ids
     from looked`,
    [...values, path.split("."), value, filter.limit],
  );
  const { ids, looked_at, looked_to } = found[0];
  const text = `select ${columnsOf(filter)} from ${views}.jobs where id = any ($1::bigint[]) order by id ${direction}`;
  const { rows, isMore } =
    maxBytes === undefined
      ? { rows: await selectRows(client, text, [ids]), isMore: false }
      : await selectWithin(client, text, [ids], maxBytes);
  return { rows: readJson<JobRow>(client, rows, JSON_COLUMNS), isMore, looked_at, looked_to };
}

function columnsOf({ brief }: Pick<JobFilter, "brief">): string {
  const json = brief === true ? JSON_COLUMNS.map((name) => `null as ${name}`) : ["raw_payload::text as payload", "result::text"];
  return [...COLUMNS.filter((name) => !JSON_COLUMNS.includes(name)), ...json].join(", ");
}

/** The filters as a where clause. */
async function conditionsOf(client: Queryable, filter: JobFilter): Promise<{ where: string; values: unknown[] }> {
  const values: unknown[] = [];
  const conditions: string[] = [];
  const where = (condition: string, value: unknown): void => {
    if (value === undefined || value === null) return;
    values.push(value);
    conditions.push(condition.replace("?", `$${values.length}`));
  };
  const states = filter.state === undefined ? [] : [filter.state];
  where("state = ?", filter.state);
  conditions.push(...impliedByStates(states));
  where("task = ?", filter.task);
  for (const condition of impliedByTask(states)) where(condition, filter.task);
  where("queue = ?", filter.queue);
  where("tenant = ?", filter.tenant);
  where("correlation_id = ?", filter.correlationId);
  where("parent_id = ?", filter.parentId);
  where("job_key = ?", filter.jobKey);
  where("priority = ?", filter.priority);
  where("strpos(lower(error), lower(?)) > 0", filter.error);
  where("created_at >= ?", filter.createdAfter);
  where("created_at < ?", filter.createdBefore);
  where("id < ?", filter.before);
  where("id > ?", filter.after);
  if (filter.createdAfter !== undefined || filter.createdBefore !== undefined) {
    const [bounds] = await callFunction(client, "legwork_private.ids_created", {
      after: filter.createdAfter ?? null,
      before: filter.createdBefore ?? null,
    });
    where("id > ?", bounds.above);
    where("id <= ?", bounds.up_to);
  }
  return { where: conditions.length === 0 ? "" : `where ${conditions.join(" and ")}`, values };
}

/** A page must not read the whole history to find its rows. Throws LW400 that says what to add. */
function assertServed(filter: JobFilter): void {
  const { state, task, queue, correlationId, parentId, jobKey, priority, error } = filter;
  const isNarrow = (state !== undefined && state !== "completed") || (correlationId ?? parentId ?? jobKey) !== undefined;
  const refuse = (field: keyof JobFilter, message: string, hint: string): never => {
    throw new LegworkError("LW400", message, { hint, fields: [{ path: [field], message }] });
  };
  for (const [field, value] of Object.entries({ priority, error })) {
    if (value === undefined || isNarrow) continue;
    refuse(
      field as "priority" | "error",
      `Jobs are not found by their ${field} alone, for no index has it.`,
      "Add a state other than completed, a correlation id, a parent or a job key.",
    );
  }
  if (task !== undefined && queue !== undefined) {
    refuse("queue", "A task belongs to one queue: filter by one of the two.", "Leave out the queue.");
  }
}

const ATTEMPT_COLUMNS =
  "attempt, state, error_name, error_message, error_stack, error_code, started_at, finished_at, retry_at, worker";

/**
 * The attempts of a job, oldest first: all of them, or so many (`limit`) after the first ones (`after`).
 *
 * @example
 * import { listAttempts } from "legwork/operations";
 *
 * const attempts = await listAttempts(client, "43");
 */
export async function listAttempts(
  client: Queryable,
  id: string,
  page: { after?: number; limit?: number } = {},
): Promise<AttemptRow[]> {
  return await selectRows(
    client,
    `select ${ATTEMPT_COLUMNS} from ${viewsFor(client)}.attempts where job_id = $1 order by started_at nulls last, attempt offset $2 limit $3`,
    [assertId("job", id), page.after ?? 0, page.limit],
  );
}

/** What is found of one job. */
export interface FoundJob extends JobRow {
  /** The last hundred; `listAttempts` has them all. */
  attempt_list: AttemptRow[];
  /** The schedule that enqueued it; null for none. */
  schedule: string | null;
  /** For which of its times; null without a schedule. */
  schedule_due_at: Date | null;
}

/** Attempts that come with a job. */
const LAST_ATTEMPTS = 100;

/**
 * One job with its last attempts, oldest first, and its schedule. Throws LW404 for an id that no job has or whose history has been dropped.
 *
 * @example
 * import { getJob } from "legwork/operations";
 *
 * const { state, error, attempt_list } = await getJob(client, "43");
 */
export async function getJob(client: Queryable, id: string): Promise<FoundJob> {
  assertId("job", id);
  const rows = await selectRows(client, `select ${columnsOf({})} from ${viewsFor(client)}.jobs where id = $1`, [id]);
  const [job] = readJson<JobRow>(client, rows, JSON_COLUMNS);
  if (job === undefined) {
    throw new LegworkError("LW404", `No job has id ${id}.`, {
      hint: "Finished jobs are kept for the period set in history_retention.",
    });
  }
  const attempts = await selectRows(
    client,
    `select * from (
       select ${ATTEMPT_COLUMNS} from ${viewsFor(client)}.attempts where job_id = $1 order by started_at desc nulls first, attempt desc limit ${LAST_ATTEMPTS}
     ) a order by started_at nulls last, attempt`,
    [id],
  );
  const origin = await selectRows(
    client,
    "select schedule, due_at from legwork.schedule_runs where job_id = $1 order by due_at limit 1",
    [id],
  );
  const { schedule = null, due_at = null } = origin[0] ?? {};
  return { ...job, schedule, schedule_due_at: due_at, attempt_list: attempts };
}
