import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { toError } from "../errors.ts";
import { CronTimes, describeCron } from "./cron.ts";

/** Occurrences a plan holds. Half of them are used before it is filled up again. */
const PLANNED = 16;

/** Occurrences that a plan lists at a time when some of them are past: bounded work, however long nobody was there. */
const LISTED = 500;

/** Schedules a call plans. Their rows are locked meanwhile, for some 0.7 ms each. */
const AT_MOST = 100;

/** Nobody plans further back than that (ms): what is older is counted as if it began there. */
const MAX_BACKLOG_MS = 5 * 366 * 86_400_000;

interface Row {
  name: string;
  revision: number;
  cron: string;
  timezone: string;
  missed: "none" | "one" | "all";
  planned_to: Date;
  /** As Postgres writes it: a Date has no microseconds. */
  planned_from: string;
  list_from: Date;
  ends_at: Date | null;
}

interface Plan {
  times: Date[];
  /** Occurrences before these that are too many to list and will not be enqueued. */
  backlog?: { count: number; first: Date; last: Date };
  /** Whether nothing comes after these. */
  isComplete: boolean;
}

/**
 * Computes the next occurrences of schedules with a cron expression whose plans run short, at most a hundred of them, and resolves to how
 * many there were. Rows that others have locked are stepped over, and a plan that somebody else has extended meanwhile is left alone. Workers
 * do this by themselves.
 */
export async function planSchedules(client: Queryable, options: { asOf?: Date; schedule?: string } = {}): Promise<number> {
  const { rows } = await client.query("select * from legwork.plans_wanted(as_of => $1, schedule => $2, at_most => $3)", [
    options.asOf ?? null,
    options.schedule ?? null,
    AT_MOST,
  ]);
  // Many schedules say the same: what was computed for one holds for all.
  const plans = new Map<string, Plan>();
  let planned = 0;
  for (const row of rows as Row[]) {
    const key = JSON.stringify([row.cron, row.timezone, row.missed, row.planned_to, row.list_from, row.ends_at]);
    let plan = plans.get(key);
    let problem: string | undefined;
    try {
      plan ??= computePlan(row);
      plans.set(key, plan);
    } catch (error) {
      problem = toError(error).message;
    }
    await put(client, row, plan ?? { times: [], isComplete: false }, problem);
    if (problem === undefined) planned += 1;
  }
  return planned;
}

function computePlan({ cron, timezone, missed, planned_to: plannedTo, list_from: from, ends_at: end }: Row): Plan {
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
  // The last one that was missed may be made up for.
  if (missed !== "one") return { times: next, backlog: { count, first, last }, isComplete };
  if (penultimate === undefined) return { times: [last, ...next], isComplete };
  return { times: [last, ...next], backlog: { count: count - 1, first, last: penultimate }, isComplete };
}

async function put(client: Queryable, row: Row, plan: Plan, problem?: string): Promise<void> {
  await callFunction(client, "put_plan", {
    name: row.name,
    revision: row.revision,
    planned_from: row.planned_from,
    times: plan.times,
    is_complete: plan.isComplete,
    planned_to: plan.times.at(-1) ?? row.ends_at ?? (problem === undefined ? row.list_from : row.planned_to),
    backlog_count: plan.backlog?.count ?? 0,
    backlog_from: plan.backlog?.first ?? null,
    backlog_to: plan.backlog?.last ?? null,
    sentence: describeCron(row.cron),
    problem: problem ?? null,
  });
}
