import { hostname, userInfo } from "node:os";
import { expect, it } from "vitest";
import { operationsOn } from "../../src/api/operations.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";
import { makeToken, rest, startRest } from "../support/rest.ts";

const database = testDatabase();
const query = async (text: string, values: unknown[] = []) => (await database.pool.query(text, values)).rows;

interface Targets {
  waiting: string;
  running: string;
  workflow: string;
  alert: string;
}
/** One action on each kind of object, taken through one of the surfaces. */
type Surface = (targets: Targets) => Promise<unknown>;

async function prepare(): Promise<Targets> {
  await query("select legwork.resume_all(), legwork.resume_queue('q'), legwork.resume_task('t')");
  await query("select legwork.schedule('s', 't', every => '1 day', enabled => true)");
  await query("select legwork_private.worker_beat('w1', 'host', 1, 4, array['t'], '{}')");
  const [{ waiting, running, workflow }] = await query(`select legwork.enqueue('t') as waiting, legwork.enqueue('t') as running,
    legwork.start_workflow('w', '[{"name": "a", "task": "t"}]') as workflow`);
  await query("update graphile_worker._private_jobs set locked_by = 'w1', locked_at = now(), attempts = 1 where id = $1", [
    running,
  ]);
  await query("update legwork_private.alert_records set resolved_at = now()");
  const [{ id: alert }] =
    await query(`insert into legwork_private.alert_records (rule, kind, target, severity, value, threshold, message, raised_at)
    values ('no_worker', 'no_worker', 't', 'warning', 1, 1, 'No worker.', now()) returning id`);
  return { waiting, running, workflow, alert };
}

/** The actor of these actions, in every place that shows one. */
async function named({ waiting, running, workflow, alert }: Targets): Promise<unknown[]> {
  const rows = await query(
    `select 'queue' as it, paused_by as who from legwork.queues where name = 'q'
    union all select 'stop', stopped_by from legwork_private.emergency_stop_details()
    union all select 'schedule', disabled_by from legwork.schedules where name = 's'
    union all select 'alert', acknowledged_by from legwork.alerts where id = $4
    union all select 'workflow', substring(reason from 'Cancelled by (.+?): wrong') from legwork.workflows where id = $3
    union all select 'waiting', substring(error from 'Cancelled by (.+?): wrong') from legwork.jobs where id = $1
    union all select 'explain waiting', substring(detail from '(?i)cancelled by (.+?): wrong') from legwork.explain_job($1)
    union all select 'explain running', substring(detail from 'Cancelled by (.+?): wrong') from legwork.explain_job($2) where reason = 'cancelling'
    union all select 'explain paused', substring(e.detail from 'paused by (.+?)(?: at | \\d)') from legwork.explain_job(legwork.enqueue('t')) e where e.reason = 'queue_paused'
    union all select 'doctor', substring(finding from 'paused by (.+?) \\d') from legwork.doctor_rules() where finding like 'Queue%'`,
    [waiting, running, workflow, alert],
  );
  expect(rows).toHaveLength(10);
  return rows.map(({ it, who }) => `${it}: ${who}`).toSorted();
}

it("an action has the same actor in the audit log, explain, the doctor and the views, whichever surface it was taken through", async () => {
  await query(`select legwork_private.register_tasks('[{"name": "t", "queue": "q"}]')`);
  const server = await startRest(database);
  try {
    const token = await makeToken(database, "operator");
    const command =
      (...parameters: string[]) =>
      async (): Promise<void> => {
        const result = await legwork(parameters, { DATABASE_URL: database.url });
        if (result.code !== 0) throw new Error(result.stderr);
      };
    const requests =
      (headers: Record<string, string>): Surface =>
      async ({ waiting, running, workflow, alert }) => {
        for (const path of [
          `/jobs/${waiting}/cancel`,
          `/jobs/${running}/cancel`,
          `/workflows/${workflow}/cancel`,
          "/queues/q/pause",
          "/emergency-stop",
          "/schedules/s/disable",
          `/alerts/${alert}/acknowledge`,
        ]) {
          const reason = /cancel|pause|stop/.test(path) ? { reason: "wrong" } : undefined;
          expect(await rest(server, "POST", path, reason, headers), path).toMatchObject({ status: 200 });
        }
      };
    const ts = operationsOn(database.pool);
    const surfaces: Record<string, [who: string, act: Surface]> = {
      sql: [
        "postgres",
        ({ waiting, running, workflow, alert }) =>
          query(
            `select legwork.cancel_job($1, 'wrong'), legwork.cancel_job($2, 'wrong'), legwork.cancel_workflow($3, 'wrong'),
              legwork.pause_queue('q'), legwork.emergency_stop(), legwork.disable_schedule('s'), legwork.acknowledge_alert($4)`,
            [waiting, running, workflow, alert],
          ),
      ],
      ts: [
        "postgres",
        async ({ waiting, running, workflow, alert }) => {
          for (const id of [waiting, running]) await ts.jobs.cancel(id, "wrong");
          await ts.workflows.cancel(workflow, "wrong");
          await ts.queues.pause("q");
          await ts.stopAll();
          await ts.schedules.disable("s");
          await ts.alerts.acknowledge(alert);
        },
      ],
      cli: [
        `${userInfo().username}@${hostname()}`,
        async ({ waiting, running, workflow, alert }) => {
          await command("cancel", waiting, running, "--reason", "wrong")();
          await command("workflow", "cancel", workflow, "--reason", "wrong")();
          await command("pause", "q")();
          await command("stop", "--all")();
          await command("schedule", "disable", "s")();
          await command("alerts", "--ack", alert)();
        },
      ],
      rest: ["legwork up", requests({})],
      dashboard: ["token:operator null", requests({ authorization: `Bearer ${token}`, "x-legwork-surface": "dashboard" })],
    };
    for (const [surface, [who, act]] of Object.entries(surfaces)) {
      const targets = await prepare();
      const [{ last }] = await query("select coalesce(max(id), 0) as last from legwork.audit_log");
      await act(targets);
      const kinds = [
        "alert",
        "doctor",
        "explain paused",
        "explain running",
        "explain waiting",
        "queue",
        "schedule",
        "stop",
        "waiting",
        "workflow",
      ];
      expect(await named(targets), surface).toEqual(kinds.map((it) => `${it}: ${who}`));
      expect(
        await query("select distinct coalesce(actor, database_role) as who, surface from legwork.audit_log where id > $1", [
          last,
        ]),
        surface,
      ).toEqual([{ who, surface: surface === "ts" ? "sql" : surface }]);
    }
  } finally {
    await server.stop();
  }
});

it("a job that was removed with graphile_worker.remove_job or by deleting its row shows this, and who removed it", async () => {
  await query("select legwork.resume_all(), legwork.resume_queue('q')");
  const [{ removed, deleted }] = await query(
    "select legwork.enqueue('t', job_key => 'k') as removed, legwork.enqueue('t') as deleted",
  );
  const client = await database.pool.connect();
  await client.query("begin");
  await client.query("select set_config('legwork.actor', 'ann', true)");
  await client.query("select graphile_worker.remove_job('k')");
  await client.query("commit");
  client.release();
  await query("delete from graphile_worker._private_jobs where id = $1", [deleted]);
  const [{ detail }] = await query("select detail from legwork.explain_job($1)", [removed]);
  expect(detail).toMatch(/Removed by ann with graphile_worker\.remove_job\.$/);
  expect(await query("select error from legwork.jobs where id = $1", [deleted])).toEqual([
    { error: "Removed by postgres with a statement that deleted its row." },
  ]);
});
