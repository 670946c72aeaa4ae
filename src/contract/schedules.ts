import { z } from "zod";
import { type Answer, countText, row } from "./rows.ts";
import { at } from "./times.ts";
import { cursorOver, page, pageLimit } from "./page.ts";
import { JOB_STATES } from "./states.ts";
import { duration, json, MAX_INTEGER, taskName, text, time, wholeNumber } from "./values.ts";
export const scheduleName = text(128);
export const runCursor = cursorOver("runs", z.iso.datetime());
/** The source and the name of the last schedule of a page. */
const scheduleCursor = cursorOver("schedules", z.string().regex(/^(database|crontab):.+$/s));

/** A row of `legwork.schedules`, as JSON. */
export const scheduleSchema = row({
  name: z.string(),
  source: z.enum(["database", "crontab"]).describe("Where it is defined. A crontab entry cannot be changed here."),
  task: z.string(),
  payload: z.unknown(),
  cron: z.string().nullable(),
  every: z.string().nullable().describe("The interval between occurrences, as Postgres writes it."),
  at: at.nullable(),
  timezone: z.string(),
  sentence: z.string().describe("The schedule in words."),
  isEnabled: z.boolean(),
  nextAt: at.nullable().describe("The next occurrence; null if no further one is planned."),
  upcoming: z.array(at).nullable().describe("The occurrences after nextAt."),
  lastDueAt: at.nullable(),
  lastState: z.string().nullable().describe("What happened to the last occurrence, such as enqueued or skipped."),
  lastJobId: z.string().nullable(),
  lastOutcome: z.enum(JOB_STATES).nullable().describe("The state of the last occurrence's job."),
  runs: countText("The number of jobs that it has enqueued, as text.").nullable(),
  maxRuns: z.int().nullable().describe("The number of jobs after which the schedule ends."),
  startsAt: at.nullable(),
  endsAt: at.nullable(),
  jitter: z.string().nullable().describe("The longest random delay of a job's start."),
  overlap: z.enum(["allow", "skip", "queue", "cancel"]),
  maxInstances: z.int().nullable().describe("The number of unfinished jobs at which `overlap` takes effect."),
  missed: z.enum(["none", "one", "all"]),
  missedWindow: z.string().nullable(),
  requires: z.record(z.string(), z.string()).nullable(),
  requiresWait: z.string().nullable(),
  tenant: z.string().nullable(),
  priority: z.int().nullable(),
  maxAttempts: z.int().nullable(),
  problem: z.string().nullable().describe("What prevents its occurrences."),
  createdAt: at.nullable(),
  createdBy: z.string().nullable(),
  updatedAt: at,
  disabledAt: at.nullable().describe("When it was disabled; null while it is enabled."),
  disabledBy: z.string().nullable().describe("Who disabled it; null while it is enabled."),
}).describe("A schedule: a row of legwork.schedules.");

/** A duration or a Postgres interval, which may have months. */
const span = z
  .union([text(100), z.number().min(1).max(MAX_INTEGER)])
  .meta({ description: "A duration such as 30s, 5m or '1 month', or a number of milliseconds.", examples: ["5m", "1 month"] });

const timing = {
  cron: text(500).optional().describe("A cron expression of five fields, or six with seconds first."),
  every: span
    .optional()
    .describe("The interval between occurrences: a duration such as 30s, 5m or '1 month', or a number of milliseconds."),
  at: time.optional().describe("The time of a single occurrence."),
};

function isZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

const window = {
  timezone: text(100)
    .refine(isZone, "expected a time zone such as Europe/Berlin")
    .optional()
    .describe("An IANA time zone; UTC by default."),
  startsAt: time.optional().describe("The earliest time of an occurrence."),
  endsAt: time.optional().describe("The latest time of an occurrence."),
};

/** When a schedule occurs: exactly one of these fields is set. */
export interface TimingFields {
  cron?: string | undefined;
  every?: string | number | undefined;
  at?: Date | undefined;
}

const isOne = ({ cron, every, at: once }: TimingFields): boolean =>
  [cron, every, once].filter((given) => given !== undefined).length === 1;
const ONE_TIMING = { error: "specify exactly one of cron, every and at", path: ["cron"] };

export const scheduleBody = z
  .strictObject({
    task: taskName,
    payload: json.optional().describe("The payload of its jobs; {} by default."),
    ...timing,
    ...window,
    maxRuns: z.int().min(1).max(MAX_INTEGER).optional().describe("The number of jobs after which the schedule ends."),
    jitter: duration.optional().describe("The longest random delay of a job's start."),
    overlap: z
      .enum(["allow", "skip", "queue", "cancel"])
      .optional()
      .describe("What happens to an occurrence while earlier jobs of the schedule have not ended."),
    maxInstances: z
      .int()
      .min(1)
      .max(MAX_INTEGER)
      .optional()
      .describe("The number of unfinished jobs at which `overlap` takes effect; 1 by default, 100 for queue."),
    missed: z
      .enum(["none", "one", "all"])
      .optional()
      .describe("What happens to occurrences that were due while no worker was running."),
    missedWindow: duration
      .optional()
      .describe("With `missed` set to all: the maximum age of an occurrence that is still enqueued; a day by default."),
    requires: z
      .record(text(128), duration)
      .optional()
      .describe("Schedules whose last run must have completed, each with the maximum time since that run."),
    requiresWait: duration
      .optional()
      .describe("How long an occurrence waits for the required schedules before it is held back; an hour by default."),
    tenant: text(200).optional(),
    priority: z.int().min(-32_768).max(32_767).optional(),
    maxAttempts: z.int().min(1).max(32_767).optional(),
    enabled: z
      .boolean()
      .optional()
      .describe("By default, a new schedule is enabled, and replacing a schedule does not change this."),
  })
  .refine(isOne, ONE_TIMING)
  .meta({ description: "The schedule.", examples: [{ task: "report/daily", cron: "0 7 * * 1-5", timezone: "Europe/Berlin" }] });

export const scheduleQuery = z.strictObject({ cursor: scheduleCursor.schema.optional(), limit: pageLimit });

/** The cursor of the page that begins after a schedule. */
export function cursorAfter({ name, source }: { name: string; source: string }): string {
  return scheduleCursor.make(`${source}:${name}`);
}

/** The last schedule before the page, from its cursor. */
export function beforePage(cursor: string): { name: string; source: "database" | "crontab" } {
  const [source = ""] = cursor.split(":", 1);
  return { name: cursor.slice(source.length + 1), source: source as "database" | "crontab" };
}

export const schedulePage = page(scheduleSchema, "The schedules, by name.");
export const removedScheduleSchema = z.object({ name: z.string() }).describe("The removed schedule.");

export const scheduleRunQuery = z.strictObject({
  before: time.optional().describe("Only occurrences that were due before this time: the next page."),
  cursor: runCursor.schema.optional(),
  limit: pageLimit,
});
export const scheduleRunSchema = row({
  schedule: z.string(),
  dueAt: at,
  state: z.enum(["enqueued", "manual", "waiting", "skipped", "missed", "coalesced", "held_back"]),
  reason: z.string().nullable(),
  jobId: z.string().nullable(),
  outcome: z.enum(JOB_STATES).nullable(),
  occurrences: countText().nullable(),
  lastDueAt: at,
  recordedAt: at,
  tenant: z.string().nullable(),
});
export const scheduleRunPage = page(scheduleRunSchema, "A page of occurrences.");

export const previewBody = z
  .strictObject({
    ...timing,
    ...window,
    count: z.int().min(1).max(1_000).optional().describe("The number of occurrences; 10 by default."),
    from: time.optional().describe("The start of the preview; now by default."),
  })
  .refine(isOne, ONE_TIMING)
  .meta({ examples: [{ cron: "30 2 * * *", timezone: "Europe/Berlin", count: 3 }] });
export const previewPage = page(
  z.object({ at, local: z.string().describe("The local time in the time zone.") }),
  "The next occurrences.",
).extend({ sentence: z.string().nullable().describe("The cron expression in words; null for other schedules.") });

export const loadQuery = z.strictObject({
  hours: wholeNumber(1, 48).default(24).describe("The number of hours, including the current one."),
});
export const loadPage = page(
  z.object({
    at: at.describe("When the hour begins. The first hour counts only occurrences from now on."),
    jobs: countText("The number of jobs, as text."),
    schedules: z
      .array(z.object({ name: z.string(), jobs: countText() }))
      .describe("The ten schedules that enqueue the most jobs."),
  }),
  "The hours.",
).extend({
  uncounted: z
    .array(z.object({ name: z.string(), reason: z.string() }))
    .describe("Schedules whose occurrences are not included."),
});

/** A schedule. */
export type Schedule = Answer<typeof scheduleSchema>;
/** An occurrence of a schedule, and its outcome. */
export type ScheduleRun = Answer<typeof scheduleRunSchema>;
