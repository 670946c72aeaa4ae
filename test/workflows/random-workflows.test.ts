import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { expect, it } from "vitest";
import { LegworkError } from "../../src/errors.ts";
import { cancelJob } from "../../src/jobs/cancel-job.ts";
import { cancelWorkflow } from "../../src/workflows/cancel-workflow.ts";
import type { WorkflowJob, WorkflowSteps, SubWorkflow } from "../../src/workflows/define-workflow.ts";
import { retryWorkflow } from "../../src/workflows/retry-workflow.ts";
import { startWorkflow } from "../../src/workflows/start-workflow.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { sized } from "../support/long.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerProcess } from "../support/worker.ts";

// Runs random workflows on real workers, with steps that fail, are cancelled and are retried, and with a worker that is killed. The runs that the
// tasks record and the final state must satisfy the guarantees. LEGWORK_CHAOS_SEED repeats the same workflows.

const SEED = Number(process.env.LEGWORK_CHAOS_SEED ?? Date.now() % 2 ** 31);

const database = testDatabase();

/** A step that records which of its dependencies had ended when it started, according to the database. */
const TASK = `
  import { setTimeout as delay } from "node:timers/promises";
  import { defineTask } from "legwork";
  export default defineTask({ retry: { attempts: 2, backoff: "fixed", delay: "20ms" }, async run({ ms, fails }, { job, sql, workflow, signal }) {
    await sql\`
      insert into runs (job_id, step, workflow_id, compensates, open, forbidden)
      select \${job.id}, \${workflow.step}, \${workflow.id}, \${workflow.compensates}, count(*) filter (where d.finished_at is null),
        count(*) filter (where d.state <> 'completed' and w.how = 'cancel')
      from legwork_private.workflow_run_steps s
      cross join lateral unnest(s.waits_for, s.waits_how) as w (position, how)
      join legwork_private.workflow_run_steps b on b.workflow_id = s.workflow_id and b.position = w.position
      left join legwork.jobs d on d.id = b.job_id
      where s.workflow_id = \${workflow.id} and s.name = \${workflow.step}\`;
    await delay(ms, undefined, { signal });
    if (fails === "always" || (fails === "once" && job.attempts === 1)) throw new Error("at random");
    return Object.keys(await workflow.results()).length;
  } });`;

const policy = fc.constantFrom("stop" as const, "stop" as const, "continue" as const, "compensate" as const);
const job = fc.record({
  ms: fc.integer({ min: 0, max: 15 }),
  fails: fc.constantFrom("never", "never", "never", "never", "once", "always"),
  onFailure: policy,
  undo: fc.boolean(),
});

/** Steps, each of which may depend on any earlier step. Some of them are sub-workflows. */
function stepsOf(depth: number): fc.Arbitrary<WorkflowSteps> {
  const one = fc.record({
    job,
    inner:
      depth === 0
        ? fc.constant(null)
        : fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: stepsOf(depth - 1) }),
    after: fc.array(fc.nat(), { maxLength: 3 }),
  });
  return fc.array(one, { minLength: 1, maxLength: depth === 0 ? 3 : 10 }).map((list) =>
    Object.fromEntries(
      list.map(({ job: { ms, fails, onFailure, undo }, inner, after }, index): [string, WorkflowJob | SubWorkflow] => {
        const dependsOn = index === 0 ? [] : [...new Set(after.map((n) => `s${n % index}`))];
        if (inner !== null) return [`s${index}`, { steps: inner, dependsOn, onFailure }];
        const compensate = undo ? { task: "step", payload: { ms: 0, fails: "never" } } : undefined;
        return [`s${index}`, { task: "step", payload: { ms, fails }, dependsOn, onFailure, compensate }];
      }),
    ),
  );
}

const war = fc.array(
  fc.record({
    steps: stepsOf(1),
    cancels: fc.constantFrom("nothing", "nothing", "nothing", "workflow", "step"),
    at: fc.integer({ min: 0, max: 60 }),
  }),
  { minLength: 4, maxLength: 8 },
);

async function rows(sql: string, parameters: unknown[] = []): Promise<Record<string, unknown>[]> {
  return (await database.pool.query(sql, parameters)).rows;
}

const ifItStillCan = (error: unknown): void => {
  if (!(error instanceof LegworkError) || error.code !== "LW409") throw error;
};

async function allEnded(ids: readonly string[], timeout: number): Promise<void> {
  await until(
    "every workflow has ended",
    async () => (await rows("select from legwork.workflows where id = any ($1) and ended_at is null", [ids])).length === 0,
    timeout,
  );
}

/** Checks the invariants that apply once everything has ended. */
async function judge(ids: readonly string[]): Promise<void> {
  const early = await rows("select * from runs where open > 0 or (forbidden > 0 and not compensates)");
  expect(early, `with LEGWORK_CHAOS_SEED=${SEED}`).toEqual([]);
  expect(await rows("select id from legwork_private.finished_jobs group by id having count(*) > 1")).toEqual([]);
  // The states of the steps are consistent with the state of the workflow.
  expect(
    await rows(
      `select w.id, w.state from legwork.workflows w
       join (
         select s.workflow_id, count(*) as steps, count(j.finished_at) as ended, bool_or(s.effect <> 'continue' and j.state <> 'completed') as is_bad,
           count(*) filter (where j.state = 'completed') as completed, count(*) filter (where j.state = 'failed') as failed
         from legwork_private.workflow_run_steps s left join legwork.jobs j on j.id = s.job_id
         where s.position is not null group by s.workflow_id
       ) s on s.workflow_id = w.id
       where w.id = any ($1) and (s.ended <> s.steps or w.total <> s.steps or w.completed <> s.completed or w.failed <> s.failed
         or (w.state in ('completed', 'failed') and (w.state = 'failed') <> s.is_bad))`,
      [ids],
    ),
  ).toEqual([]);
  // Compensations ran in reverse order.
  expect(
    await rows(
      `select a.workflow_id from runs a
       join runs b on b.workflow_id = a.workflow_id and b.compensates and b.id > a.id and b.job_id <> a.job_id and b.job_id > a.job_id
       join legwork_private.workflow_run_steps x on x.workflow_id = a.workflow_id and x.compensation_job_id = a.job_id
       join legwork_private.workflow_run_steps y on y.workflow_id = b.workflow_id and y.compensation_job_id = b.job_id
       where a.compensates and y.position > x.position`,
    ),
  ).toEqual([]);
  expect(await rows("select problem, job_id from legwork.reconcile()")).toEqual([]);
  for (const table of ["dependencies", "waiting_jobs", "run_counts"])
    expect(await rows(`select from legwork_private.${table}`)).toEqual([]);
}

async function wage(
  battles: typeof war extends fc.Arbitrary<infer Battles> ? Battles : never,
  timeout: number,
  meanwhile?: () => Promise<void>,
): Promise<void> {
  await empty(database.pool, "runs");
  const ids = await Promise.all(
    battles.map(async ({ steps, cancels, at }) => {
      const id = await startWorkflow(database.pool, { name: "random", steps });
      if (cancels === "nothing") return id;
      await delay(at);
      if (cancels === "workflow") await cancelWorkflow(database.pool, id).catch(ifItStillCan);
      else {
        const [step] = await rows(
          "select job_id from legwork.workflow_steps where workflow_id = $1 order by position desc limit 1",
          [id],
        );
        await cancelJob(database.pool, String(step!.job_id)).catch(ifItStillCan);
      }
      return id;
    }),
  );
  await meanwhile?.();
  await allEnded(ids, timeout);
  await judge(ids);
  // Retries the workflows from the failed steps.
  const bad = await rows("select id::text from legwork.workflows where id = any ($1) and state <> 'completed'", [ids]);
  for (const { id } of bad) await retryWorkflow(database.pool, String(id)).catch(ifItStillCan);
  await allEnded(ids, timeout);
  await judge(ids);
}

it(
  "steps run after their dependencies, every workflow ends in one state, and nothing is left behind",
  async () => {
    await database.pool.query(
      `create table runs (id bigint generated always as identity, job_id bigint, step text, workflow_id bigint, compensates boolean, open bigint,
       forbidden bigint)`,
    );
    const tasks = await directoryOf({ "step.ts": TASK });
    const environment = { LEGWORK_CONCURRENCY: "4", LEGWORK_LOCAL_QUEUE_SIZE: "8" };
    const [doomed] = await Promise.all([
      workerProcess(database, tasks, environment),
      workerProcess(database, tasks, environment),
    ]);
    await fc.assert(
      fc.asyncProperty(war, (battles) => wage(battles, 10_000)),
      { numRuns: sized(2, 10), seed: SEED, endOnFailure: true },
    );
    // Runs another set of workflows, with a worker that is killed halfway.
    const [last] = fc.sample(war, { numRuns: 1, seed: SEED });
    await wage(last!, 20_000, async () => void doomed.kill("SIGKILL"));
  },
  scaled(60_000),
);
