import type { QueryResult } from "pg";

/** Rows that `migrate` creates, and rows that a file's tests share: task definitions, tokens, alert rules, confined logins. */
const KEPT = [
  "admission_passes",
  "alert_rules",
  "confined_logins",
  "definitions",
  "duties",
  "migrations",
  "rollup_relations",
  "rollup_segments",
  "schema_version",
  "settings",
  "task_definitions",
  "tokens",
  "undo_statements",
];

/**
 * Deletes all jobs, and everything else in Legwork's tables except the installation, task definitions and tokens. New tables are covered
 * automatically. Row triggers do not run. Needs a superuser, and no live worker in the database, because it deletes the workers' rows.
 */
export async function resetLegwork(client: { query(sql: string): Promise<QueryResult> }): Promise<void> {
  await client.query(`do $$
    declare
      v_table regclass;
    begin
      perform set_config('session_replication_role', 'replica', true);
      delete from graphile_worker._private_jobs;
      delete from graphile_worker._private_job_queues;
      -- Deletes from partitions directly, and only from tables that have had a row: within one test file, most never have.
      for v_table in
        select c.oid from pg_class c
        where c.relnamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace) and c.relkind = 'r'
          and c.relname <> all ('{${KEPT.join(",")}}') and pg_relation_size(c.oid) > 0
      loop
        execute format('delete from %s', v_table);
      end loop;
    end $$`);
}
