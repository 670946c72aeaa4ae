import { toError } from "../../errors.ts";
import { parseExactly } from "../../json.ts";
import { CronTimes } from "../../schedules/cron.ts";
import type { ScheduleOptions, Timing } from "../../schedules/schedule.ts";
import type { OptionNote, SourceSchedule } from "../source.ts";

export interface SchedulerRow {
  readonly queue: string;
  readonly id: string;
  /** When its next job is due (ms). */
  readonly next: number;
  /** The scheduler's hash; empty for a scheduler from before BullMQ 5. */
  readonly fields: Readonly<Record<string, string | undefined>>;
  /** The hash of the scheduler's next job, which holds the payload of a repeatable job. */
  readonly job: Readonly<Record<string, string | undefined>>;
}

const SHORTEST_MS = 1_000;

export function mapScheduler({ queue, id, next, fields, job }: SchedulerRow): SourceSchedule {
  const { name: jobName = job["name"] ?? "", pattern, every, tz, limit, ic, startDate, endDate } = fields;
  const notes: OptionNote[] = [];
  const opts = { ...record(job["opts"]), ...record(fields["opts"]) };
  if (opts["backoff"] !== undefined) notes.push({ option: "backoff", text: "is a setting of the task, not of the schedule" });
  if (pattern !== undefined && tz === undefined)
    notes.push({ option: "tz", text: "is not set: the schedule uses UTC. BullMQ uses the time zone of the worker process" });
  const times = {
    every: Number(every),
    left: limit === undefined ? undefined : Number(limit) - Number(ic ?? 0),
    from: date(startDate),
    to: date(endDate),
  };
  const { attempts, priority } = opts;
  const options: ScheduleOptions = {
    ...timing(pattern, times.every),
    payload: {},
    ...(tz === undefined ? {} : { timezone: tz }),
    // An interval continues from the next planned time.
    ...(pattern === undefined ? { startsAt: new Date(next) } : times.from === undefined ? {} : { startsAt: times.from }),
    ...(times.to === undefined ? {} : { endsAt: times.to }),
    ...(times.left === undefined ? {} : { maxRuns: times.left }),
    // By default, BullMQ attempts a job once, and Legwork up to 25 times.
    maxAttempts: typeof attempts === "number" ? Math.min(32_767, Math.max(1, attempts)) : 1,
    ...(typeof priority === "number" ? { priority: Math.min(32_767, priority) } : {}),
  };
  let obstacle = obstacleOf(pattern, times.every, tz, times.left, fields);
  try {
    options.payload = parseExactly(fields["data"] ?? job["data"] ?? "{}");
  } catch {
    obstacle ??= "Its payload is not JSON.";
  }
  // The id of a repeatable job is a hash.
  const isHashed = /^[\da-f]{32}$/.test(id);
  return {
    id: `scheduler:${queue}:${id}`,
    queue,
    names: [`${queue}:${jobName}`, queue],
    label: `${queue}:${isHashed ? jobName : id}`,
    name: isHashed ? `${queue}:${jobName}:${id.slice(0, 8)}` : `${queue}:${id}`,
    options,
    notes,
    obstacle,
  };
}

function timing(pattern: string | undefined, every: number): Timing {
  return pattern === undefined ? { every: `${every}ms` } : { cron: pattern };
}

function obstacleOf(
  pattern: string | undefined,
  every: number,
  tz: string | undefined,
  left: number | undefined,
  fields: SchedulerRow["fields"],
): string | undefined {
  if (Object.keys(fields).length === 0) return "It was created before BullMQ 5. Create it again with upsertJobScheduler first.";
  if (left !== undefined && left < 1) return "It has reached its limit.";
  if (pattern === undefined) {
    return every >= SHORTEST_MS ? undefined : `It runs every ${every} ms; the shortest interval of a schedule is one second.`;
  }
  try {
    new CronTimes(pattern, tz ?? "UTC").next(new Date(), 1);
    return undefined;
  } catch (thrown) {
    return `Its timing is not valid: ${toError(thrown).message}`;
  }
}

/** Milliseconds or an ISO time. */
function date(text: string | undefined): Date | undefined {
  if (text === undefined || text === "") return undefined;
  const parsed = new Date(/^\d+(\.\d+)?$/.test(text) ? Number(text) : text);
  return Number.isNaN(parsed.getTime()) ? undefined : parsed;
}

function record(text: string | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text ?? "{}");
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
