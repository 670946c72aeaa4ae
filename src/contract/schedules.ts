import { z } from "zod";
import { type Answer, row } from "./rows.ts";
import { at } from "./times.ts";
import { cursorOver, page, pageLimit } from "./page.ts";
import { JOB_STATES } from "./states.ts";
import { duration, json, MAX_INTEGER, taskName, text, time, wholeNumber } from "./values.ts";
export const scheduleName = text(128);
export const runCursor = cursorOver("runs", z.iso.datetime());

/** A row of `legwork.schedules`, as JSON. */
export const scheduleSchema = row({
  name: z.string(),
  source: z.enum(["database", "crontab"]).describe("An entry of a crontab cannot be changed here."),
  task: z.string(),
  payload: z.unknown(),
  cron: z.string().nullable(),
  every: z.string().nullable(),
  at: at.nullable(),
  timezone: z.string(),
  sentence: z.string().describe("When it occurs, in words."),
  isEnabled: z.boolean(),
  nextAt: at.nullable().describe("The next occurrence; null when there is none."),
  upcoming: z.array(at).nullable().describe("Those after it."),
  lastDueAt: at.nullable(),
  lastState: z.string().nullable(),
  lastJobId: z.string().nullable(),
  lastOutcome: z.enum(JOB_STATES).nullable(),
  runs: z.string().nullable().describe("Jobs that it has enqueued, as text."),
  maxRuns: z.int().nullable(),
  startsAt: at.nullable(),
  endsAt: at.nullable(),
  jitter: z.string().nullable(),
  overlap: z.enum(["allow", "skip", "queue", "cancel"]),
  maxInstances: z.int().nullable(),
  missed: z.enum(["none", "one", "all"]),
  missedWindow: z.string().nullable(),
  requires: z.record(z.string(), z.string()).nullable(),
  requiresWait: z.string().nullable(),
  tenant: z.string().nullable(),
  priority: z.int().nullable(),
  maxAttempts: z.int().nullable(),
  problem: z.string().nullable().describe("What keeps it from occurring."),
  createdAt: at.nullable(),
  createdBy: z.string().nullable(),
  updatedAt: at,
}).describe("A schedule: a row of legwork.schedules.");

/** A duration, or an interval as Postgres reads it, which knows months. */
const span = z
  .union([text(100), z.number().min(1).max(MAX_INTEGER)])
  .meta({ description: "Such as 30s, 5m, '1 month', or a number of milliseconds.", examples: ["5m", "1 month"] });

const timing = {
  cron: text(500).optional().describe("A cron expression; seconds may come first."),
  every: span.optional(),
  at: time.optional().describe("Once."),
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
    .describe("Of the IANA database; UTC by default."),
  startsAt: time.optional().describe("No occurrence is before that."),
  endsAt: time.optional().describe("No occurrence is after that."),
};

/** When a schedule occurs: one of three. */
export interface TimingFields {
  cron?: string | undefined;
  every?: string | number | undefined;
  at?: Date | undefined;
}

const isOne = ({ cron, every, at: once }: TimingFields): boolean =>
  [cron, every, once].filter((given) => given !== undefined).length === 1;
const ONE_TIMING = { error: "give exactly one of cron, every and at", path: ["cron"] };

export const scheduleBody = z
  .strictObject({
    task: taskName,
    payload: json.optional().describe("What its jobs are given; {} by default."),
    ...timing,
    ...window,
    maxRuns: z.int().min(1).max(MAX_INTEGER).optional().describe("It is over after so many jobs."),
    jitter: duration.optional().describe("A job starts up to so much later, at random."),
    overlap: z
      .enum(["allow", "skip", "queue", "cancel"])
      .optional()
      .describe("What becomes of an occurrence while its jobs live."),
    maxInstances: z.int().min(1).max(MAX_INTEGER).optional(),
    missed: z.enum(["none", "one", "all"]).optional().describe("What becomes of occurrences when nobody was there."),
    missedWindow: duration.optional(),
    requires: z
      .record(text(128), duration)
      .optional()
      .describe("Schedules whose last run must have completed, and how long ago at most."),
    requiresWait: duration.optional(),
    tenant: text(200).optional(),
    priority: z.int().min(-32_768).max(32_767).optional(),
    maxAttempts: z.int().min(1).max(32_767).optional(),
    enabled: z.boolean().optional().describe("A new schedule is enabled, one that is replaced stays as it is."),
  })
  .refine(isOne, ONE_TIMING)
  .meta({ description: "The schedule.", examples: [{ task: "report/daily", cron: "0 7 * * 1-5", timezone: "Europe/Berlin" }] });

export const schedulePage = page(scheduleSchema, "The schedules, by name.");
export const removedScheduleSchema = z.object({ name: z.string() }).describe("The schedule that is gone.");

export const scheduleRunQuery = z.strictObject({
  before: time.optional().describe("Only occurrences that were due before: the next page."),
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
  occurrences: z.string().nullable(),
  lastDueAt: at,
  recordedAt: at,
  tenant: z.string().nullable(),
});
export const scheduleRunPage = page(scheduleRunSchema, "A page of occurrences.");

export const previewBody = z
  .strictObject({
    ...timing,
    ...window,
    count: z.int().min(1).max(1_000).optional().describe("How many; 10 by default."),
    from: time.optional().describe("From when on; now by default."),
  })
  .refine(isOne, ONE_TIMING)
  .meta({ examples: [{ cron: "30 2 * * *", timezone: "Europe/Berlin", count: 3 }] });
export const previewPage = page(
  z.object({ at, local: z.string().describe("What the clocks of the time zone show then.") }),
  "The next occurrences.",
).extend({ sentence: z.string().nullable().describe("A cron expression in words; null for another kind.") });

export const loadQuery = z.strictObject({ hours: wholeNumber(1, 48).default(24).describe("How many hours, this one included.") });
export const loadPage = page(
  z.object({
    at: at.describe("When the hour begins; the first one is counted from now on."),
    jobs: z.string().describe("A number, as text."),
    schedules: z.array(z.object({ name: z.string(), jobs: z.string() })).describe("The ten that enqueue the most."),
  }),
  "The hours.",
).extend({
  uncounted: z.array(z.object({ name: z.string(), reason: z.string() })).describe("Schedules whose times are not in it."),
});

/** A schedule. */
export type Schedule = Answer<typeof scheduleSchema>;
/** What became of an occurrence. */
export type ScheduleRun = Answer<typeof scheduleRunSchema>;
