import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { createdSchema } from "../../../contract/jobs.ts";
import { MAX_PAGE_BYTES, toPage } from "../../../contract/page.ts";
import {
  beforePage,
  cursorAfter,
  loadPage,
  loadQuery,
  previewBody,
  previewPage,
  removedScheduleSchema,
  runCursor,
  scheduleBody,
  scheduleName,
  schedulePage,
  scheduleQuery,
  scheduleRunPage,
  scheduleRunQuery,
  scheduleSchema,
  type TimingFields,
} from "../../../contract/schedules.ts";
import { disableSchedule, enableSchedule } from "../../../schedules/enable-schedule.ts";
import { getSchedule, listScheduleRuns, listSchedulesWithin } from "../../../schedules/list-schedules.ts";
import { describeCron } from "../../../schedules/describe-cron.ts";
import { previewSchedule } from "../../../schedules/preview-schedule.ts";
import { scheduleLoad } from "../../../schedules/schedule-load.ts";
import { runSchedule } from "../../../schedules/run-schedule.ts";
import { schedule, type Timing } from "../../../schedules/schedule.ts";
import { unschedule } from "../../../schedules/unschedule.ts";
import { addRoute, type RestContext } from "../route.ts";

/** Adds the routes for schedules. */
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
      summary: "List schedules by name, including those of crontabs",
      query: scheduleQuery,
      answer: schedulePage,
    },
    async ({ client, query: { cursor, limit } }) => {
      const after = cursor === undefined ? undefined : beforePage(cursor);
      const { rows, isMore } = await listSchedulesWithin(client, { after, limit: limit + 1 }, MAX_PAGE_BYTES);
      return toPage(rows, limit, cursorAfter, isMore);
    },
  );
  addRoute(
    app,
    context,
    {
      ...one,
      method: "GET",
      url: "/schedules/:name",
      role: "viewer",
      summary: "Get a schedule",
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
      summary: "Create a schedule, or replace the one with this name",
      description: "A replaced schedule keeps its runs. If its times are unchanged, its next occurrence stays as planned.",
      body: scheduleBody,
      problems: ["LW404", "LW409", "LW422"],
    },
    async ({ client, params, body }) => {
      const { task, cron, every, at, ...options } = body;
      await schedule(client, params.name, task, { ...options, ...timingOf({ cron, every, at }) });
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
      summary: "Remove a schedule; its jobs and the record of its occurrences are kept",
      answer: removedScheduleSchema,
      problems: ["LW404", "LW409"],
    },
    async ({ client, params }) => {
      await unschedule(client, params.name);
      return { name: params.name };
    },
  );
  for (const [verb, change, summary] of [
    ["enable", enableSchedule, "Enable a schedule from now on"],
    ["disable", disableSchedule, "Disable a schedule until it is enabled again"],
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
      summary: "Enqueue a schedule's job now, even if the schedule is disabled",
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
      summary: "List the outcomes of a schedule's past occurrences, newest first",
      description: "Outcomes outlive their schedule, so an unknown name is not an error.",
      query: scheduleRunQuery,
      answer: scheduleRunPage,
    },
    async ({ client, params, query: { cursor, before, limit } }) => {
      const dueBefore = cursor === undefined ? before : new Date(cursor);
      const rows = await listScheduleRuns(client, params.name, { before: dueBefore, limit: limit + 1 });
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
      summary: "Preview a schedule's occurrences",
      body: previewBody,
      answer: previewPage,
    },
    async ({ client, body }) => {
      const { cron, every, at, ...options } = body;
      const items = await previewSchedule(timingOf({ cron, every, at }), { ...options, client });
      return { items, nextCursor: null, sentence: cron === undefined ? null : describeCron(cron) };
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
      summary: "Show how many jobs the schedules will enqueue per hour",
      description:
        "Counts the occurrences of enabled schedules, including those of crontabs. It cannot predict which occurrences will be skipped because of overlap, limits or outages.",
      query: loadQuery,
      answer: loadPage,
    },
    async ({ client, query }) => ({ ...(await scheduleLoad(client, query.hours)), nextCursor: null }),
  );
}

/** The timing in the request. The schema ensures that exactly one of the three fields is set. */
function timingOf({ cron, every, at }: TimingFields): Timing {
  if (cron !== undefined) return { cron };
  return every === undefined ? { at: at as Date } : { every };
}
