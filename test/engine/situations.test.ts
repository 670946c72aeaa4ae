import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";
import { operationsOn } from "../../src/api/operations.ts";
import { explainJob, type Reason } from "../../src/jobs/explain-job.ts";
import { getJob } from "../../src/jobs/read-jobs.ts";
import type { Worker } from "../../src/worker/worker.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver, workerProcess } from "../support/worker.ts";

const database = testDatabase();

const query = async (text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> =>
  (await database.pool.query(text, values)).rows;

/** A situation gets a point if the true cause is named, a point if following the fix to the letter helps, and one if nothing misleads. */
const POINTS = ["cause", "fix", "not misleading"] as const;
const scores = new Map<string, boolean[]>();

const TASKS = {
  "mail.ts": `import { defineTask } from "legwork";
    export default defineTask({ queue: "letters", run: async () => ({ sent: 1 }) });`,
  "waits.ts": `import { defineTask } from "legwork";
    export default defineTask({ queue: "letters", run: async ({ gate }, { sql, signal }) => {
      while ((await sql\`select from gates where name = \${gate}\`).length === 0) {
        signal.throwIfAborted();
        await new Promise((wake) => setTimeout(wake, 20));
      }
    } });`,
  "fails.ts": `import { defineTask } from "legwork";
    export default defineTask({ retry: { attempts: 3, backoff: "fixed", delay: "1h" }, run: async ({ gate }, { sql }) => {
      if ((await sql\`select from gates where name = \${gate}\`).length === 0) throw new Error("the provider is down");
    } });`,
  "flaky.ts": `import { defineTask } from "legwork";
    export default defineTask({ retry: { attempts: 3, backoff: "fixed", delay: "1ms" }, run: async ({ gate }, { sql }) => {
      if ((await sql\`select from gates where name = \${gate}\`).length === 0) throw new Error("the provider is down");
    } });`,
  "approval.ts": `import { defineTask } from "legwork";
    export default defineTask({ run: async (_payload, { step }) => await step.waitFor("approval") });`,
  "typed.ts": `import { defineTask } from "legwork";
    import { z } from "zod";
    export default defineTask({ payload: z.object({ to: z.string() }), run: async () => {} });`,
  "nothing.ts": `import { defineTask } from "legwork";
    export default defineTask({ run: async (_payload, { log, enqueue }) => {
      log.warn("user has no address; nothing sent");
      await enqueue("mail", {});
      return { sent: 0, skipped: "user opted out" };
    } });`,
};

it(
  "explain names the true cause, a fix that works when followed to the letter, and nothing that misleads",
  async () => {
    await query("create table gates (name text primary key)");
    const tasks = await directoryOf(TASKS);
    const staff = await workerOver(database.url, [tasks], { concurrency: 4, localQueueSize: 0, forbiddenFlags: ["heavy"] });
    await until("the worker is alive", async () => (await query("select from legwork.workers")).length > 0);
    await Promise.all([
      inTurn(HELD_BACK),
      inTurn([
        ["16 quarantined", quarantined],
        ["30 a plain worker has died", diedElsewhere],
      ]),
      inTurn([
        ["11 the only worker is stopped", stopped],
        ["23 connections are used up", exhausted],
        ["31 a task never ends", stuck],
      ]),
    ]);
    await inTurn(FULL);
    await staff.stop();
    const rows = [...scores].toSorted(([a], [b]) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
    const total = rows.flatMap(([, points]) => points).filter(Boolean).length;
    const table = rows.map(
      ([name, points]) => `${name.padEnd(44)}${points.map((point) => (point ? "1" : "0").padStart(6)).join("")}`,
    );
    console.info([`${"".padEnd(44)} cause   fix   not misleading`, ...table, `${total} of ${3 * rows.length}`].join("\n"));
    expect(rows.flatMap(([name, points]) => POINTS.filter((_, n) => !points[n]).map((point) => `${name}: ${point}`))).toEqual([]);
    expect(total).toBe(105);
  },
  scaled(180_000),
);

type Situation = (told: Told) => Promise<void>;

/** Checks the explanation of one situation. */
class Told {
  readonly points = [false, false, true];
  problem: unknown = undefined;

  /** Polls until explain names the cause, because workers report only once a second. */
  async names(id: string, cause: RegExp, misleading?: RegExp): Promise<Reason[]> {
    let reasons: Reason[] = [];
    await until(`explain names ${cause.source}; it says ${JSON.stringify(reasons)}`, async () => {
      reasons = await explainJob(database.pool, id);
      return cause.test(textOf(reasons));
    }).catch((error: unknown) => {
      throw new Error(`Expected ${String(cause)}, but explain says: ${JSON.stringify(reasons, null, 1)}`, { cause: error });
    });
    this.points[0] = true;
    const wrong = misleading?.exec(textOf(reasons));
    if (wrong != null) {
      this.points[2] = false;
      throw new Error(`Misleading: ${wrong[0]}`);
    }
    return reasons;
  }

  helped(): void {
    this.points[1] = true;
  }
}

const textOf = (reasons: Reason[]): string => reasons.map(({ detail, fix }) => `${detail} ${fix}`).join("\n");

async function inTurn(situations: readonly (readonly [name: string, Situation])[]): Promise<void> {
  for (const [name, situation] of situations) {
    const told = new Told();
    scores.set(name, told.points);
    try {
      await situation(told);
    } catch (error) {
      console.error(`${name}:`, error);
    }
  }
}

/** Runs the statements of a fix as they are printed. `fill` provides the values that the user has to give. Returns the rows of the last one. */
async function follow(reason: Reason | undefined, fill = "{…}"): Promise<Record<string, unknown>[]> {
  const statements = [...(reason?.fix.matchAll(/`([^`]+)`/g) ?? [])].map(([, statement = ""]) => statement);
  expect(statements.length).toBeGreaterThan(0);
  expect(statements.length).toBe(reason?.actions.length);
  let rows: Record<string, unknown>[] = [];
  for (const statement of statements) rows = await query(statement.replace("{…}", fill));
  return rows;
}

const enqueue = async (task: string, payload: unknown = {}, options = ""): Promise<string> =>
  String((await query(`select legwork.enqueue($1, $2${options}) as id`, [task, JSON.stringify(payload)]))[0]!.id);
const open = (gate: string): Promise<unknown> => query("insert into gates values ($1) on conflict do nothing", [gate]);
const isIn = async (id: string, state: string, timeout?: number): Promise<void> => {
  await until(`job ${id} is ${state}`, async () => (await getJob(database.pool, id)).state === state, timeout);
};
const completes = (id: string): Promise<void> => isIn(id, "completed", 20_000);
const idOf = (rows: Record<string, unknown>[]): string => String(Object.values(rows[0] ?? {})[0]);

/** Calls explain as a tenant's session does. */
async function asTenant(tenant: string, id: string): Promise<Reason[]> {
  const client = await database.pool.connect();
  try {
    await client.query("begin");
    await client.query("select set_config('legwork.confined_to', $1, true), set_config('legwork.role', 'operator', true)", [
      tenant,
    ]);
    return await explainJob(client, id);
  } finally {
    await client.query("rollback");
    client.release();
  }
}

const HELD_BACK: [string, Situation][] = [
  [
    "1 the queue is paused",
    async (told) => {
      await query("select legwork.pause_queue('letters', 'provider is down')");
      const id = await enqueue("mail");
      const [reason] = await told.names(id, /Queue 'letters' was paused by postgres at .+: provider is down\./);
      await follow(reason);
      await completes(id);
      told.helped();
    },
  ],
  [
    "2 the task is paused",
    async (told) => {
      await query("select legwork.pause_task('mail', 'bug 7')");
      const id = await enqueue("mail");
      await follow((await told.names(id, /Task 'mail' was paused by postgres at .+: bug 7\./))[0]);
      await completes(id);
      told.helped();
    },
  ],
  [
    "3 everything is stopped, above a paused queue",
    async (told) => {
      await query("select legwork.pause_queue('letters'), legwork.emergency_stop('wrong mails')");
      const id = await enqueue("mail");
      await follow((await told.names(id, /Everything was stopped by .+: wrong mails\.[^]+Queue 'letters' was paused/))[0]);
      const rest = await told.names(id, /^Queue 'letters' was paused/);
      await follow(rest[0]);
      await completes(id);
      told.helped();
    },
  ],
  [
    "4 the queue's concurrency is used up",
    async (told) => {
      await query("select legwork.limit_concurrency(2, queue => 'letters')");
      const holders = [await enqueue("waits", { gate: "4" }), await enqueue("waits", { gate: "4" })];
      const id = await enqueue("mail");
      const [reason] = await told.names(
        id,
        new RegExp(`queue 'letters' is 2, and all slots are taken by jobs ${holders.join(", ")}. It is number 1 in line`),
      );
      await follow(reason);
      await completes(id);
      told.helped();
      await open("4");
      for (const holder of holders) await completes(holder);
      await query("select legwork.drop_limit('concurrency', queue => 'letters')");
    },
  ],
  [
    "5 a limit's key is used up by another tenant",
    async (told) => {
      await query("select legwork.limit_concurrency(1, task => 'waits', key => 'customer')");
      const other = await enqueue("waits", { gate: "5", customer: "c" }, ", tenant => 'acme'");
      await isIn(other, "running");
      const id = await enqueue("waits", { gate: "always", customer: "c" }, ", tenant => 'other'");
      await open("always");
      const [seen] = await asTenant("other", id);
      expect(seen).toMatchObject({ detail: expect.stringMatching(/all slots are taken by 1 job\./), actions: [] });
      expect(seen?.fix).toBe("Wait, or ask an operator of the whole system to raise the limit.");
      await follow((await told.names(id, new RegExp(`for customer = c is 1, and all slots are taken by job ${other}`)))[0]);
      await completes(id);
      told.helped();
      await open("5");
      await completes(other);
      await query("select legwork.drop_limit('concurrency', task => 'waits', key => 'customer')");
    },
  ],
  [
    "6 the rate limit is used up",
    async (told) => {
      await query("select legwork.limit_rate(1, '1 day', task => 'mail')");
      await completes(await enqueue("mail"));
      const [next, last] = [await enqueue("mail"), await enqueue("mail")];
      const startOf = async (id: string, cause: RegExp): Promise<number> => {
        const [reason] = await told.names(id, cause);
        const [, at = ""] =
          /This job can start at ([-\d]+ [:\d]+) UTC \(in .+\) at the earliest/.exec(reason?.detail ?? "") ?? [];
        return (Date.parse(`${at.replace(" ", "T")}Z`) - Date.now()) / 3_600_000;
      };
      const hours = [
        await startOf(next, /is 1 per day, and it is used up. It is number 1/),
        await startOf(last, /It is number 2/),
      ];
      expect(hours[0]).toBeCloseTo(24, 0);
      expect(hours[1]).toBeCloseTo(48, 0);
      await follow((await explainJob(database.pool, next))[0]);
      await completes(next);
      told.helped();
      await query("select legwork.drop_limit('rate', task => 'mail')");
      await completes(last);
    },
  ],
  [
    "7 it is due tomorrow",
    async (told) => {
      const id = await enqueue("mail", {}, ", run_at => now() + interval '1 day'");
      await follow((await told.names(id, /It is due at .+ \(in 23 hours/))[0]);
      await completes(id);
      told.helped();
    },
  ],
  [
    "8 it waits for its next attempt",
    async (told) => {
      const id = await enqueue("fails", { gate: "8" });
      const [reason] = await told.names(
        id,
        /Attempt 1 of \d+ failed, and the next one is due at .+ \(in 59 minutes.*\). Last error: the provider is down/,
      );
      await open("8");
      await follow(reason);
      await completes(id);
      told.helped();
    },
  ],
  [
    "9 no worker has its task",
    async (told) => {
      const id = idOf(await query("select id from graphile_worker.add_job('xylophone')"));
      await told.names(
        id,
        /(does not have|has) the task 'xylophone'\. Start a worker that has it: legwork worker --tasks DIR/,
        /Did you mean/,
      );
      const worker = await workerOver(database.url, {
        "xylophone.ts": `import { defineTask } from "legwork"; export default defineTask({ run: async () => {} });`,
      });
      await completes(id);
      told.helped();
      await worker.stop();
    },
  ],
  [
    "10 its task is misspelled",
    async (told) => {
      const id = idOf(await query(`select id from graphile_worker.add_job('mial', '{"to": "ann"}')`));
      const [reason] = await told.names(id, /the task 'mial'\. No Legwork worker has ever had it\. Did you mean 'mail'\?/);
      const again = idOf(await follow(reason));
      await completes(again);
      expect(await getJob(database.pool, again)).toMatchObject({ task: "mail", payload: { to: "ann" } });
      await expect(enqueue("mial")).rejects.toMatchObject({
        code: "LW404",
        hint: expect.stringContaining("Did you mean 'mail'?"),
      });
      told.helped();
    },
  ],
  [
    "12 it depends on a job that has failed",
    async (told) => {
      const first = await enqueue("fails", { gate: "12" }, ", max_attempts => 1");
      const id = await enqueue("mail", {}, `, depends_on => array[${first}]`);
      const [reason] = await told.names(
        id,
        new RegExp(`It was cancelled at .+: Cancelled because job ${first}, which it depends on, failed\\.`),
      );
      expect(reason?.actions).toMatchObject([
        { do: "explain_job", id: first },
        { do: "rerun_job", id },
      ]);
      await completes(idOf(await follow(reason)));
      told.helped();
    },
  ],
  [
    "13 it depends on a job that is running",
    async (told) => {
      const first = await enqueue("waits", { gate: "13" });
      const id = await enqueue("mail", {}, `, depends_on => array[${first}]`);
      await told.names(
        id,
        new RegExp(`It is waiting for job ${first} \\(waits\\), which is running\\. Wait for that job to end\\.`),
      );
      await open("13");
      await completes(id);
      told.helped();
    },
  ],
  [
    "14 its serial key is taken",
    async (told) => {
      const holder = await enqueue("waits", { gate: "14" }, ", serial_key => 's'");
      await isIn(holder, "running");
      const id = await enqueue("mail", {}, ", serial_key => 's'");
      await follow((await told.names(id, new RegExp(`serial key 's' run one at a time, and job ${holder} is running now`)))[0]);
      await completes(id);
      told.helped();
    },
  ],
  [
    "15 its attempts are used up",
    async (told) => {
      const id = await enqueue("flaky", { gate: "15" });
      await isIn(id, "failed", 20_000);
      const [reason] = await told.names(
        id,
        /It failed at .+ after 3 of 3 attempts: the provider is down Fix the cause, then retry it/,
      );
      await open("15");
      await follow(reason);
      await completes(id);
      told.helped();
    },
  ],
  [
    "17 it has expired",
    async (told) => {
      await query("select legwork.pause_task('mail')");
      const id = await enqueue("mail", {}, ", expires_at => now() + interval '200 ms'");
      await isIn(id, "expired");
      await query("select legwork.resume_task('mail')");
      await completes(idOf(await follow((await told.names(id, /It expired at .+ If it should still run, run it again/))[0])));
      told.helped();
    },
  ],
  [
    "19 its transaction is open",
    async (told) => {
      const client = await database.pool.connect();
      await client.query("begin");
      const id = String((await client.query("select legwork.enqueue('mail') as id")).rows[0].id);
      await expect(explainJob(database.pool, id)).rejects.toMatchObject({
        code: "LW404",
        hint: expect.stringMatching(
          /^The id was assigned.*\. Either the transaction that enqueued the job is still open .+ The oldest open transaction .+ belongs to session \d+ of user 'postgres'/,
        ),
      });
      await expect(explainJob(database.pool, "9999999")).rejects.toMatchObject({
        hint: expect.stringMatching(/^No job has had this id yet: the last id is \d+\.$/),
      });
      told.points[0] = true;
      await client.query("commit");
      client.release();
      await completes(id);
      told.helped();
    },
  ],
  [
    "20 the worker forbids its flag",
    async (told) => {
      const id = idOf(
        await query(
          "select id from graphile_worker.add_job('mail', run_at => now() - interval '1 minute', flags => array['heavy'])",
        ),
      );
      await told.names(
        id,
        /none has fetched it\. It has the flag 'heavy': workers that forbid this flag .+ Start a worker that accepts its flags/,
        /pooler/,
      );
      const worker = await workerOver(database.url, { "mail.ts": TASKS["mail.ts"] });
      await completes(id);
      told.helped();
      await worker.stop();
    },
  ],
  [
    "24 it has completed",
    async (told) => {
      const id = await enqueue("mail");
      await completes(id);
      await follow((await told.names(id, /It completed at .+ Its result: \{"sent": 1\}/, /Nothing is wrong/))[0]);
      told.helped();
    },
  ],
  [
    "25 the id is another tenant's",
    async (told) => {
      const id = await enqueue("mail", {}, ", tenant => 'acme'");
      const refusal = async (one: string): Promise<string> =>
        await asTenant("other", one).then(
          () => "visible",
          ({ code, message, hint }) => `${code} ${message} ${hint}`.replaceAll(one, "ID"),
        );
      expect(await refusal(id)).toBe(await refusal("9999999"));
      expect(await refusal(id)).toMatch(/^LW404 No job has id ID\./);
      told.points[0] = true;
      told.helped();
    },
  ],
  [
    "26 its workflow's step was cancelled",
    async (told) => {
      const workflow = idOf(
        await query(
          `select legwork.start_workflow('w', '[{"name": "a", "task": "waits", "payload": {"gate": "26"}}, {"name": "b", "task": "mail", "depends_on": ["a"]}]')`,
        ),
      );
      const [a, b] = (
        await query("select job_id from legwork.workflow_steps where workflow_id = $1 order by position", [workflow])
      ).map((row) => String(row.job_id));
      await query("select legwork.cancel_job($1)", [a]);
      const [reason] = await told.names(b!, new RegExp(`Cancelled because job ${a}, .+ It is a step of workflow ${workflow}\\.`));
      await follow(reason);
      await open("26");
      await until(
        "the workflow has completed",
        async () => (await query("select from legwork.workflows where id = $1 and state = 'completed'", [workflow])).length > 0,
      );
      told.helped();
    },
  ],
  [
    "27 it waits for a signal, and another was sent",
    async (told) => {
      const id = await enqueue("approval");
      await isIn(id, "blocked");
      await query("select legwork.send_signal($1, 'aproval')", [id]);
      await follow(
        (
          await told.names(
            id,
            /waiting for the signal 'approval' since .+ It has received signals that it does not wait for: 'aproval' at .+ by postgres\./,
          )
        )[0],
      );
      await completes(id);
      told.helped();
    },
  ],
  [
    "28 its payload does not match",
    async (told) => {
      const id = idOf(await query("select id from graphile_worker.add_job('typed', '{}')"));
      await isIn(id, "failed");
      const [reason] = await told.names(
        id,
        /in attempt 1 of \d+, and will not be retried automatically: The payload does not match .+ A retry would fail again/,
      );
      await completes(idOf(await follow(reason, '{"to": "ann"}')));
      expect(await explainJob(database.pool, id)).toMatchObject([{ reason: "discarded" }]);
      told.helped();
    },
  ],
  [
    "32 it has completed and done nothing",
    async (told) => {
      const id = await enqueue("nothing");
      await completes(id);
      const [reason] = await told.names(
        id,
        /Its log has 1 warning\. It enqueued 1 job\. Its result: \{.*"skipped": "user opted out"/,
        /Nothing is wrong/,
      );
      expect(await follow(reason)).toMatchObject([{ level: "warn", message: "user has no address; nothing sent" }]);
      told.helped();
    },
  ],
  [
    "34 its job key was used again",
    async (told) => {
      const running = await enqueue("waits", { gate: "34" }, ", job_key => 'r'");
      await isIn(running, "running");
      const next = await enqueue("waits", { gate: "34" }, ", job_key => 'r', run_at => now() + interval '1 hour'");
      const [, reason] = await told.names(
        running,
        new RegExp(`It is running: attempt 1, [^]+It was replaced or removed at .+ Job ${next} was enqueued in its place\\.`),
      );
      expect(await follow(reason)).toMatchObject([{ reason: "run_at_ahead" }]);
      expect(await enqueue("mail", {}, ", job_key => 'r', run_at => now() + interval '2 hours'")).toBe(next);
      await told.names(next, /it was replaced by a later request with the same job key \('r'\)/);
      await open("34");
      await completes(running);
      told.helped();
    },
  ],
  [
    "18 it was cancelled on the command line",
    async (told) => {
      const id = await enqueue("mail", {}, ", run_at => now() + interval '1 day'");
      expect((await legwork(["cancel", id, "--reason", "wrong recipients"], { DATABASE_URL: database.url })).code).toBe(0);
      await completes(idOf(await follow((await told.names(id, /Cancelled by \S+@\S+: wrong recipients/, /by postgres/))[0])));
      told.helped();
    },
  ],
  [
    "29 its schedule is disabled",
    async (told) => {
      await query("select legwork.schedule('hourly', 'mail', every => '1 hour'), legwork.disable_schedule('hourly')");
      const explained = async (): Promise<Reason[]> => await operationsOn(database.pool).schedules.explain("hourly");
      const [reason] = await explained();
      expect(reason?.detail).toMatch(/^It was disabled by postgres at .+ ago\./);
      told.points[0] = true;
      await completes(idOf(await follow(reason)));
      expect((await explained()).map(({ reason: code }) => code)).not.toContain("schedule_disabled");
      told.helped();
      await query("select legwork.unschedule('hourly')");
    },
  ],
  [
    "33 the trigger that enqueues it is disabled",
    async (told) => {
      await query("create table people (id bigint)");
      await query("select legwork.enqueue_on('people', 'insert', 'mail')");
      await query("alter table people disable trigger all");
      const [finding] = await query(`select finding, fix from legwork.doctor() where "check" = 'enqueue_on'`);
      expect(finding?.finding).toMatch(/^The trigger that enqueues 'mail' on each insert in public\.people is disabled/);
      told.points[0] = true;
      await query(String(finding?.fix).split(". ")[0] ?? "");
      const before = idOf(await query("select max(id) from legwork.jobs"));
      await query("insert into people values (1)");
      await completes(idOf(await query("select id from legwork.jobs where id > $1 and task = 'mail' limit 1", [before])));
      told.helped();
    },
  ],
  [
    "35 a request was merged, or is held by a throttle",
    async (told) => {
      const add = async (...options: string[]): Promise<{ id: string }> =>
        JSON.parse((await legwork(["add", "mail", "{}", ...options, "--json"], { DATABASE_URL: database.url })).stdout);
      const first = await add("--unique-for", "1h");
      expect(await add("--unique-for", "1h")).toEqual({ id: first.id, created: false, mergedBy: "uniqueFor" });
      await completes((await add("--job-key", "k", "--throttle", "1h")).id);
      const { id } = await add("--job-key", "k", "--throttle", "1h");
      await follow(
        (
          await told.names(
            id,
            /It is due at .+: requests with its job key 'k' are throttled, so that at most one starts every hour/,
          )
        )[0],
      );
      await completes(id);
      told.helped();
    },
  ],
];

/** Situations that need all slots of the worker. */
const FULL: [string, Situation][] = [
  [
    "21 many jobs are ahead of it",
    async (told) => {
      const holders = await fill("21");
      await query(
        `insert into graphile_worker._private_jobs (task_id, payload) select (select id from graphile_worker._private_tasks where identifier = 'mail'), '{"ahead": true}' from generate_series(1, 10500)`,
      );
      await query("analyze graphile_worker._private_jobs");
      const id = await enqueue("mail", {}, ", priority => 20");
      const [reason] = await told.names(
        id,
        /is full: 4 of 4 jobs running\. About 1[01],\d00 other jobs are ahead of this one \(an estimate\)/,
      );
      await follow(reason);
      await told.names(id, /No other job is ahead of this one/, /set_priority/);
      await query("select legwork.cancel_job($1)", [holders[0]]);
      await completes(id);
      const [first] = await query(
        "select count(*)::int as ended from legwork.jobs where task = 'mail' and payload ->> 'ahead' is not null and finished_at < (select started_at from legwork.jobs where id = $1)",
        [id],
      );
      expect(first?.ended).toBe(0);
      told.helped();
      await query("delete from graphile_worker._private_jobs where payload ->> 'ahead' is not null and locked_at is null");
      await open("21");
      for (const holder of holders.slice(1)) await completes(holder);
    },
  ],
  [
    "22 all slots of the workers are taken",
    async (told) => {
      await fill("22");
      const id = await enqueue("mail");
      await told.names(
        id,
        /The only worker that has its task is full: 4 of 4 jobs running\. No other job is ahead of this one\. Start more workers/,
        /priority/,
      );
      const worker = await workerOver(database.url, { "mail.ts": TASKS["mail.ts"] });
      await completes(id);
      told.helped();
      await open("22");
      await worker.stop();
    },
  ],
];

async function fill(gate: string): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < 4; n++) ids.push(await enqueue("waits", { gate }));
  await until(
    "the worker is full",
    async () => (await query("select from legwork.workers where running @> $1::bigint[]", [ids])).length > 0,
  );
  return ids;
}

async function quarantined(told: Told): Promise<void> {
  const tasks = await directoryOf({
    "crash.ts": `import { defineTask } from "legwork";
      export default defineTask({ run: async (_payload, { sql }) => {
        if ((await sql\`select from gates where name = 'crash'\`).length === 0) process.kill(process.pid, "SIGKILL");
      } });`,
  });
  const id = idOf(await query("select id from graphile_worker.add_job('crash')"));
  for (let death = 1; death <= 3; death++) {
    const victim = await workerProcess(database, tasks).catch(() => undefined);
    if (victim !== undefined && victim.signalCode === null) await new Promise((resolve) => victim.once("exit", resolve));
    // Backdated, so that the test does not have to wait for the two checks that declare a worker dead.
    await query(
      "update legwork_private.worker_processes set seen_at = seen_at - interval '1 minute', suspected_at = clock_timestamp() - interval '1 minute' where tasks = array['crash']",
    );
    await until(
      "the attempt is lost",
      async () => (await query("select from legwork_private.failed_attempts where job_id = $1", [id])).length >= death,
      20_000,
    );
  }
  await isIn(id, "failed", 20_000);
  const [reason] = await told.names(
    id,
    /Quarantined: three workers died .+ Do not retry it yet: .+ in the logs of pool-\w+ at .+, pool-\w+ at .+, pool-\w+ at .+ When that is fixed, retry it/,
  );
  await open("crash");
  await follow(reason);
  await workerProcess(database, tasks);
  await completes(id);
  told.helped();
}

async function diedElsewhere(told: Told): Promise<void> {
  const directory = await directoryOf({ "tasks/elsewhere.js": "module.exports = () => new Promise(() => {});" });
  const id = idOf(await query("select id from graphile_worker.add_job('elsewhere')"));
  const child = spawn(process.execPath, [join(process.cwd(), "node_modules/graphile-worker/dist/cli.js"), "-c", database.url], {
    cwd: directory,
    stdio: "ignore",
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  await isIn(id, "running", 20_000);
  await ended(child, "SIGKILL");
  const [reason] = await told.names(
    id,
    /It is running: attempt 1, .+ is not a running Legwork worker \(it is a plain graphile-worker, or has died\)/,
  );
  await follow(reason);
  expect((await getJob(database.pool, id)).state).toBe("pending");
  told.helped();
  await query("select legwork.cancel_job($1)", [id]);
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const exit = new Promise((resolve) => child.once("exit", resolve));
  child.kill(signal);
  await exit;
}

async function stopped(told: Told): Promise<void> {
  const child = await workerProcess(
    database,
    await directoryOf({ "solo.ts": `import { defineTask } from "legwork"; export default defineTask({ run: async () => {} });` }),
  );
  child.kill("SIGSTOP");
  const id = await enqueue("solo");
  await told.names(
    id,
    new RegExp(`The only worker that has the task 'solo' \\(pool-\\w+, .+, process ${child.pid}\\) has sent no heartbeat since`),
    /Did you mean|No Legwork worker is running/,
  );
  // Two seconds after it was suspected, the worker is declared dead and its row is deleted. When it continues, it registers again.
  child.kill("SIGCONT");
  await completes(id);
  told.helped();
  await ended(child, "SIGKILL");
}

async function exhausted(told: Told): Promise<void> {
  const worker: Worker = await workerOver(
    database.url,
    {
      "greedy.ts": `import { defineTask } from "legwork";
        export default defineTask({ retry: { attempts: 1 }, run: async (_payload, { sql }) => {
          const takes = Array.from({ length: 3 }, () => sql.transaction((held) => held\`select pg_sleep(60)\`).catch(() => {}));
          await sql\`select 1\`;
          await Promise.all(takes);
        } });`,
    },
    { concurrency: 1 },
  );
  const role = `limited_${database.url.slice(-6)}`;
  await query(`create role ${role} login password 'x' connection limit 0`);
  const url = new URL(database.url);
  [url.username, url.password] = [role, "x"];
  const { stderr } = await legwork(["queues"], { DATABASE_URL: url.href });
  await query(`drop role ${role}`);
  expect(stderr).toMatch(/has no free connection: too many connections for role/);
  expect(stderr).not.toMatch(/DATABASE_URL/);
  const id = await enqueue("greedy");
  await isIn(id, "failed", 40_000);
  const [reason] = await told.names(
    id,
    /No connection in this worker's pool became free within 10 seconds: running jobs hold all 3\./,
    /timeout exceeded/,
  );
  await follow(reason);
  told.helped();
  await query(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query = 'select pg_sleep(60)'",
  );
  await worker.stop();
}

async function stuck(told: Told): Promise<void> {
  const worker = await workerOver(
    database.url,
    {
      "hangs.ts": `import { defineTask } from "legwork"; export default defineTask({ run: async () => await new Promise(() => {}) });`,
    },
    { shutdownTimeout: 100 },
  );
  const id = await enqueue("hangs");
  await isIn(id, "running");
  await query("update graphile_worker._private_jobs set locked_at = now() - interval '90 minutes' where id = $1", [id]);
  await query(
    "insert into legwork_private.task_totals (task, waits, runs, usual_run, usual_runs) values ('hangs', '{}', '{}', 3, 30) on conflict (task) do update set usual_run = 3, usual_runs = 30",
  );
  const [reason] = await told.names(
    id,
    /It is running: attempt 1, .+\(for 1 hour 30 minutes.*\), on worker (pool-\w+) .+ 95 % of the attempts of this task end within 3 seconds\. .+ Its task has no timeout\. If it also ignores its abort signal, the only way to stop it is to restart worker \1/,
    /fetched it in advance/,
  );
  await follow(reason);
  await told.names(id, /Its task was signaled to stop at .+ the only way to stop it is to restart worker pool-/);
  await delay(0);
  await worker.stop();
  await isIn(id, "cancelled");
  told.helped();
}
