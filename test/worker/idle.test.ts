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

/** How long the statements of an idle worker are counted (s). Most of its work is done every two to ten seconds. */
const WINDOW_S = 6;

it(
  "an idle worker sends one statement a second, heartbeat included, and starts a job when its time comes",
  async () => {
    const watcher = new pg.Client({ connectionString: database.url });
    await watcher.connect();
    onTestFinished(() => watcher.end());
    const look = watcher.query.bind(watcher);
    // Before its connections are opened, because a worker keeps their methods. The heartbeat's thread has a module of its own.
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
    // The main thread takes over the heartbeats once it runs no job, and then nothing but the poll happens.
    await until(
      "the thread is relieved",
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
    // The rarer ones may fall into the same seconds.
    expect(sent.length, sent.join("\n")).toBeLessThanOrEqual(WINDOW_S + 4);

    // Postgres sends no notification at that time, and graphile-worker itself looks every fifteen seconds.
    const startsInTime = async (id: string): Promise<void> => {
      const { started_at: startedAt, run_at: runAt } = await ended(id);
      expect(startedAt!.getTime() - runAt.getTime()).toBeGreaterThanOrEqual(0);
      expect(startedAt!.getTime() - runAt.getTime()).toBeLessThan(scaled(700));
    };
    const inSeconds = (task: string, seconds: number): Promise<string> =>
      add(task, {}, `, run_at => clock_timestamp() + interval '${seconds} seconds'`);
    await startsInTime(await inSeconds("works", 3));
    // Nor does it look more often while another job runs: jobs that are due before the next poll, one after the other, and a retry.
    const waiting = await add("waits");
    await reaches(waiting, "running");
    for (const id of await Promise.all([1, 1.3, 1.6, 3].map((seconds) => inSeconds("works", seconds)))) await startsInTime(id);
    const failing = await add("fails");
    await startsInTime(failing);
    await database.pool.query("select legwork.cancel_job($1)", [waiting]);
  },
  scaled(60_000),
);
