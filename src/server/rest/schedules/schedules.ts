import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { JOB_STATES } from "../../../jobs/read-jobs.ts";
import { disableSchedule, enableSchedule } from "../../../schedules/enable-schedule.ts";
import { getSchedule, listScheduleRuns, listSchedules } from "../../../schedules/list-schedules.ts";
import { describeCron } from "../../../schedules/describe-cron.ts";
import { previewSchedule } from "../../../schedules/preview-schedule.ts";
import { scheduleLoad } from "../../../schedules/schedule-load.ts";
import { runSchedule } from "../../../schedules/run-schedule.ts";
import { schedule, type Timing } from "../../../schedules/schedule.ts";
import { unschedule } from "../../../schedules/unschedule.ts";
import { createdSchema } from "../jobs/job-schemas.ts";
import { addRoute, type RestContext } from "../route.ts";
import {
  cursorOver,
  duration,
  json,
  MAX_INTEGER,
  page,
  pageLimit,
  taskName,
  text,
  time,
  toPage,
  wholeNumber,
} from "../values.ts";

const at = z.iso.datetime();
const scheduleName = text(128);
const runCursor = cursorOver("runs", z.iso.datetime());

/** A row of `legwork.schedules`, as JSON. */
export const scheduleSchema = z
  .object({
    name: z.string(),
    source: z.enum(["database", "crontab"]).describe("An entry of a crontab cannot be changed here."),
    task: z.string(),
    payload: z.unknown(),
    cron: z.string().nullable(),
    every: z.string().nullable(),
    at: at.nullable(),
    timezone: z.string(),
    sentence: z.string().describe("When it occurs, in words."),
    is_enabled: z.boolean(),
    next_at: at.nullable().describe("The next occurrence; null when there is none."),
    upcoming: z.array(at).nullable().describe("Those after it."),
    last_due_at: at.nullable(),
    last_state: z.string().nullable(),
    last_job_id: z.string().nullable(),
    last_outcome: z.enum(JOB_STATES).nullable(),
    tenant: z.string().nullable(),
    problem: z.string().nullable().describe("What keeps it from occurring."),
  })
  .loose()
  .describe("A schedule: a row of legwork.schedules.");

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
  starts_at: time.optional().describe("No occurrence is before that."),
  ends_at: time.optional().describe("No occurrence is after that."),
};

interface TimingFields {
  cron?: string | undefined;
  every?: string | number | undefined;
  at?: Date | undefined;
}

const isOne = ({ cron, every, at: once }: TimingFields): boolean =>
  [cron, every, once].filter((given) => given !== undefined).length === 1;
const ONE_TIMING = { error: "give exactly one of cron, every and at", path: ["cron"] };

const scheduleBody = z
  .strictObject({
    task: taskName,
    payload: json.optional().describe("What its jobs are given; {} by default."),
    ...timing,
    ...window,
    max_runs: z.int().min(1).max(MAX_INTEGER).optional().describe("It is over after so many jobs."),
    jitter: duration.optional().describe("A job starts up to so much later, at random."),
    overlap: z
      .enum(["allow", "skip", "queue", "cancel"])
      .optional()
      .describe("What becomes of an occurrence while its jobs live."),
    max_instances: z.int().min(1).max(MAX_INTEGER).optional(),
    missed: z.enum(["none", "one", "all"]).optional().describe("What becomes of occurrences when nobody was there."),
    missed_window: duration.optional(),
    requires: z
      .record(text(128), duration)
      .optional()
      .describe("Schedules whose last run must have completed, and how long ago at most."),
    requires_wait: duration.optional(),
    tenant: text(200).optional(),
    priority: z.int().min(-32_768).max(32_767).optional(),
    max_attempts: z.int().min(1).max(32_767).optional(),
    enabled: z.boolean().optional().describe("A new schedule is enabled, one that is replaced stays as it is."),
  })
  .refine(isOne, ONE_TIMING)
  .meta({ description: "The schedule.", examples: [{ task: "report/daily", cron: "0 7 * * 1-5", timezone: "Europe/Berlin" }] });

/** Schedules: when which jobs are enqueued by themselves. */
export function addScheduleRoutes(app: FastifyInstance, context: RestContext): void {
  const one = { tag: "schedules", params: z.object({ name: scheduleName }), answer: scheduleSchema } as const;

  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/schedules",
      tag: "schedules",
      role: "viewer",
      summary: "List the schedules, those of crontabs included",
      answer: page(scheduleSchema, "The schedules, by name."),
    },
    async ({ client }) => ({ items: await listSchedules(client), next_cursor: null }),
  );
  addRoute(
    app,
    context,
    {
      ...one,
      method: "GET",
      url: "/schedules/:name",
      role: "viewer",
      summary: "Get one schedule",
      problems: ["LW404"],
      etag: true,
    },
    async ({ client, params }) => await getSchedule(client, params.name),
  );
  addRoute(
    app,
    context,
    {
      ...one,
      method: "PUT",
      url: "/schedules/:name",
      role: "operator",
      summary: "Make a schedule, or replace the one of that name",
      description: "What is replaced keeps its runs, and one whose times are the same goes on as planned.",
      body: scheduleBody,
      problems: ["LW404", "LW409", "LW422"],
    },
    async ({ client, params, body }) => {
      await schedule(client, params.name, body.task, {
        ...(timingOf(body) as Timing),
        timezone: body.timezone,
        payload: body.payload,
        startsAt: body.starts_at,
        endsAt: body.ends_at,
        maxRuns: body.max_runs,
        jitter: body.jitter,
        overlap: body.overlap,
        maxInstances: body.max_instances,
        missed: body.missed,
        missedWindow: body.missed_window,
        requires: body.requires,
        requiresWait: body.requires_wait,
        tenant: body.tenant,
        priority: body.priority,
        maxAttempts: body.max_attempts,
        enabled: body.enabled,
      });
      return await getSchedule(client, params.name);
    },
  );
  addRoute(
    app,
    context,
    {
      ...one,
      method: "DELETE",
      url: "/schedules/:name",
      role: "operator",
      summary: "Remove a schedule; its jobs and what became of its occurrences stay",
      answer: z.object({ name: z.string() }).describe("The schedule that is gone."),
      problems: ["LW404", "LW409"],
    },
    async ({ client, params }) => {
      await unschedule(client, params.name);
      return { name: params.name };
    },
  );
  for (const [verb, change, summary] of [
    ["enable", enableSchedule, "Let a schedule occur again from now on"],
    ["disable", disableSchedule, "Keep a schedule from occurring until it is enabled again"],
  ] as const) {
    addRoute(
      app,
      context,
      { ...one, method: "POST", url: `/schedules/:name/${verb}`, role: "operator", summary, problems: ["LW404", "LW409"] },
      async ({ client, params }) => {
        await change(client, params.name);
        return await getSchedule(client, params.name);
      },
    );
  }
  addRoute(
    app,
    context,
    {
      ...one,
      method: "POST",
      url: "/schedules/:name/run",
      role: "operator",
      summary: "Run a schedule now, also a disabled one",
      status: 201,
      answer: createdSchema,
      problems: ["LW404", "LW409"],
    },
    async ({ client, params }) => ({ id: await runSchedule(client, params.name) }),
  );
  addRoute(
    app,
    context,
    {
      ...one,
      method: "GET",
      url: "/schedules/:name/runs",
      role: "viewer",
      summary: "See what became of the last occurrences of a schedule, newest first",
      description: "They outlive the schedule, so a name that no schedule has is no error.",
      query: z.strictObject({ cursor: runCursor.schema.optional(), limit: pageLimit }),
      answer: page(
        z
          .object({
            schedule: z.string(),
            due_at: at,
            state: z.enum(["enqueued", "manual", "waiting", "skipped", "missed", "coalesced", "held_back"]),
            reason: z.string().nullable(),
            job_id: z.string().nullable(),
            outcome: z.enum(JOB_STATES).nullable(),
            occurrences: z.string().nullable(),
            last_due_at: at,
            recorded_at: at,
            tenant: z.string().nullable(),
          })
          .loose(),
        "A page of occurrences.",
      ),
    },
    async ({ client, params, query: { cursor, limit } }) => {
      const before = cursor === undefined ? undefined : new Date(cursor);
      const rows = await listScheduleRuns(client, params.name, { before, limit: limit + 1 });
      return toPage(rows, limit, ({ due_at }) => runCursor.make(due_at.toISOString()));
    },
  );
  addRoute(
    app,
    context,
    {
      method: "POST",
      url: "/schedules/preview",
      tag: "schedules",
      role: "viewer",
      summary: "See when a schedule would occur",
      body: z
        .strictObject({
          ...timing,
          ...window,
          count: z.int().min(1).max(1_000).optional().describe("How many; 10 by default."),
          from: time.optional().describe("From when on; now by default."),
        })
        .refine(isOne, ONE_TIMING)
        .meta({ examples: [{ cron: "30 2 * * *", timezone: "Europe/Berlin", count: 3 }] }),
      answer: page(
        z.object({ at, local: z.string().describe("What the clocks of the time zone show then.") }),
        "The next occurrences.",
      ).extend({ sentence: z.string().nullable().describe("A cron expression in words; null for another kind.") }),
    },
    async ({ client, body }) => {
      const { starts_at, ends_at, count, from, timezone } = body;
      const items = await previewSchedule(timingOf(body) as Timing, {
        count,
        from,
        timezone,
        startsAt: starts_at,
        endsAt: ends_at,
        client,
      });
      return { items, next_cursor: null, sentence: body.cron === undefined ? null : describeCron(body.cron) };
    },
  );
  addRoute(
    app,
    context,
    {
      method: "GET",
      url: "/schedule-load",
      tag: "schedules",
      role: "viewer",
      summary: "See how many jobs the schedules will enqueue, by the hour",
      description:
        "By the times of enabled schedules, those of crontabs included; what overlap, limits or outages will leave out is not known.",
      query: z.strictObject({ hours: wholeNumber(1, 48).default(24).describe("How many hours, this one included.") }),
      answer: page(
        z.object({
          at: at.describe("When the hour begins; the first one is counted from now on."),
          jobs: z.string().describe("A number, as text."),
          schedules: z.array(z.object({ name: z.string(), jobs: z.string() })).describe("The ten that enqueue the most."),
        }),
        "The hours.",
      ).extend({
        uncounted: z.array(z.object({ name: z.string(), reason: z.string() })).describe("Schedules whose times are not in it."),
      }),
    },
    async ({ client, query }) => ({ ...(await scheduleLoad(client, query.hours)), next_cursor: null }),
  );
}

/** What was given of the three; exactly one, as the schema says. */
function timingOf({ cron, every, at: once }: TimingFields): TimingFields {
  if (cron !== undefined) return { cron };
  return every === undefined ? { at: once } : { every };
}
