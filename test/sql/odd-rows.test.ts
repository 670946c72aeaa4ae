import { expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { HandWorker } from "../support/hand-worker.ts";

// Statements that summarize, monitor and explain all jobs still work when some jobs have unexpected values.

const database = testDatabase();
const worker = new HandWorker("w");

/** The statements that workers, servers and users run over all jobs. */
const QUESTIONS = [
  "select * from legwork.doctor()",
  "select legwork_private.roll_up()",
  "select legwork_private.note_usual_runs()",
  "select legwork_private.note_long_runs(clock_timestamp())",
  "select legwork_private.sample_queues()",
  "select legwork_private.sample_schedules()",
  "select legwork_private.sample_database()",
  "select * from legwork.evaluate_alerts()",
  "select legwork.tick()",
  "select * from legwork.reconcile()",
  "select legwork_private.read_metrics()",
  "select * from legwork.health()",
  "select * from legwork.task_statistics()",
  "select * from legwork.task_statistics('30 days')",
  "select * from legwork.task_series()",
  "select * from legwork.task_series('400 days')",
  "select * from legwork.limits_in_use()",
  "select * from legwork.queues",
  "select * from legwork.jobs order by id desc",
  "select * from legwork.attempts",
  "select * from legwork.failed_groups",
  "select (legwork.explain_job(j.id)).* from legwork.jobs j",
  "select legwork.retry_jobs('{}', preview => true)",
  "select legwork.discard_jobs('{}', preview => true)",
  "select legwork.rerun_jobs('{\"task\": \"odd\"}', preview => true)",
];

async function answerAll(): Promise<void> {
  const failed: string[] = [];
  for (const question of QUESTIONS) {
    try {
      const { rows } = await database.pool.query(question);
      // The doctor reports failed checks as findings.
      failed.push(...rows.map(({ finding }) => String(finding)).filter((finding) => finding.startsWith("This check failed")));
    } catch (error) {
      failed.push(`${question}: ${String(error)}`);
    }
  }
  expect(failed).toEqual([]);
}

it("queries over all jobs return a result whatever times, names and payloads some of them have", async () => {
  const times = ["-infinity", "4713-01-02 BC", "0001-01-01", "1969-12-31", "9999-12-31", "290000-01-01Z", "294276-12-31Z", "infinity"];
  const payloads = [String.raw`{"a": "\u0000"}`, String.raw`"\ud800"`, "1e400", `${"[".repeat(5_000)}${"]".repeat(5_000)}`, "12345678901234567890123"];
  const add = async (options: { runAt?: string; payload?: string; task?: string }): Promise<void> =>
    void (await database.pool.query(
      "select graphile_worker.add_job($1, $2::json, run_at => $3, max_attempts => 1, flags => array['tenant:' || repeat('t', 300), 'parent:x', 'expires:y', 'workflow:z'])",
      [options.task ?? "odd", options.payload ?? "{}", options.runAt ?? null],
    ));
  const addAll = async (): Promise<void> => {
    for (const runAt of times) await add({ runAt });
    for (const payload of payloads) await add({ payload });
    for (const task of ["x".repeat(128), "'; drop --", "%s%n", "\u202e\u{1f4a3}"]) await add({ task });
  };
  await addAll();
  await answerAll();
  const ids = (await worker.fetch(database.pool, 100)).map(({ id }) => id);
  expect(ids.length).toBe(13);
  await answerAll();
  await worker.complete(database.pool, ids.slice(0, 6));
  await worker.fail(database.pool, ids.slice(6), "\u{1f4a3}'\"%s".repeat(2_000));
  await database.pool.query("update legwork_private.finished_jobs set started_at = null where id = $1", [ids[0]]);
  await answerAll();
  await addAll();
  await database.pool.query("select legwork.limit_concurrency(1, task => 'odd'), legwork.limit_rate(1, '1 hour', task => '%s%n')");
  await answerAll();
});
