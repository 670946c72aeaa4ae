import type { Pool } from "../../src/db/pool.ts";
import type { JobState } from "../../src/jobs/read-jobs.ts";
import { HandWorker } from "./hand-worker.ts";

/** A tenant's rows in a database that `fillEveryState` filled. */
export interface TenantRows {
  /** A job in each state. */
  jobs: Record<JobState, string>;
  /** Jobs that wait for a signal, one without limits and one in the waiting room. */
  awaiting: string[];
  runningFlow: string;
  failedFlow: string;
  batch: string;
  schedule: string;
  token: string;
}

/**
 * Fills a database with everything that a view may show. For two tenants: jobs in every state, with steps, signals, logs, workflows, batches,
 * schedules and tokens. For the whole system: limits, pauses, retry policies, alerts, silences, workers and metrics.
 */
export async function fillEveryState(
  pool: Pool,
): Promise<{ acme: TenantRows; other: TenantRows; alert: string; silence: string }> {
  await pool.query(`select legwork_private.register_tasks('[{"name": "free", "queue": "mail"}, {"name": "secret", "queue": "mail", "redact": ["card"]},
    {"name": "limited", "queue": "reports"}, {"name": "narrow"}, {"name": "keyed"}, {"name": "paused"}, {"name": "idle", "queue": "idle"}]')`);
  await pool.query(`select legwork.limit_concurrency(1, task => 'limited'), legwork.limit_concurrency(1, task => 'narrow'),
    legwork.limit_concurrency(1, task => 'keyed', key => 'user'), legwork.limit_rate(1000, '1 minute', queue => 'mail'),
    legwork.set_retry_policy(task => 'free', attempts => 3), legwork.set_retry_policy(queue => 'reports', attempts => 4),
    legwork.pause_task('paused', 'for the test'), legwork.pause_queue('idle', 'for the test')`);
  const acme = await fillTenant(pool, "acme");
  const other = await fillTenant(pool, "other");
  // This job is enqueued last, because all pending jobs are fetched above.
  for (const [tenant, { jobs }] of Object.entries({ acme, other })) {
    jobs.pending = (await pool.query("select legwork.enqueue('free', tenant => $1) as id", [tenant])).rows[0].id;
  }
  await pool.query("select * from legwork_private.worker_beat('w', 'host', 1, 4, '{free}', '{}')");
  await pool.query("select legwork_private.note_worker_fault('host', 1, 'restart', 'for the test')");
  await pool.query("select legwork_private.worker_host('host', 0.5, 0.5, 1000, 0.5, 1000, 1000)");
  const { rows: alerts } = await pool.query(`
    insert into legwork_private.alert_records (rule, kind, target, severity, value, threshold, message, raised_at, resolved_at, acknowledged_at)
    select 'error_rate', 'error_rate', target, 'warning', 1, 0.5, 'failing', now(), resolved_at, acknowledged_at
    from (values ('free', null::timestamptz, null::timestamptz), ('secret', null, now()), ('limited', now(), null)) a (target, resolved_at, acknowledged_at)
    returning id`);
  const { rows: silences } = await pool.query(
    "select legwork.silence_alerts('1 hour', 'error_rate', 'free', 'for the test') as id, legwork.silence_alerts('1 hour') as all",
  );
  await pool.query("select legwork_private.claim_request('acme', 'order-1', 'hash')");
  for (const step of ["roll_up", "queues", "database", "forget"]) {
    await pool.query("update legwork_private.duties set due_at = now() where duty = $1", [step]);
    await pool.query("select legwork_private.run_duty($1)", [step]);
  }
  return { acme, other, alert: alerts[0].id, silence: silences[0].id };
}

async function fillTenant(pool: Pool, tenant: string): Promise<TenantRows> {
  const worker = new HandWorker("w");
  const add = async (task: string, options = ""): Promise<string> => {
    const payload = JSON.stringify({ card: "4111", user: "u", tenant });
    const call = `select legwork.enqueue($1, $2, tenant => $3, correlation_id => 'c' ${options}) as id`;
    return (await pool.query(call, [task, payload, tenant])).rows[0].id;
  };
  const done = await add("secret", ", job_key => 'done', serial_key => 's'");
  await worker.fetch(pool, 100);
  await pool.query("select legwork_private.record_output($1, $2)", [
    JSON.stringify([{ job_id: done, attempt: 1, percent: 50, message: "half", at: Date.now() }]),
    JSON.stringify([{ job_id: done, attempt: 1, at: Date.now(), level: "info", message: "here", fields: {}, tenant }]),
  ]);
  await worker.complete(pool, [done]);
  const failed = await add("secret");
  await pool.query("select graphile_worker.permanently_fail_jobs(array[$1]::bigint[], 'refused 4111')", [failed]);
  const retrying = await add("free");
  await worker.fetch(pool, 100);
  await worker.fail(pool, [retrying]);
  // The retry delay of a few seconds could end before the test reads the job's state.
  await pool.query("update graphile_worker._private_jobs set run_at = now() + interval '1 hour' where id = $1", [retrying]);
  const cancelled = await add("free");
  await pool.query("select legwork.cancel_job($1, 'for the test')", [cancelled]);
  const expired = await add("free", ", expires_at => now() + interval '1 hour'");
  await pool.query(
    `update graphile_worker._private_jobs set flags = (
       select jsonb_object_agg(regexp_replace(flag, '^expires:.*', 'expires:1000'), true) from jsonb_object_keys(flags) flag) where id = $1`,
    [expired],
  );
  await pool.query("update legwork_private.expirations set expires_at = to_timestamp(1) where job_id = $1", [expired]);
  await pool.query("select legwork_private.expire_jobs()");

  const awaiting = [
    await waitForSignal(pool, worker, await add("secret")),
    await waitForSignal(pool, worker, await add(tenant === "acme" ? "limited" : "narrow")),
  ];
  const running = await add("secret");
  await worker.fetch(pool, 100);
  await pool.query("select legwork_private.record_step($1, 'w', 1, 'charge', '7', '{\"card\": \"4111\"}', '1 second')", [
    running,
  ]);
  await pool.query("select legwork.send_signal($1, 'later', '{\"card\": \"4111\"}')", [running]);
  // Each of these jobs waits for something different.
  const blocked = await add("free", `, depends_on => array[${running}]::bigint[]`);
  await add("keyed");
  await add("keyed");
  await add("limited", ", run_at => now() + interval '1 hour'");
  const paused = await add("paused");
  const scheduled = await add("free", ", run_at => now() + interval '1 hour'");

  const flow = async (name: string): Promise<string> =>
    (
      await pool.query(
        `select legwork.start_workflow($1, '[{"name": "a", "task": "free", "on_failure": "compensate", "compensate": {"task": "free"}}, {"name": "b", "task": "secret", "depends_on": "a"}]',
           tenant => $2, deadline => now() + interval '1 day') as id`,
        [name, tenant],
      )
    ).rows[0].id;
  const runningFlow = await flow("runs");
  const failedFlow = await flow("fails");
  await pool.query(
    "select graphile_worker.permanently_fail_jobs(array_agg(job_id), 'refused') from legwork_private.workflow_run_steps where workflow_id = $1 and name = 'a'",
    [failedFlow],
  );
  const { rows: batches } = await pool.query(
    `select legwork.enqueue_batch('[{"task": "free"}, {"task": "secret"}]', 'two', '{"task": "free"}', tenant => $1) as id`,
    [tenant],
  );
  await pool.query(
    `select legwork.schedule($1, 'secret', every => '1 hour', payload => '{"card": "4111"}', tenant => $1), legwork.run_schedule($1)`,
    [tenant],
  );
  await pool.query(
    `select legwork.schedule($1 || '-off', 'free', cron => '0 3 * * *', tenant => $1), legwork.disable_schedule($1 || '-off')`,
    [tenant],
  );
  await pool.query("select legwork.create_token($1, 'viewer', $1)", [tenant]);
  const { rows: tokens } = await pool.query("select id from legwork_private.tokens where tenant = $1", [tenant]);
  await pool.query("select legwork.rerun_job($1)", [cancelled]);
  return {
    jobs: { scheduled, pending: "", blocked, paused, running, retrying, completed: done, failed, cancelled, expired },
    awaiting,
    runningFlow,
    failedFlow,
    batch: batches[0].id,
    schedule: tenant,
    token: tokens[0].id,
  };
}

/** Runs a job until it waits for a signal and is returned to the queue, as a worker does. */
async function waitForSignal(pool: Pool, worker: HandWorker, id: string): Promise<string> {
  await worker.fetch(pool, 100);
  await pool.query("select * from legwork_private.await_step($1, $2, 1, 'wait', 'go', '1 hour')", [id, worker.id]);
  const failures = `\n${id} ${JSON.stringify({ started: Date.now(), finished: Date.now(), decision: "wait" })}`;
  await pool.query(
    `with told as materialized (select set_config('legwork.failures', $1, true))
     update graphile_worker._private_jobs set last_error = 'waits', run_at = now() + interval '1 hour', locked_by = null, locked_at = null
     from told where id = $2 and locked_by = $3`,
    [failures, id, worker.id],
  );
  return id;
}
