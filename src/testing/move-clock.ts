import { escapeIdentifier } from "pg";
import { type Pool, transaction } from "../db/pool.ts";
import { millisecondsToInterval } from "../duration.ts";

/**
 * The tables whose times are not times of jobs: times of processes, records of user actions and deployments, the time axis of the metrics, and times
 * of schedules, whose functions take the current time as a parameter.
 */
const UNMOVED = [
  "worker_processes",
  "migrations",
  "settings",
  "task_definitions",
  "audit_entries",
  "tokens",
  "idempotent_requests",
  "id_marks",
  "rollup_relations",
  "rollup_segments",
  "task_minutes",
  "task_hours",
  "task_totals",
  "minute_totals",
  "hour_totals",
  "backlog_minutes",
  "backlog_hours",
  "worker_starts",
  "samples",
  "duties",
  "alert_rules",
  "alert_silences",
  "alert_records",
  "alert_pending",
  "long_runs",
  "schedule_definitions",
  "schedule_occurrences",
  "crontab_entries",
];

/**
 * Advances the clock by `by` (ms) for all stored data: every time in the tables of jobs is moved back by that much. No worker may run jobs meanwhile.
 */
export async function moveClock(pool: Pool, by: number): Promise<void> {
  await transaction(pool, async (client) => {
    // The trigger on changed jobs ignores these changes, as it does when jobs are admitted.
    await client.query("select set_config('legwork.admitting', legwork_private.admission_pass(), true)");
    const { rows: tables } = await client.query<{ name: string; columns: string[] }>(
      `select c.oid::regclass::text as name, array_agg(a.attname::text order by a.attnum) as columns
       from pg_class c
       join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
       where c.relnamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace) and c.relkind in ('r', 'p') and not c.relispartition
         and a.atttypid = 'timestamptz'::regtype and a.attgenerated = '' and c.relname <> all ($1)
       group by c.oid
       order by c.relname`,
      [UNMOVED],
    );
    for (const { name, columns } of tables) {
      const sets = columns.map((column) => `${escapeIdentifier(column)} = ${escapeIdentifier(column)} - $1::interval`);
      await client.query(`update ${name} set ${sets.join(", ")}`, [millisecondsToInterval(by)]);
    }
    await client.query(
      `update legwork_private.graphile_jobs j
       set run_at = j.run_at - $1::interval, created_at = j.created_at - $1::interval,
         flags = case when legwork_private.expiry_of(j.flags) is null then j.flags
           else coalesce(legwork_private.without_expiry(j.flags), '{}') || jsonb_build_object(
             'expires:' || ceil(extract(epoch from legwork_private.expiry_of(j.flags) - $1::interval) * 1000)::bigint, true) end
       where j.locked_at is null`,
      [millisecondsToInterval(by)],
    );
  });
}

/**
 * Returns the time (ms) until jobs of these tasks next become ready to run or change; undefined if that is more than `within` (ms).
 */
export async function nextMoment(pool: Pool, tasks: readonly string[], within: number): Promise<number | undefined> {
  const { rows } = await pool.query(
    `select extract(epoch from min(t.at) - clock_timestamp())::float8 * 1000 as ahead
     from (
       select min(j.run_at) as at
       from legwork_private.graphile_jobs j
       join legwork_private.graphile_tasks k on k.id = j.task_id
       where j.locked_at is null and j.attempts < j.max_attempts and j.run_at > clock_timestamp() and isfinite(j.run_at)
         and k.identifier = any ($1)
       union all
       select legwork.tick()
     ) t
     where t.at > clock_timestamp()`,
    [tasks],
  );
  const ahead = rows[0]?.ahead;
  return ahead === null || ahead === undefined || ahead > within ? undefined : Math.ceil(ahead);
}
