import { describe, expect, it } from "vitest";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { testDatabase } from "../support/database.ts";
import { add, KINDS, task, workerForAll } from "../support/isolated.ts";
import { until } from "../support/until.ts";

const database = testDatabase();

/** Actions of a task whose observable results must be the same wherever it runs. */
const BEHAVIORS: Record<string, string> = {
  nothing: "",
  null: "return null;",
  "a number": "return 1.5;",
  "an object with a Date": "return { at: new Date(0), un: undefined, list: [1, , 'x'] };",
  "a NUL": "return 'a\\u0000b\\ud800';",
  "a large string": "return 'x'.repeat(300_000);",
  "a bigint": "return 1n;",
  "a circular object": "const it = {}; it.it = it; return it;",
  "a function": "return () => 1;",
  "an error": "throw new Error('plain');",
  "a thrown string": "throw 'text';",
  "an error code": "throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });",
  "a cause with a code":
    "throw new TypeError('fetch failed', { cause: Object.assign(new Error('x'), { code: 'ECONNREFUSED' }) });",
  "an error class": "throw new HttpError('503');",
  "a cause with a class": "throw new Error('outer', { cause: new AggregateError([new HttpError('503')], 'all') });",
  "an error name": "throw Object.assign(new Error('named'), { name: 'HttpError' });",
  "a DOMException": "throw new DOMException('too late', 'TimeoutError');",
  "a frozen error": "throw Object.freeze(new Error('frozen'));",
  "circular causes": "const error = new Error('round'); error.cause = error; throw error;",
  "a database error": "await sql`select 1 / 0`;",
  Discard: "throw new Discard('never');",
  RetryAfter: "throw new RetryAfter('2h', 'later');",
  "RetryAfter with a Date": "throw new RetryAfter(new Date('2100-01-01T00:00:00Z'), 'later');",
  Snooze: "throw new Snooze('2h');",
  PayloadError: "throw new PayloadError('bad');",
  StepError: "await step.run('a', () => 1); await step.run('a', () => 1);",
  "a step that sleeps": "await step.sleep('night', '2h');",
};

describe("a task has the same results wherever it runs:", () => {
  const retry = 'retry: { attempts: 3, backoff: "fixed", delay: "1h", on: ["ECONNREFUSED", "HttpError", "TimeoutError"] },';
  const places = ["here", ...KINDS] as const;
  const entries = Object.entries(BEHAVIORS);
  workerForAll(
    database,
    Object.fromEntries(
      entries.flatMap(([, body], index) => places.map((place) => [`${place}_${index}`, task(place, body, retry)])),
    ),
  );

  it.each(entries.map(([name], index) => ({ name, index })))("$name", async ({ index }) => {
    const ids = await Promise.all(places.map((place) => add(database, `${place}_${index}`, {}, "max_attempts => 3")));
    const [here, ...elsewhere] = await Promise.all(
      ids.map((id) =>
        until(
          "the attempt has ended",
          async () => {
            const job = await getJob(database.pool, id);
            if (job.state === "pending" || job.state === "running") return undefined;
            // The job was enqueued in this millisecond, so it still counts as scheduled.
            if (job.state === "scheduled" && job.run_at.getTime() < Date.now() + 60_000) return undefined;
            return {
              state: job.state,
              attempts: job.attempts,
              result: job.result,
              error: job.error,
              wait: Math.round((job.run_at.getTime() - Date.now()) / 60_000),
              list: job.attempt_list.map(({ state, error_name, error_message, error_code, error_stack }) => ({
                state,
                error_name,
                error_message,
                error_code,
                stack: error_stack?.split("\n")[0],
              })),
            };
          },
          20_000,
        ),
      ),
    );
    for (const other of elsewhere) expect(other).toEqual(here);
  });
});
