import { defineTask, defineWorkflow, type NamedTask, type Task } from "legwork";
import { z } from "zod";
import { expectType } from "./expect-type.ts";
import welcome from "./tasks/notify/welcome.ts";

const user = z.object({ userId: z.number() });

expectType<Task<typeof user, z.ZodUnknown>>()(defineTask({ payload: user, run: async () => {} }));
expectType<NamedTask<typeof user, z.ZodUnknown>>()(defineTask({ name: "a", payload: user, run: async () => {} }));
defineTask({ payload: user, run: ({ userId }) => expectType<number>()(userId) });
defineTask({ payload: user, concurrency: { limit: 1, key: ({ userId }) => userId }, run: () => {} });
defineTask({ result: z.string(), run: async () => "done" });
// @ts-expect-error -- the payload has no such field
defineTask({ payload: user, run: ({ id }) => id });
// @ts-expect-error -- the result is text
defineTask({ result: z.string(), run: async () => 1 });
// @ts-expect-error -- no option has this name
defineTask({ retries: 3, run: () => {} });
// @ts-expect-error -- thread or process
defineTask({ isolate: "worker", run: () => {} });
// @ts-expect-error -- a task needs run
defineTask({ payload: user });

defineTask({
  payload: user,
  run: async (_payload, { job, sql, step, workflow, signal }) => {
    expectType<Date>()(job.runAt);
    expectType<string | undefined>()(workflow?.id);
    expectType<AbortSignal>()(signal);
    const rows = await sql<{ email: string }>`select email from users`;
    expectType<{ email: string }[]>()(rows);
    const stored = await step.run("fetch", () => ({ n: 1 }));
    expectType<number>()(stored.n);
  },
});

defineWorkflow({ name: "w", steps: { a: { task: "report" }, b: { task: "report", dependsOn: ["a"] } } });
// @ts-expect-error -- no step has this name
defineWorkflow({ name: "w", steps: { a: { task: "report" }, b: { task: "report", dependsOn: ["c"] } } });
// @ts-expect-error -- no task has this name
defineWorkflow({ name: "w", steps: { a: { task: "nothing" } } });

// The result of an invoked job has the type from the task's definition. If the task is given by name, the result is unknown.
defineTask({
  run: async (_payload, { step }) => {
    expectType<{ report: string }>()(await step.invoke("a", welcome, { userId: 3 }, { priority: 1 }));
    expectType<unknown>()(await step.invoke("b", "report", { since: "x" }));
    // @ts-expect-error -- not the task's payload
    await step.invoke("c", welcome, { userId: "3" });
    // @ts-expect-error -- a request with the same key would replace the job
    await step.invoke("d", welcome, { userId: 3 }, { jobKey: "k" });
    // @ts-expect-error -- no task has this name
    await step.invoke("e", "notify/welcom");
    const { one, two } = await step.all({ one: step.invoke("f", welcome, { userId: 3 }), two: step.run("g", () => 5) });
    expectType<string>()(one.report);
    expectType<number>()(two);
    const [first, second] = await step.all([step.waitFor<boolean>("go"), step.sleep("nap", "1s")]);
    expectType<boolean>()(first);
    expectType<void>()(second);
  },
});
