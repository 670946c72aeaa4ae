import { defineConfig, defineMiddleware, defineTask, type Legwork as Own } from "legwork";
import { expectType } from "./expect-type.ts";

interface Mailer {
  send(to: string): Promise<void>;
}

declare global {
  namespace Legwork {
    interface Values {
      mailer: Mailer;
    }
  }
}

declare const mailer: Mailer;
declare const legwork: Own;

// Values that middleware adds have the declared type, and tasks can use them.
const services = defineMiddleware({
  name: "services",
  attempt: async ({ job, session, payload, values }, next) => {
    expectType<unknown>()(payload);
    expectType<Mailer | undefined>()(values.mailer);
    session["app.tenant"] = job.tenant ?? "";
    // @ts-expect-error -- settings are text
    session["app.count"] = 3;
    // @ts-expect-error -- not a Mailer
    await next({ mailer: "smtp" });
    // @ts-expect-error -- no such value
    await next({ postman: mailer });
    return await next({ mailer });
  },
  enqueue: (job, { parent }) => {
    expectType<string | undefined>()(parent?.task);
    return { ...job, correlationId: "x" };
  },
  on: { job_failed: ({ final, error }) => console.error(final, error.message) },
});
defineTask({ run: async (_payload, { values }) => await values.mailer.send("ann@example.com") });
defineConfig({ middleware: [services] });
// @ts-expect-error -- middleware has a name
defineMiddleware({ attempt: async (_context, next) => await next() });
// @ts-expect-error -- an unknown event
defineMiddleware({ name: "a", on: { job_done: () => undefined } });

const end = legwork.events.on("worker_stopped", ({ givenBack }) => expectType<readonly string[]>()(givenBack));
expectType<() => void>()(end);
// @ts-expect-error -- an unknown event
legwork.events.once("completed", () => undefined);
