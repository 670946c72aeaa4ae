import {
  defineTask,
  enqueue,
  enqueueMany,
  enqueueOn,
  type Legwork,
  type PayloadOf,
  type Queryable,
  type TaskName,
} from "legwork";
import { z } from "zod";
import report from "./tasks/report.ts";
import welcome from "./tasks/notify/welcome.ts";
import { expectSame, expectType } from "./expect-type.ts";

declare const client: Queryable;
declare const legwork: Legwork;

expectSame<"notify/welcome" | "report" | "by-hand", TaskName>();
expectSame<{ userId: number; language?: string | undefined }, PayloadOf<"notify/welcome">>();
expectSame<unknown, PayloadOf<"unknown">>();

// With a task's name: the name and the payload are checked, and a payload can be omitted if it may be empty.
expectType<Promise<string>>()(enqueue(client, "notify/welcome", { userId: 3 }, { priority: 1 }));
await enqueue(client, "by-hand", { n: 1 });
await enqueue(client, "report");
await legwork.jobs.enqueue("notify/welcome", { userId: 3, language: "de" });
await legwork.with(client).jobs.enqueue("report", { since: "monday" });
// @ts-expect-error -- no task has this name
await enqueue(client, "notify/welcom", { userId: 3 });
// @ts-expect-error -- not the task's payload
await enqueue(client, "notify/welcome", { userId: "3" });
// @ts-expect-error -- the payload is required
await enqueue(client, "notify/welcome");
// @ts-expect-error -- a field that the task does not have
await enqueue(client, "by-hand", { n: 1, m: 2 });
// @ts-expect-error -- no option has this name
await enqueue(client, "report", {}, { prio: 1 });
// @ts-expect-error -- no task has this name
await legwork.jobs.enqueue("nothing");
// @ts-expect-error -- not the task's payload
await legwork.jobs.enqueue("by-hand", { n: "1" });
// @ts-expect-error -- the payload is required
await legwork.with(client).jobs.enqueue("by-hand");

await enqueueMany(client, [{ task: "report" }, { task: "by-hand", payload: { n: 1 }, priority: 1 }]);
// @ts-expect-error -- not the task's payload
await enqueueMany(client, [{ task: "by-hand", payload: { n: "1" } }]);
// @ts-expect-error -- the payload is required
await legwork.jobs.enqueueMany([{ task: "by-hand" }]);
// @ts-expect-error -- no task has this name
await legwork.jobs.enqueueMany([{ task: "nothing" }]);
// @ts-expect-error -- no task has this name
await enqueueOn(client, "users", ["insert"], "nothing");

await legwork.schedules.set("nightly", "by-hand", { cron: "0 6 * * *", payload: { n: 1 } });
// @ts-expect-error -- not the task's payload
await legwork.schedules.set("nightly", "by-hand", { cron: "0 6 * * *", payload: { n: "1" } });
// @ts-expect-error -- no task has this name
await legwork.schedules.set("nightly", "nothing", { cron: "0 6 * * *" });

// With the task itself, if it has a name.
await welcome.enqueue(client, { userId: 3 }, { jobKey: "welcome:3" });
await enqueue(client, welcome, { userId: 3 });
await legwork.jobs.enqueue(welcome, { userId: 3 });
// @ts-expect-error -- not the task's payload
await welcome.enqueue(client, { userId: "3" });
// @ts-expect-error -- the payload is required
await welcome.enqueue(client);
// @ts-expect-error -- not the task's payload
await legwork.jobs.enqueue(welcome, { userId: "3" });
// @ts-expect-error -- it has no name
await report.enqueue(client);
// @ts-expect-error -- it has no name
await legwork.jobs.enqueue(report);

// Without a payload schema, any payload is accepted.
const open = defineTask({ name: "report", run: (payload) => expectType<unknown>()(payload) });
await open.enqueue(client);
await open.enqueue(client, [1, 2]);

// The input of the schema is enqueued, and its output is passed to `run`.
const parsed = defineTask({
  name: "report",
  payload: z.object({ at: z.string().transform((text) => new Date(text)) }),
  run: ({ at }) => expectType<Date>()(at),
});
await parsed.enqueue(client, { at: "2026-01-01" });
// @ts-expect-error -- the output is a string, not a Date
await parsed.enqueue(client, { at: new Date() });
