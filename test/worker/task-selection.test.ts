import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { explainJob } from "../../src/jobs/explain-job.ts";
import { selectTasks } from "../../src/worker/task-selection.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";
import { add, end } from "../support/isolated.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver } from "../support/worker.ts";

const database = testDatabase();

const inQueue = (queue: string, body = "undefined"): string =>
  `import { defineTask } from "legwork"; export default defineTask({ queue: "${queue}", run: async (payload, { sql, signal }) => ${body} });`;

const TASKS = {
  "notify/mail.ts": inQueue("mail"),
  "notify/sms.ts": inQueue("sms"),
  "report/daily.ts": inQueue("default"),
};

describe("what a worker runs", () => {
  it("is selected by task, pattern and queue; excluded jobs wait, and explain, the doctor and the list of workers show why", async () => {
    const worker = await workerOver(database.url, TASKS, {
      only: ["notify/*", "queue:default"],
      except: ["queue:sms", "report/*"],
    });
    expect(worker.tasks).toEqual(["notify/mail"]);
    const ids = await Promise.all(["notify/sms", "report/daily", "notify/mail"].map((task) => add(database, task)));
    await end(database, ids[2] ?? "");
    const { rows } = await database.pool.query(
      "select state from legwork.jobs where id = any ($1) order by state = 'completed'",
      [ids],
    );
    expect(rows.map(({ state }) => state)).toEqual(["pending", "pending", "completed"]);
    const { rows: workers } = await database.pool.query("select tasks, excluded, lacks, queue_slots from legwork.workers");
    expect(workers).toEqual([{ tasks: ["notify/mail"], excluded: ["notify/sms", "report/daily"], lacks: [], queue_slots: null }]);
    expect(await explainJob(database.pool, ids[0] ?? "")).toMatchObject([
      {
        reason: "no_worker",
        detail: expect.stringMatching(
          /^The only running Legwork worker that has the task 'notify\/sms' was started without it \(--only, --except\): .+:\d+\.$/,
        ) as string,
        fix: "Start a worker that runs it: legwork worker --only notify/sms.",
      },
    ]);
    const { rows: doctor } = await database.pool.query(
      `select finding from legwork.doctor_waiting() where "check" = 'tasks' order by finding limit 1`,
    );
    expect(doctor[0].finding).toMatch(
      /^1 job for task 'notify\/sms' has been waiting for .+, and no running Legwork worker runs this task: the workers that have it were started without it \(--only, --except\)\.$/,
    );
    const explained = async (): Promise<unknown[]> =>
      (
        await database.pool.query("select reason, detail from legwork.explain_worker($1) where reason = 'worker_lacks_task'", [
          worker.id,
        ])
      ).rows;
    expect(await explained()).toEqual(
      ["notify/sms", "report/daily"].map((task) => ({
        reason: "worker_lacks_task",
        detail: `It was started without the task '${task}' (--only, --except), for which 1 job waits, and no running worker runs it.`,
      })),
    );
    expect((await legwork(["workers"], { DATABASE_URL: database.url })).stdout).toMatch(
      / EXCLUDES[\s\S]* notify\/sms, report\/daily/,
    );
    // When another worker runs them, nothing needs to be explained.
    await workerOver(database.url, TASKS, { except: ["notify/mail"] });
    for (const id of ids) await end(database, id);
    expect(await explained()).toEqual([]);
  });

  it("is rejected in one line, with the nearest name, if no task or queue has the given name", async () => {
    const tasks = new Map(
      Object.entries({ "notify/mail": "mail", "notify/sms": "sms", daily: undefined }).map(([name, queue]) => [
        name,
        { name, function: async () => undefined, definition: queue === undefined ? undefined : { queue, run: () => undefined } },
      ]),
    );
    const refusal = (selection: Parameters<typeof selectTasks>[1]): string => {
      try {
        return [...selectTasks(tasks, selection)].join(", ");
      } catch (error) {
        const { message, hint } = error as { message: string; hint: string };
        return `${message} ${hint}`;
      }
    };
    expect(refusal({ only: ["notify2/*"] })).toBe("only: this worker has no task 'notify2/*'. Did you mean 'notify/*'?");
    expect(refusal({ only: ["mail"] })).toBe("only: this worker has no task 'mail'. Did you mean 'queue:mail'?");
    expect(refusal({ except: ["queue:mial"] })).toBe(
      "except: this worker has no task in the queue 'mial'. Did you mean 'queue:mail'?",
    );
    expect(refusal({ except: ["*"] })).toBe(
      "except leaves no task for this worker to run. It excludes all of: notify/mail, notify/sms, daily.",
    );
    expect(refusal({ slots: { sm: 1 } })).toBe("slots: no task that this worker runs is in the queue 'sm'. Did you mean 'sms'?");
    expect(refusal({ only: ["daily"], slots: { mail: 1 } })).toContain(
      "slots: no task that this worker runs is in the queue 'mail'.",
    );
    expect(refusal({ only: ["*i*"], except: ["*mail", "queue:nothing"] })).toContain("no task in the queue 'nothing'");
    expect(refusal({ only: ["*i*"], except: ["*mail"] })).toBe("notify/sms, daily");
    const directory = await directoryOf(TASKS);
    for (const [flags, message] of [
      [["--only", "notify/male"], "legwork: only: this worker has no task 'notify/male'. (LW514)"],
      [
        ["--slots", "mail=0"],
        "legwork: 'mail=0' is not a valid value for --slots. Expected a queue and a number from 1 to 10,000, such as mail=5. (LW400)",
      ],
    ] as const) {
      const { code, stderr } = await legwork(["worker", "--tasks", directory, "--log-level", "silent", ...flags], {
        DATABASE_URL: database.url,
      });
      expect([code, stderr.split("\n", 1)[0]]).toEqual([2, message]);
    }
  });
});

describe("slots of a queue", () => {
  beforeAll(async () => {
    await database.pool.query("create table if not exists running (task text, most integer)");
  });

  const HOLD = `{
    const counts = (globalThis.legworkTestCounts ??= {});
    const count = (counts[payload.of] ??= { now: 0, most: 0, done: 0, open: [] });
    count.most = Math.max(count.most, (count.now += 1));
    if (payload.hold) await new Promise((resolve) => count.open.push(resolve));
    else await new Promise((resolve) => setTimeout(resolve, 2));
    count.now -= 1;
    count.done += 1;
  }`;
  interface Count {
    now: number;
    most: number;
    done: number;
    open: (() => void)[];
  }
  const counts = (): Record<string, Count> =>
    ((globalThis as { legworkTestCounts?: Record<string, Count> }).legworkTestCounts ??= {});

  it.each([
    ["adapts how many it fetches", undefined],
    ["fetches several at a time", 8],
    ["fetches one at a time", 0],
  ])("limit how many jobs of a queue a worker that %s holds, while jobs of other queues run", async (_how, localQueueSize) => {
    const key = `${localQueueSize}`;
    await database.pool.query("delete from graphile_worker._private_jobs");
    const files = {
      "mail/a.ts": inQueue("mail", HOLD),
      "mail/b.ts": inQueue("mail", HOLD),
      "other.ts": inQueue("else", HOLD),
      "excluded.ts": inQueue("mail"),
    };
    await database.pool.query(
      `select legwork_private.register_tasks('[{"name": "mail/a"}, {"name": "mail/b"}, {"name": "other"}]')`,
    );
    // The jobs of the full queue have the higher priority.
    await database.pool.query(
      `select legwork.enqueue(case when n % 2 = 0 then 'mail/a' else 'mail/b' end, jsonb_build_object('of', $1 || 'mail', 'hold', true), priority => -5) from generate_series(1, 12) n`,
      [key],
    );
    await database.pool.query(
      `select legwork.enqueue('other', jsonb_build_object('of', $1 || 'other')) from generate_series(1, 40)`,
      [key],
    );
    const worker = await workerOver(database.url, files, {
      concurrency: 6,
      localQueueSize,
      slots: { mail: 2 },
      except: ["excluded"],
    });
    await until("the other jobs have run", () => counts()[`${key}other`]?.done === 40);
    const mail = (): Count => counts()[`${key}mail`]!;
    expect([mail().now, mail().most, mail().done]).toEqual([2, 2, 0]);
    const locked = async (): Promise<number> =>
      (
        await database.pool.query(
          "select count(*)::int as n from graphile_worker.jobs where locked_by is not null and task_identifier like 'mail/%'",
        )
      ).rows[0].n;
    // The worker holds only jobs that it runs.
    expect(await locked()).toBe(2);
    const waiting = (await database.pool.query("select min(id)::text as id from legwork.jobs where state = 'pending'")).rows[0]
      .id;
    await until("the heartbeat has reported both jobs", async () => {
      const { rows } = await database.pool.query("select cardinality(running) as n from legwork.workers where id = $1", [
        worker.id,
      ]);
      return rows[0].n === 2;
    });
    expect(await explainJob(database.pool, waiting)).toMatchObject([
      {
        reason: "workers_busy",
        detail:
          "The only worker that has its task runs at most 2 jobs of the queue 'mail' at a time (--slots), and 2 are running.",
        fix: "Start more workers, or give them more slots for this queue: legwork worker --slots mail=3.",
      },
    ]);
    expect((await legwork(["workers"], { DATABASE_URL: database.url })).stdout).toMatch(/ SLOTS[\s\S]* mail=2/);
    // When a slot becomes free, it is used at once, and not only at the next poll.
    const before = performance.now();
    for (let done = 1; done <= 12; done++) {
      mail().open.shift()?.();
      await until(`${done} jobs have ended`, () => mail().done === done && (mail().now === 2 || done > 10));
    }
    expect(mail().most).toBe(2);
    expect(performance.now() - before).toBeLessThan(6_000);
    onTestFinished(() => {
      for (const { open } of Object.values(counts())) for (const resolve of open) resolve();
    });
  });
});
