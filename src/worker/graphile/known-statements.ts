import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { type Job, Logger as GraphileLogger, runTaskListOnce, type WorkerPool } from "graphile-worker";
import { installedGraphileWorker } from "../../health/doctor.ts";
import { GRAPHILE_WORKER_VERSION } from "../../db/migrate.ts";
import { LegworkError } from "../../errors.ts";
import { within } from "../../within.ts";

/** How long graphile-worker may take to run eight jobs without a database (ms). This normally takes 40 ms. */
const LIMIT_MS = 5_000;

/**
 * The statements of graphile-worker 0.18.0 that Legwork rewrites (`outcomes.ts`, `fetch-statement.ts`), by their prepared names, with the SHA-256 of
 * their text without line breaks and indentation.
 */
const KNOWN: ReadonlyMap<string, string> = new Map(
  Object.entries({
    get_job: "54ae06d6c1d6a12ebd1d049331f655ed137e7ac6b3aa24768cf7826d71e30963",
    get_job3: "31fadbad33fd9e85cbc8d820db7cee6bcc50b2f66ad5232c3a084532727bf80a",
    complete_job: "521e2351a8a1e77ed9761658123b53cde55d1a7807a4f7ff7a46905e6b1bae30",
    complete_jobs: "3e90ab6319cc789887f26f6ed35edc332be3b0e2aebf5ac98f2dd3598333a2bb",
    complete_job_q: "ace963deb291da7af1f208f0489d99987a02835d4cae75f96ebb70d770767f66",
    fail_job: "50fac34e2acac242e56a8b95845b270d251e832189f0da7fe0b26bef8fc5cbeb",
    fail_job_q: "2e6fdd6ca6ee35c29ae466882e77c0e633e8db03c71438e9ee392485ac32d890",
    return_job: "4c7ac2ac33a57aa5d5a7e09e02df18615e133a2b4bd2bf398f189d3e844f4280",
    return_job_q: "a4e5f524573c785a392e3c8ee9b49507db54ebcb28589e4403e8979ba9bf91a8",
  }),
);

/** What a job does in this probe. */
type Act = (pool: WorkerPool) => unknown;

const fail: Act = () => {
  throw new Error("This failure is intended.");
};

/** Records the statements that graphile-worker sends to run jobs of every kind, by name. Runs graphile-worker itself with a fake client. */
export async function recordStatements(seen: Map<string, string>): Promise<void> {
  const done: Act = () => undefined;
  // Jobs that end within one batch, with and without a queue, and a job that ends alone.
  await run(seen, -1, [[done], [done], [done, 1], [fail], [fail, 1], [() => delay(30)]]);
  // Jobs that were fetched ahead when the worker stops are returned to the queue.
  await run(seen, 3, [[(pool) => void pool.gracefulShutdown()], [done, 1], [done]]);
}

async function run(seen: Map<string, string>, ahead: number, acts: readonly [act: Act, queue?: number][]): Promise<void> {
  const jobs = acts.map(([, queue], index) => ({
    id: String(index + 1),
    task_id: 1,
    job_queue_id: queue ?? null,
    payload: {},
    attempts: 1,
    max_attempts: 2,
  }));
  const client = {
    query: async (statement: string | { name?: string; text: string }) => {
      const { name = "", text } = typeof statement === "string" ? { text: statement } : statement;
      if (name !== "") seen.set(name.split("/", 1)[0] ?? name, text);
      if (name.startsWith("get_job")) return { rows: jobs.splice(0, Math.max(1, ahead)) };
      return { rows: text.startsWith("select id, identifier") ? [{ id: 1, identifier: "probe" }] : [] };
    },
  };
  const pool: WorkerPool = runTaskListOnce(
    {
      noHandleSignals: true,
      preset: {
        worker: {
          schema: "graphile_worker",
          logger: new GraphileLogger(() => () => undefined),
          completeJobBatchDelay: 10,
          failJobBatchDelay: 0,
          localQueue: { size: ahead },
        },
      },
    },
    { probe: (_payload, { job }: { job: Job }) => acts[Number(job.id) - 1]?.[0](pool) as undefined },
    client as never,
  );
  await pool.promise;
}

/** Throws LW510 unless these are the statements that Legwork supports. */
export function assertStatements(seen: ReadonlyMap<string, string>): void {
  for (const [name, hash] of KNOWN) {
    const text = seen.get(name);
    if (text !== undefined && hashOf(text) === hash) continue;
    throw new LegworkError(
      "LW510",
      `graphile-worker ${installedGraphileWorker()} is installed, and its statement '${name}', which Legwork's worker rewrites, is ${text === undefined ? "missing" : "different"}.`,
      {
        hint: `npm install graphile-worker@${GRAPHILE_WORKER_VERSION} --save-exact, or remove the override or patch.`,
      },
    );
  }
}

function hashOf(text: string): string {
  return createHash("sha256").update(text.replaceAll(/\s+/g, " ").trim()).digest("hex");
}

let asserted: Promise<void> | undefined;

/** Throws LW510 for an unsupported graphile-worker when the worker starts, so that it does not fail only at its first job. Checks once. */
export async function assertKnownStatements(): Promise<void> {
  asserted ??= (async () => {
    const seen = new Map<string, string>();
    await within(LIMIT_MS, recordStatements(seen));
    assertStatements(seen);
  })();
  await asserted;
}
