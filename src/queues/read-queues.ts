import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import { LegworkError } from "../errors.ts";

/** A limit in the views; `per` is an interval in Postgres's text format. */
export interface LimitRow {
  kind: "concurrency" | "rate";
  max: number;
  per?: string;
  key?: string;
}

/** A row of `legwork.queues`. Counts are strings, because they may exceed what a number holds exactly. */
export interface QueueRow {
  name: string;
  paused_at: Date | null;
  paused_by: string | null;
  pause_reason: string | null;
  limits: LimitRow[] | null;
  running: string;
  pending: string;
  blocked: string;
  paused: string;
  later: string;
  oldest: Date | null;
  retry: Record<string, unknown> | null;
  /** Failed jobs that can be retried. */
  failed: string;
  /** When the jobs were counted, if there are too many to count them every time. Null means now. */
  counted_at: Date | null;
}

/** A row of `legwork.workers`. */
export interface WorkerRow {
  id: string;
  host: string;
  pid: number;
  concurrency: number;
  tasks: string[];
  running: string[];
  started_at: Date;
  seen_at: Date;
  suspected: boolean;
  /** The state of its host: shares in use, from 0 to 1, and sizes in bytes; null before the first report. */
  cpu: number | null;
  memory: number | null;
  memory_total: string | null;
  disk: number | null;
  disk_total: string | null;
  heap_bytes: string | null;
  host_seen_at: Date | null;
  /**
   * When synchronous code began to block its event loop, and the job that runs this code; several jobs if it is unknown which of them runs it. Null if
   * the event loop is not blocked.
   */
  blocked_since: Date | null;
  blocked_jobs: string[] | null;
  /** Its version of Legwork. */
  version: string | null;
  /** Its readable name: host:pid. */
  name: string;
  /** `quiet`: it takes no new jobs. `draining`: it also stops when the last of its jobs has ended. */
  state: "active" | "quiet" | "draining";
  /** When it was made quiet or draining, and by which actor; null while it is active. */
  quiet_since: Date | null;
  quiet_by: string | null;
  /** Tasks that it does not have and for which jobs are waiting. */
  lacks: string[];
  /** The tasks that it has but was started without (`--only`, `--except`). */
  excluded: string[];
  /** How many jobs of a queue it runs at a time, by queue; null if only its concurrency limits them. */
  queue_slots: Record<string, number> | null;
}

/** A row of `legwork.tasks`. */
export interface TaskRow {
  name: string;
  description: string | null;
  queue: string;
  payload_schema: unknown;
  result_schema: unknown;
  redact: string[] | null;
  /** How long an attempt may take, such as `30s`. */
  timeout: string | null;
  registered_at: Date | null;
  updated_at: Date | null;
  paused_at: Date | null;
  paused_by: string | null;
  pause_reason: string | null;
  limits: LimitRow[] | null;
  retry: Record<string, unknown> | null;
}

const TASK_COLUMNS =
  "name, description, queue, payload_schema, result_schema, redact, timeout, registered_at, updated_at, paused_at, paused_by, pause_reason, limits, retry";

/**
 * Lists all queues, with the numbers of their waiting and running jobs.
 *
 * @example
 * import { listQueues } from "legwork/operations";
 *
 * for (const { name, pending, running } of await listQueues(client)) console.log(name, pending, running);
 */
export async function listQueues(client: Queryable): Promise<QueueRow[]> {
  const rows = await selectRows(client, "select * from legwork.queues order by name");
  return rows;
}

/**
 * Returns one queue. Throws LW404 for an unknown queue, suggesting the closest name.
 *
 * @example
 * import { getQueue } from "legwork/operations";
 *
 * const { paused_at, pause_reason } = await getQueue(client, "notification");
 */
export async function getQueue(client: Queryable, name: string): Promise<QueueRow> {
  await callFunction(client, "legwork_private.assert_target", { scope: "queue", name });
  const rows = await selectRows(client, "select * from legwork.queues where name = $1", [name]);
  return rows[0];
}

/**
 * Lists the tasks that a worker has registered or that a job was enqueued for, by name; with `after`, those after that name.
 *
 * @example
 * import { listTasks } from "legwork/operations";
 *
 * const tasks = await listTasks(client, { queue: "mail" });
 */
export async function listTasks(
  client: Queryable,
  page: { after?: string; queue?: string; limit?: number } = {},
): Promise<TaskRow[]> {
  const rows = await selectRows(
    client,
    `select ${TASK_COLUMNS} from legwork.tasks where ($1::text is null or name > $1) and ($2::text is null or queue = $2) order by name limit $3`,
    [page.after, page.queue, page.limit],
  );
  return rows;
}

/**
 * Returns one task. Throws LW404 for an unknown task, suggesting the closest name.
 *
 * @example
 * import { getTask } from "legwork/operations";
 *
 * const { description, payload_schema } = await getTask(client, "notify/email");
 */
export async function getTask(client: Queryable, name: string): Promise<TaskRow> {
  const rows = await selectRows(client, `select ${TASK_COLUMNS} from legwork.tasks where name = $1`, [name]);
  if (rows[0] !== undefined) return rows[0];
  // The same message as from legwork_private.assert_task, which reads tables that readers have no access to.
  const nearest = await selectRows(
    client,
    "select legwork_private.nearest_name($1, array(select name from legwork.tasks)) as name",
    [name],
  );
  const guess: string | null = nearest[0].name;
  throw new LegworkError("LW404", `There is no task named '${name}'.`, {
    hint: `${guess === null ? "" : `Did you mean '${guess}'? `}Tasks are known once a worker that has them has started; \`select name from legwork.tasks\` lists them.`,
    action: { do: "list_tasks" },
  });
}

/**
 * Lists the Legwork workers that are running or were until a moment ago, oldest first.
 *
 * @example
 * import { listWorkers } from "legwork/operations";
 *
 * const workers = await listWorkers(client);
 */
export async function listWorkers(client: Queryable): Promise<WorkerRow[]> {
  const rows = await selectRows(client, "select * from legwork.workers order by started_at");
  return rows;
}
