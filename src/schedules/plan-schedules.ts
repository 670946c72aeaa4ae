import { callFunction } from "../db/call-function.ts";
import { UnboundedTime } from "../db/parse-timestamp.ts";
import { type Pool, type Queryable, transaction } from "../db/pool.ts";
import { LegworkError, toError } from "../errors.ts";
import { CronTimes } from "./cron.ts";
import { describeCron } from "./describe-cron.ts";

/** The number of occurrences in a plan. It is refilled when half of them are used. */
const PLANNED = 16;

/**
 * The maximum number of occurrences that a plan lists at a time if some of them have passed. This limits the work, no matter how long no worker was
 * running.
 */
const LISTED = 500;

/** The maximum number of schedules that one call plans. Their rows are locked during the call, which takes about 0.7 ms for each. */
const AT_MOST = 100;

/** How far back occurrences are planned (ms). An older backlog is counted from there. */
const MAX_BACKLOG_MS = 5 * 366 * 86_400_000;

interface Row {
  name: string;
  revision: number;
  cron: string;
  timezone: string;
  missed: "none" | "one" | "all";
  planned_to: Date;
  /** Text from Postgres, because a Date has no microseconds. */
  planned_from: string;
  list_from: Date;
  ends_at: Date | null;
  /** Whether the schedule has not been planned since its timing changed. */
  is_first: boolean;
}

interface Plan {
  times: Date[];
  /** Earlier occurrences, which are too many to list and will not be enqueued. */
  backlog?: { count: number; first: Date; last: Date };
  /** Whether there are no later occurrences. */
  isComplete: boolean;
  /** Why there is no plan. */
  problem?: string;
}

/**
 * Computes the next occurrences of cron schedules whose plans are running short, for at most a hundred schedules per call, and returns how many it
 * planned. Skips rows that other sessions have locked, and plans that another process has extended meanwhile. A schedule that cannot be planned gets
 * a `problem`; the others are still planned. Workers call this automatically.
 *
 * @example
 * import { planSchedules } from "legwork/operations";
 *
 * const planned = await planSchedules(client);
 */
export async function planSchedules(client: Queryable, options: { asOf?: Date; schedule?: string } = {}): Promise<number> {
  const rows = await wanted(client, options);
  // Many schedules have the same timing: each plan is computed once.
  const plans = new Map<string, Plan>();
  let planned = 0;
  for (const row of rows) {
    const plan = planOf(row, plans);
    await put(client, row, plan);
    if (plan.problem === undefined) planned += 1;
  }
  return planned;
}

/**
 * Like `planSchedules`, in its own transaction. If the database rejects a plan, each schedule is planned in its own transaction, so that the
 * rejected plan does not prevent the others.
 */
export async function planAll(pool: Pool): Promise<number> {
  try {
    return await transaction(pool, (client) => planSchedules(client));
  } catch (error) {
    if (!isRefusal(error)) throw error;
  }
  let planned = 0;
  for (const row of await transaction(pool, (client) => wanted(client, {}))) {
    try {
      planned += await transaction(pool, (client) => planSchedules(client, { schedule: row.name }));
    } catch (error) {
      if (!isRefusal(error)) throw error;
      await put(pool, row, { times: [], isComplete: false, problem: toError(error).message });
    }
  }
  return planned;
}

/** Whether the database rejected a value: an error in the row, not a failure of the system. */
function isRefusal(error: unknown): boolean {
  return error instanceof LegworkError && error.code === "LW400";
}

async function wanted(client: Queryable, { asOf, schedule }: { asOf?: Date; schedule?: string }): Promise<Row[]> {
  const rows = await callFunction(client, "legwork_private.plans_wanted", { as_of: asOf, schedule, at_most: AT_MOST });
  return rows as Row[];
}

/** Returns the plan of a schedule; reuses a plan that was computed for the same timing. Never throws. */
function planOf(row: Row, plans: Map<string, Plan>): Plan {
  try {
    assertReadable(row);
    const key = JSON.stringify([row.cron, row.timezone, row.missed, row.planned_to, row.list_from, row.ends_at, row.is_first]);
    const plan = plans.get(key) ?? computePlan(row);
    plans.set(key, plan);
    return plan;
  } catch (error) {
    return { times: [], isComplete: false, problem: toError(error).message };
  }
}

/**
 * Checks the times, because times that were stored unchecked may be infinite or outside the range of `Date`. Legwork's own connections keep the text of
 * such a time (`UnboundedTime`); node-postgres's parser returns an invalid Date, or a number for infinity.
 */
function assertReadable(row: Row): void {
  for (const name of ["planned_to", "list_from", "ends_at"] as const) {
    const time: Date | number | null = row[name];
    if (time === null || (time instanceof Date && !Number.isNaN(time.getTime()))) continue;
    const isReadable = time instanceof UnboundedTime || typeof time === "number";
    throw new LegworkError("LW400", `Its times are out of range: ${name}${isReadable ? ` is ${String(time)}` : ""}.`);
  }
}

function computePlan(row: Row): Plan {
  const plan = computeTimes(row);
  if (!row.is_first || !plan.isComplete || plan.times.length > 0 || plan.backlog !== undefined) return plan;
  return { ...plan, problem: `It never fires: no occurrence of '${row.cron}' is in its window.` };
}

function computeTimes({ cron, timezone, missed, planned_to: plannedTo, list_from: from, ends_at: end }: Row): Plan {
  const times = new CronTimes(cron, timezone);
  const upto = end ?? undefined;
  const after = new Date(Math.max(plannedTo.getTime(), from.getTime() - MAX_BACKLOG_MS));
  if (from <= after) {
    const next = times.next(after, PLANNED, upto);
    return { times: next, isComplete: next.length < PLANNED };
  }
  const past = times.span(after, end === null || from < end ? from : end);
  const next = times.next(from, LISTED, upto);
  const isComplete = next.length < LISTED;
  if (past === undefined) return { times: next, isComplete };
  const { count, first, last, penultimate } = past;
  // The last missed occurrence may still be enqueued.
  if (missed !== "one") return { times: next, backlog: { count, first, last }, isComplete };
  if (penultimate === undefined) return { times: [last, ...next], isComplete };
  return { times: [last, ...next], backlog: { count: count - 1, first, last: penultimate }, isComplete };
}

async function put(client: Queryable, row: Row, plan: Plan): Promise<void> {
  const { problem = null, backlog } = plan;
  await callFunction(client, "legwork_private.put_plan", {
    name: row.name,
    revision: row.revision,
    planned_from: row.planned_from,
    times: plan.times,
    is_complete: plan.isComplete,
    // If a schedule cannot be planned, its previous planned_to is kept.
    planned_to: plan.times.at(-1) ?? (problem === null ? (row.ends_at ?? row.list_from) : null),
    backlog_count: backlog?.count ?? 0,
    backlog_from: backlog?.first ?? null,
    backlog_to: backlog?.last ?? null,
    sentence: describeCron(row.cron),
    problem,
  });
}
