import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { expect, it, onTestFinished, vi } from "vitest";
import { testDatabase } from "../support/database.ts";
import { plainJobs } from "../support/plain-jobs.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const database = testDatabase();
const { add, ended, reaches } = plainJobs(database);

/** How long an idle worker's statements are counted (s). Most of its regular work is due every two to ten seconds. */
const WINDOW_S = 6;

it(
  "an idle worker sends one statement a second, including the heartbeat, and starts a job when it becomes due",
  async () => {
    const watcher = new pg.Client({ connectionString: database.url });
    await watcher.connect();
    onTestFinished(() => watcher.end());
    const look = watcher.query.bind(watcher);
    // Must be called before the worker opens connections, because it stores their methods. The heartbeat's thread loads its own copy of the module.
    const statements = vi.spyOn(pg.Client.prototype, "query");
    onTestFinished(() => statements.mockRestore());
    const worker = await workerOver(database.url, {
      "works.ts": "export default async () => undefined;",
      "waits.ts":
        "export default (_payload, { abortSignal }) => new Promise((end) => abortSignal.addEventListener('abort', end));",
      "fails.ts": `import { defineTask } from "legwork";
        export default defineTask({ retry: { attempts: 3, backoff: "fixed", delay: "1s" }, async run(_payload, { job }) {
          if (job.attempts < 3) throw new Error("not yet");
        } });`,
    });
    await ended(await add("works"));
    const beats = async (): Promise<string> => {
      const { rows } = await look(
        "select query_start::text from pg_stat_activity where datname = current_database() and application_name = 'legwork heartbeat'",
      );
      return rows[0].query_start;
    };
    const seenAt = async (): Promise<Date> =>
      (await look("select seen_at from legwork.workers where id = $1", [worker.id])).rows[0].seen_at;
    // The main thread takes over the heartbeats when no job is running, and from then on, the worker only polls.
    await until(
      "the main thread has taken over the heartbeats",
      async () => {
        const before = await beats();
        await delay(2_500);
        return before === (await beats());
      },
      30_000,
    );
    const [beat, seen] = [await beats(), await seenAt()];
    statements.mockClear();
    await delay(WINDOW_S * 1_000);
    const sent = statements.mock.calls.map(([one]) => (typeof one === "string" ? one : (one as { text: string }).text));
    expect(await beats()).toBe(beat);
    expect((await seenAt()).getTime() - seen.getTime()).toBeGreaterThan((WINDOW_S - 3) * 1_000);
    // Less frequent statements may fall into the same period.
    expect(sent.length, sent.join("\n")).toBeLessThanOrEqual(WINDOW_S + 4);

    // Postgres sends no notification when a job becomes due, and graphile-worker itself polls only every fifteen seconds.
    const startsInTime = async (id: string): Promise<void> => {
      const { started_at: startedAt, run_at: runAt } = await ended(id);
      expect(startedAt!.getTime() - runAt.getTime()).toBeGreaterThanOrEqual(0);
      expect(startedAt!.getTime() - runAt.getTime()).toBeLessThan(scaled(700));
    };
    const inSeconds = (task: string, seconds: number): Promise<string> =>
      add(task, {}, `, run_at => clock_timestamp() + interval '${seconds} seconds'`);
    await startsInTime(await inSeconds("works", 3));
    // graphile-worker does not poll more often while another job runs. The jobs are due one after another before its next poll, and one is a retry.
    const waiting = await add("waits");
    await reaches(waiting, "running");
    for (const id of await Promise.all([1, 1.3, 1.6, 3].map((seconds) => inSeconds("works", seconds)))) await startsInTime(id);
    const failing = await add("fails");
    await startsInTime(failing);
    await database.pool.query("select legwork.cancel_job($1)", [waiting]);
  },
  scaled(60_000),
);
