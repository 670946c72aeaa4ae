import type { Legwork, Operations, Queryable, Rows } from "legwork";
import { expectType } from "./expect-type.ts";
import welcome from "./tasks/notify/welcome.ts";

declare const legwork: Legwork;
declare const client: Queryable;

// Rows have columns in camelCase, and times are Dates. User data is unknown.
const [job] = await legwork.jobs.list({ state: "failed", correlationId: "x", limit: 5 });
if (job !== undefined) {
  expectType<Rows.Job>()(job);
  expectType<Date>()(job.createdAt);
  expectType<string | null>()(job.jobKey);
  expectType<unknown>()(job.payload);
  // @ts-expect-error -- snake_case is for SQL
  expectType<unknown>()(job.created_at);
}
// @ts-expect-error -- no state has this name
await legwork.jobs.list({ state: "done" });
// @ts-expect-error -- filters are camelCase
await legwork.jobs.list({ correlation_id: "x" });

const { attemptList } = await legwork.jobs.get("1");
expectType<Date | null>()((attemptList as [Rows.Attempt])[0].retryAt);
expectType<"cancelled" | "cancelling">()(await legwork.workflows.cancel("1"));
expectType<Rows.WorkflowStep[]>()((await legwork.workflows.get("1")).steps);
expectType<Date | null>()((await legwork.queues.get("a")).pausedAt);
expectType<number | null | undefined>()((await legwork.tasks.get("a")).retry?.attempts);
expectType<string>()((await legwork.overview()).running);

// A result has the type from the task's definition or from its entry in the registry.
expectType<{ report: string }>()(await legwork.jobs.enqueueAndWait("notify/welcome", { userId: 3 }, { timeout: "5s" }));
expectType<{ report: string }>()(await legwork.jobs.enqueueAndWait(welcome, { userId: 3 }, { priority: 1 }));
expectType<unknown>()(await legwork.jobs.enqueueAndWait("by-hand", { n: 1 }));
expectType<unknown>()(await legwork.jobs.result("1", { signal: AbortSignal.timeout(5) }));
expectType<number>()(await legwork.jobs.result<number>("1"));
// @ts-expect-error -- not the task's payload
await legwork.jobs.enqueueAndWait("notify/welcome", { userId: "3" });
// @ts-expect-error -- a job never ends while the transaction that enqueues it is open
await legwork.with(client).jobs.enqueueAndWait("by-hand", { n: 1 });

// The same tree for the caller's connection, without the members that belong to the process.
expectType<Operations>()(legwork.with(client));
// @ts-expect-error -- migrating needs its own transaction
await legwork.with(client).migrate();
// @ts-expect-error -- a limit belongs to a queue or a task
await legwork.limits.setConcurrency(1, { queue: "a", task: "b" });
// @ts-expect-error -- a schedule has a cron expression, an interval or a time
await legwork.schedules.set("s", "report", {});
