import { assertId, MAX_LOOKED_AT } from "../bounds.ts";
import { JOB_STATES, type JobState } from "../contract/states.ts";
import { callFunction } from "../db/call-function.ts";
import { viewsFor } from "../db/confinement.ts";
import { isToShow, readJson } from "../db/exact-json.ts";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import { selectWithin } from "../db/select-within.ts";
import type { Duration } from "../duration.ts";
import { LegworkError } from "../errors.ts";
import { toInterval } from "./job-filter.ts";

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
  /** The id of the OpenTelemetry trace that the job's attempts belong to; null without tracing. */
  trace_id: string | null;
  /** 0 to 100; null until the task reports progress. */
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
  /** One or more states: a job must be in any one of them. */
  state?: JobState | readonly JobState[];
  task?: string;
  queue?: string;
  tenant?: string;
  correlationId?: string;
  /** Only jobs that this job enqueued. */
  parentId?: string;
  jobKey?: string;
  /** The worker that has the job, or had it last. The requirement of `priority` applies here too. */
  worker?: string;
  /** Requires a state other than completed, or a field that few jobs share: correlationId, parentId or jobKey. */
  priority?: number;
  /** Part of the error message; case is ignored. The requirement of `priority` applies here too. */
  error?: string;
  /** A path in the payload and the value there: `user.id:42`. See `searchPayloads`. */
  payload?: string;
  /** Leaves out payload and result, which are then null. */
  brief?: boolean;
  /** Only jobs created at or after this time. */
  createdAfter?: Date;
  createdBefore?: Date;
  /** Only jobs that ended at or after this time, no matter when they were created. A failed job ended when its last attempt failed. */
  finishedAfter?: Date;
  finishedBefore?: Date;
  /** Only jobs that ended within this period before now, such as `10m`. */
  finishedSince?: Duration;
  /** Only jobs with a smaller id. For the next page, pass the last id of this page. */
  before?: string;
  /** Only jobs with a larger id, for the next page with the order `oldest`. */
  after?: string;
  /** Newest first by default. `longest` lists running jobs, the longest-running first, on a single page. */
  order?: "newest" | "oldest" | "longest";
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
  "trace_id",
  "progress",
  "progress_message",
];

/** The JSON columns. They are read as text, so that no digits are lost. */
const JSON_COLUMNS: readonly (keyof JobRow)[] = ["payload", "result"];

/** The states of jobs that have ended. */
const ENDED: ReadonlySet<unknown> = new Set<JobState>(["completed", "failed", "cancelled", "expired"]);

/** Whether at least one state is given, and only states of jobs that have ended. */
export function haveEnded(states: readonly unknown[]): boolean {
  return states.length > 0 && states.every((state) => ENDED.has(state));
}

/**
 * Returns conditions on `legwork.jobs` that follow from `task = ?` for jobs in these states (in all states if the list is empty), so that Postgres
 * can use the index on waiting jobs, which is by task number. For ended jobs, no condition is added: without statistics, Postgres estimates that each
 * condition matches 1 row in 200, and if it expects fewer matches than a page has rows, it reads every row.
 */
export function impliedByTask(states: readonly unknown[]): string[] {
  return haveEnded(states) ? [] : ["task_number = (select legwork_private.task_number(?))"];
}

/**
 * Returns conditions on `legwork.jobs` that follow from the state being one of these. The state of a waiting job is computed, and that of an ended
 * job is stored. So the planner cannot infer that a waiting job has not failed and is not running, and would read all jobs. It can use conditions on
 * when the job started and ended.
 */
export function impliedByStates(states: readonly unknown[]): string[] {
  if (states.length === 0) return [];
  if (haveEnded(states)) return ["finished_at is not null"];
  if (states.some((state) => ENDED.has(state))) return [];
  if (states.every((state) => state === "running")) return ["finished_at is null", "started_at is not null"];
  return states.includes("running") ? ["finished_at is null"] : ["finished_at is null", "started_at is null"];
}

/** The result of a search in payloads, and how far the search got. */
export interface PayloadSearch {
  rows: JobRow[];
  /** Whether there may be more rows, because the returned ones reached `maxBytes`. */
  isMore: boolean;
  /** The number of jobs whose payloads were read. */
  looked_at: number;
  /** The last job whose payload was read; null if no payload was read. */
  looked_to: string | null;
}

/**
 * Lists jobs that match, newest first. Throws LW400 for a combination of filters that no index supports.
 *
 * @example
 * import { listJobs } from "legwork/operations";
 *
 * const failed = await listJobs(client, { state: "failed", task: "notify/email", limit: 20 });
 */
export async function listJobs(client: Queryable, filter: JobFilter): Promise<JobRow[]> {
  if (filter.payload !== undefined) return (await searchPayloads(client, filter, filter.payload)).rows;
  assertServed(filter);
  const { wheres, values } = await conditionsOf(client, filter);
  const text = pageOf(client, filter, wheres, columnsOf(client, filter), `$${values.length + 1}`);
  const rows = await selectRows(client, text, [...values, filter.limit]);
  return readJson<JobRow>(client, rows, JSON_COLUMNS);
}

/** Like `listJobs`, but in the caller's transaction, and only until the page reaches `maxBytes`. Also returns whether there may be more. */
export async function listJobsWithin(
  client: Queryable,
  filter: JobFilter,
  maxBytes: number,
): Promise<{ rows: JobRow[]; isMore: boolean }> {
  assertServed(filter);
  const { wheres, values } = await conditionsOf(client, filter);
  const text = pageOf(client, filter, wheres, columnsOf(client, filter), `$${values.length + 1}`);
  const { rows, isMore } = await selectWithin(client, text, [...values, filter.limit], maxBytes);
  return { rows: readJson<JobRow>(client, rows, JSON_COLUMNS), isMore };
}

/**
 * Returns a query for the first rows that match any of the where clauses. No index is ordered by id across several states, so each clause has its own
 * subquery.
 */
function pageOf(client: Queryable, filter: JobFilter, wheres: readonly string[], columns: string, limit: string): string {
  const order = filter.order === "longest" ? "started_at, id" : `id ${filter.order === "oldest" ? "asc" : "desc"}`;
  const end = `order by ${order} limit ${limit}`;
  const pages = wheres.map((where) => `select ${columns} from ${viewsFor(client)}.jobs ${where} ${end}`);
  const [only = ""] = pages;
  return pages.length === 1 ? only : `select * from (${pages.map((each) => `(${each})`).join(" union all ")}) p ${end}`;
}

/**
 * Lists jobs that match and whose payload has a value at a path, such as `user.id:42`; text, numbers and booleans are compared as text. No index
 * supports this, so the search reads the payloads of only the first 10,000 jobs that match the other filters. The next search begins (`before`,
 * `after`) where this one stopped. Values that a task's definition redacts are not found. `maxBytes` works as in `listJobsWithin`.
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
    const message = "A search in payloads needs a path and a value, such as user.id:42.";
    throw new LegworkError("LW400", message, {
      hint: "The path consists of keys and array positions, separated by dots.",
      fields: [{ path: ["payload"], message }],
    });
  }
  const { wheres, values } = await conditionsOf(client, filter);
  const direction = filter.order === "oldest" ? "asc" : "desc";
  const parameter = (index: number): string => `$${values.length + index}`;
  const views = viewsFor(client);
  const found = await selectRows(
    client,
    `with looked as materialized (
       ${pageOf(client, filter, wheres, `id, legwork.payload_text(payload, ${parameter(1)}) = ${parameter(2)} as hit`, String(MAX_LOOKED_AT))}
     )
     select count(*)::integer as looked_at, ${direction === "asc" ? "max" : "min"}(id) as looked_to,
       array(select l.id from looked l where l.hit order by l.id ${direction} limit ${parameter(3)}) as ids
     from looked`,
    [...values, path.split("."), value, filter.limit],
  );
  const { ids, looked_at, looked_to } = found[0];
  const text = `select ${columnsOf(client, filter)} from ${views}.jobs where id = any ($1::bigint[]) order by id ${direction}`;
  const { rows, isMore } =
    maxBytes === undefined
      ? { rows: await selectRows(client, text, [ids]), isMore: false }
      : await selectWithin(client, text, [ids], maxBytes);
  return { rows: readJson<JobRow>(client, rows, JSON_COLUMNS), isMore, looked_at, looked_to };
}

function columnsOf(client: Queryable, { brief }: Pick<JobFilter, "brief">): string {
  // Values that are only displayed are truncated if they are several megabytes long.
  const shown = (json: string): string => (isToShow(client) ? `legwork_private.shown_json(${json}::text)` : `${json}::text`);
  const json =
    brief === true
      ? JSON_COLUMNS.map((name) => `null as ${name}`)
      : [`${shown("raw_payload")} as payload`, `${shown("result")} as result`];
  return [...COLUMNS.filter((name) => !JSON_COLUMNS.includes(name)), ...json].join(", ");
}

/** Returns the states of a filter; empty if it has no states. */
function statesOf({ state }: Pick<JobFilter, "state">): readonly JobState[] {
  if (state === undefined) return [];
  return typeof state === "string" ? [state] : [...new Set(state)];
}

/** Splits states into groups that one index can find: waiting jobs, running jobs, and each state of ended jobs. */
function inBranches(states: readonly JobState[]): JobState[][] {
  if (states.length <= 1) return [[...states]];
  const waiting = states.filter((state) => state !== "running" && !ENDED.has(state));
  const others = states.filter((state) => !waiting.includes(state)).map((state) => [state]);
  return waiting.length === 0 ? others : [waiting, ...others];
}

/** Converts the filters to where clauses; a job matches if any of them does. */
async function conditionsOf(client: Queryable, filter: JobFilter): Promise<{ wheres: string[]; values: unknown[] }> {
  const values: unknown[] = [];
  const common: string[] = [];
  const add = (condition: string, value: unknown, to = common): void => {
    if (value === undefined || value === null) return;
    values.push(value);
    to.push(condition.replace("?", `$${values.length}`));
  };
  add("task = ?", filter.task);
  add("queue = ?", filter.queue);
  add("tenant = ?", filter.tenant);
  add("correlation_id = ?", filter.correlationId);
  add("parent_id = ?", filter.parentId);
  add("job_key = ?", filter.jobKey);
  add("worker = ?", filter.worker);
  add("priority = ?", filter.priority);
  add("strpos(lower(error), lower(?)) > 0", filter.error);
  add("created_at >= ?", filter.createdAfter);
  add("created_at < ?", filter.createdBefore);
  add("id < ?", filter.before);
  add("id > ?", filter.after);
  add("finished_at >= ?", filter.finishedAfter);
  add("finished_at < ?", filter.finishedBefore);
  if (filter.finishedSince !== undefined) {
    add("finished_at >= now() - ?::interval", toInterval("finishedSince", filter.finishedSince));
  }
  const createdBefore = earlierOf(filter.createdBefore, endsBefore(filter.finishedBefore));
  if (filter.createdAfter !== undefined || createdBefore !== undefined) {
    const [bounds] = await callFunction(client, "legwork_private.ids_created", {
      after: filter.createdAfter ?? null,
      before: createdBefore ?? null,
    });
    add("id > ?", bounds.above);
    add("id <= ?", bounds.up_to);
  }
  const wheres = inBranches(statesOf(filter)).map((states) => {
    const conditions: string[] = [];
    if (states.length === 1) add("state = ?", states[0], conditions);
    else if (states.length > 1) add("state = any (?)", states, conditions);
    conditions.push(...impliedByStates(states));
    for (const condition of impliedByTask(states)) add(condition, filter.task, conditions);
    const all = [...conditions, ...common];
    return all.length === 0 ? "" : `where ${all.join(" and ")}`;
  });
  return { wheres, values };
}

/**
 * Returns an upper bound for the creation times of jobs that ended before this time. Clocks differ: by its worker's clock, a short job may have ended
 * just before it was created.
 */
function endsBefore(time: Date | undefined): Date | undefined {
  return time === undefined ? undefined : new Date(time.getTime() + 60_000);
}

function earlierOf(one: Date | undefined, other: Date | undefined): Date | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one < other ? one : other;
}

/** Whether a filter limits when the jobs ended. There is an index by that time. */
export function isByEnd(filter: Pick<JobFilter, "finishedAfter" | "finishedSince">): boolean {
  return filter.finishedAfter !== undefined || filter.finishedSince !== undefined;
}

/** Checks that the rows of a page can be found without reading the whole history. Throws LW400 with a hint about the missing filter. */
function assertServed(filter: JobFilter): void {
  const { task, queue, correlationId, parentId, jobKey, priority, error, worker } = filter;
  const states = statesOf(filter);
  const isNarrow = (states.length > 0 && !states.includes("completed")) || (correlationId ?? parentId ?? jobKey) !== undefined;
  const refuse = (field: keyof JobFilter, message: string, hint: string): never => {
    throw new LegworkError("LW400", message, { hint, fields: [{ path: [field], message }] });
  };
  for (const [field, value] of Object.entries({ priority, error, worker })) {
    if (value === undefined || isNarrow) continue;
    refuse(
      field as "priority" | "error" | "worker",
      `A filter by ${field} alone would read the whole history.`,
      "Add a state other than completed, a correlation id, a parent or a job key.",
    );
  }
  if (filter.order === "longest" && states.join() !== "running") {
    refuse("order", "Only running jobs can be listed by how long they have run.", "Set the state to running.");
  }
  if (filter.order === "longest" && filter.payload !== undefined) {
    refuse("order", "A search in payloads is always ordered by id.", "Leave out the order.");
  }
  if (task !== undefined && queue !== undefined) {
    refuse("queue", "A task belongs to only one queue: filter by task or by queue.", "Leave out the queue.");
  }
}

const ATTEMPT_COLUMNS =
  "attempt, state, error_name, error_message, error_stack, error_code, started_at, finished_at, retry_at, worker";

/**
 * Lists the attempts of a job, oldest first: all of them, or up to `limit` after skipping the first `after`.
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

/** One job in detail. */
export interface FoundJob extends JobRow {
  /** The last 100 attempts; `listAttempts` returns all of them. */
  attempt_list: AttemptRow[];
  /** The schedule that enqueued the job; null if no schedule did. */
  schedule: string | null;
  /** The occurrence for which the job was enqueued; null without a schedule. */
  schedule_due_at: Date | null;
}

/** The maximum number of attempts that are returned with a job. */
const LAST_ATTEMPTS = 100;

/**
 * Returns one job with its last attempts, oldest first, and its schedule. Throws LW404 if the job does not exist or its history was deleted.
 *
 * @example
 * import { getJob } from "legwork/operations";
 *
 * const { state, error, attempt_list } = await getJob(client, "43");
 */
export async function getJob(client: Queryable, id: string): Promise<FoundJob> {
  assertId("job", id);
  const rows = await selectRows(client, `select ${columnsOf(client, {})} from ${viewsFor(client)}.jobs where id = $1`, [id]);
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
