import { readJson } from "../db/exact-json.ts";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import { selectWithin } from "../db/select-within.ts";
import { LegworkError } from "../errors.ts";
import type { JobState } from "../jobs/read-jobs.ts";

/** A row of `legwork.schedules`, with intervals in Postgres's text format. */
export interface ScheduleRow {
  name: string;
  source: "database" | "crontab";
  task: string;
  payload: unknown;
  cron: string | null;
  every: string | null;
  at: Date | null;
  timezone: string;
  sentence: string;
  is_enabled: boolean;
  next_at: Date | null;
  upcoming: Date[];
  last_due_at: Date | null;
  last_state: string | null;
  last_job_id: string | null;
  last_outcome: JobState | null;
  runs: string | null;
  max_runs: number | null;
  starts_at: Date | null;
  ends_at: Date | null;
  jitter: string | null;
  overlap: "allow" | "skip" | "queue" | "cancel";
  max_instances: number | null;
  missed: "none" | "one" | "all";
  missed_window: string | null;
  requires: Record<string, string> | null;
  requires_wait: string | null;
  tenant: string | null;
  priority: number | null;
  max_attempts: number | null;
  problem: string | null;
  created_at: Date | null;
  created_by: string | null;
  updated_at: Date;
  disabled_at: Date | null;
  disabled_by: string | null;
}

/** A row of `legwork.schedule_runs`: the outcome of one occurrence, or of several in a row. */
export interface ScheduleRunRow {
  schedule: string;
  due_at: Date;
  state: "enqueued" | "manual" | "waiting" | "skipped" | "missed" | "coalesced" | "held_back";
  reason: string | null;
  job_id: string | null;
  outcome: JobState | null;
  /** The number of occurrences, as text because it may exceed what a number holds exactly; null if unknown. */
  occurrences: string | null;
  last_due_at: Date;
  recorded_at: Date;
  tenant: string | null;
}

const COLUMNS = `name, source, task, payload::text, cron, every::text, at, timezone, sentence, is_enabled, next_at, upcoming, last_due_at, last_state,
  last_job_id, last_outcome, runs, max_runs, starts_at, ends_at, jitter::text, overlap, max_instances, missed, missed_window::text, requires,
  requires_wait::text, tenant, priority, max_attempts, problem, created_at, created_by, updated_at, disabled_at, disabled_by`;

/** Which schedules to list, and where the page begins. */
export interface ScheduleFilter {
  tenant?: string;
  /** The last schedule of the previous page. */
  after?: Pick<ScheduleRow, "name" | "source"> | undefined;
  /** All schedules by default. */
  limit?: number;
}

/**
 * Lists schedules by name, including those of crontabs.
 *
 * @example
 * import { listSchedules } from "legwork/operations";
 *
 * const late = (await listSchedules(client)).filter(({ problem }) => problem !== null);
 */
export async function listSchedules(client: Queryable, filter: ScheduleFilter = {}): Promise<ScheduleRow[]> {
  const rows = await selectRows(client, PAGE, pageValues(filter));
  return readJson<ScheduleRow>(client, rows, ["payload"]);
}

/**
 * Like `listSchedules`, in the caller's transaction and stopping at the schedule with which the page reaches `maxBytes`; also returns whether there
 * may be more.
 */
export async function listSchedulesWithin(
  client: Queryable,
  filter: ScheduleFilter,
  maxBytes: number,
): Promise<{ rows: ScheduleRow[]; isMore: boolean }> {
  const { rows, isMore } = await selectWithin(client, PAGE, pageValues(filter), maxBytes);
  return { rows: readJson<ScheduleRow>(client, rows, ["payload"]), isMore };
}

const PAGE = `select ${COLUMNS} from legwork.schedules
  where ($1::text is null or tenant = $1) and ($2::text is null or (name, source) > ($2, $3::text))
  order by name, source limit $4`;

function pageValues({ tenant, after, limit }: ScheduleFilter): unknown[] {
  return [tenant, after?.name, after?.source, limit];
}

/**
 * Returns one schedule. Throws LW404 for an unknown schedule, suggesting the closest name.
 *
 * @example
 * import { getSchedule } from "legwork/operations";
 *
 * const { sentence, next_at } = await getSchedule(client, "daily-report");
 */
export async function getSchedule(client: Queryable, name: string): Promise<ScheduleRow> {
  const rows = await selectRows(client, `select ${COLUMNS} from legwork.schedules where name = $1`, [name]);
  const [found] = readJson<ScheduleRow>(client, rows, ["payload"]);
  if (found !== undefined) return found;
  const nearest = await selectRows(
    client,
    "select legwork_private.nearest_name($1, array(select name from legwork.schedules)) as name",
    [name],
  );
  const similar = nearest[0]?.name;
  throw new LegworkError("LW404", `There is no schedule named '${name}'.`, {
    hint: `${similar === null ? "" : `Did you mean '${similar}'? `}\`select name from legwork.schedules\` lists them.`,
    action: { do: "list_schedules" },
  });
}

/**
 * Lists the outcomes of a schedule's last occurrences, newest first. They are kept as long as the history, even after the schedule is removed.
 *
 * @example
 * import { listScheduleRuns } from "legwork/operations";
 *
 * const runs = await listScheduleRuns(client, "daily-report", { limit: 5 });
 */
export async function listScheduleRuns(
  client: Queryable,
  name: string,
  options: { limit?: number; before?: Date } = {},
): Promise<ScheduleRunRow[]> {
  const rows = await selectRows(
    client,
    `select * from legwork.schedule_runs where schedule = $1 and ($2::timestamptz is null or due_at < $2)
     order by due_at desc limit $3`,
    [name, options.before, options.limit ?? 20],
  );
  return rows;
}
