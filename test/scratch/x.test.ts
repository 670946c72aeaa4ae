import { it } from "vitest";
import { testDatabase } from "../support/database.ts";
const database = testDatabase();
it("x", async () => {
  const q = async (s: string, p: unknown[] = []) => (await database.pool.query(s, p)).rows;
  await q(`select legwork.register_tasks('[{"name": "ok"}]')`);
  for (const [n, an] of [[300, true], [300, false], [0, false], [5000,true]] as const) {
    await q("truncate legwork.workflow_run_steps");
    await q(`insert into legwork.workflow_run_steps (workflow_id, name, position, groups, task, depends_on, on_failure, effect, waits_for, waits_how)
       select -n, s, 1, '{}', 'ok', '{}', 'stop', 'stop', '{}', '{}' from generate_series(1, ${n}) n, unnest(array['a', 'b']) s`);
    if (an) await q("analyze legwork.workflow_run_steps");
    const [{ id }] = await q(`select legwork.start_workflow('w', '{"z": {"task": "ok"}, "y": {"task": "ok", "depends_on": ["z"]}}') as id`);
    console.log(n, an, (await q(`explain update legwork.workflow_run_steps s set job_id = n.job_id
  from (
    select x.position, nextval(pg_get_serial_sequence('graphile_worker._private_jobs', 'id')) as job_id
    from (select unnest(array[1,2]::int[]) as position order by 1) x
  ) n
  where s.workflow_id = ${id} and s.position = n.position`)).map((r) => r["QUERY PLAN"]).join("\n"));
  }
});
