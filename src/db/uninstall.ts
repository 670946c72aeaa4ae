import { LegworkError } from "../errors.ts";
import { counted, pluralOf } from "../wording.ts";
import { MIGRATION_LOCK } from "./migrate.ts";
import { assertDatabase, type Pool, type PoolClient } from "./pool.ts";
import { LOCK_JOB_TABLES, SET_LOCK_TIMEOUT, withinLockTimeout } from "./lock-timeout.ts";

/** The schemas of Legwork. */
const SCHEMAS = ["legwork", "legwork_private", "legwork_confined", "legwork_tenant"];

/** The maximum number of dependent objects that the error names. */
const NAMED_OBJECTS = 10;

export interface Uninstallation {
  /** False if there was nothing to remove. */
  readonly removed: boolean;
  /** The number of jobs that Legwork held back (paused, limited, waiting for other jobs) and that now start when they are due. */
  readonly releasedJobs: number;
  /** The number of waiting jobs that were deleted because they had expired. */
  readonly expiredJobs: number;
  /** The roles from `legwork.create_roles()` that exist on the server. They are not removed. */
  readonly roles: readonly string[];
}

/**
 * Removes Legwork from the database, in one transaction. graphile-worker's schema is restored: its own indexes, their settings and its grants are as
 * before, and Legwork's triggers, indexes and policies are gone. The history is deleted. Jobs that wait in graphile-worker stay and run according to
 * their rows: a job that was held back gets its original run time back, a dead worker's job is unlocked, and flags that only Legwork uses
 * (`expires:`, `lost:`, `workflow:`, `step:`, `compensates:`, `batch:`) are removed. The server's roles stay.
 *
 * Throws LW409 while a Legwork worker is running, and when a user's objects depend on Legwork's, because they would be dropped too.
 */
export async function uninstall(pool: Pool): Promise<Uninstallation> {
  await assertDatabase(pool);
  return await withinLockTimeout(pool, async (connection): Promise<Uninstallation> => {
    let client = connection;
    await client.query("select pg_advisory_xact_lock($1)", [MIGRATION_LOCK]);
    const { rows } = await client.query(
      `select to_regclass('legwork_private.undo_statements') is not null as installed, exists (select from pg_tables where schemaname = 'legwork' and tablename = 'undo_statements') as is_old,
         to_regclass('graphile_worker._private_jobs') is not null as has_jobs`,
    );
    if (rows[0]?.is_old === true) client = beforePrivateSchema(client);
    else if (rows[0]?.installed !== true)
      return { removed: await removeRemains(client), releasedJobs: 0, expiredJobs: 0, roles: [] };
    await client.query(SET_LOCK_TIMEOUT);
    await assertNoWorker(client);
    await assertNoDependants(client);
    const roles = await ourRoles(client);
    const hasJobs = rows[0].has_jobs === true;
    if (hasJobs) await client.query(LOCK_JOB_TABLES);
    if (hasJobs) await dropTriggers(client);
    const jobs = hasJobs ? await freeJobs(client) : { releasedJobs: 0, expiredJobs: 0 };
    const { rows: undo } = await client.query<{ statement: string }>(
      "select statement from legwork_private.undo_statements order by id desc",
    );
    // Legwork's indexes on graphile-worker's table and its triggers on users' tables depend on Legwork's functions and are dropped with them.
    await client.query(`drop schema if exists ${SCHEMAS.join(", ")} cascade`);
    if (hasJobs) {
      await restoreGraphileWorker(client, roles);
      for (const { statement } of undo) await client.query(statement);
    }
    return { removed: true, ...jobs, roles };
  });
}

/** Before 0.1.0, the objects that are now private were in the schema legwork. */
function beforePrivateSchema(client: PoolClient): PoolClient {
  const old = Object.create(client) as PoolClient;
  old.query = ((text: string, values?: unknown[]) =>
    client.query(text.replaceAll("legwork_private.", "legwork."), values)) as PoolClient["query"];
  return old;
}

/** Removes the remains of a schema that was dropped manually or never completed. */
async function removeRemains(client: PoolClient): Promise<boolean> {
  const { rows } = await client.query("select from pg_namespace where nspname = any ($1)", [SCHEMAS]);
  await client.query(`drop schema if exists ${SCHEMAS.join(", ")} cascade`);
  return rows.length > 0;
}

async function assertNoWorker(client: PoolClient): Promise<void> {
  const { rows } = await client.query(
    "select host, pid from legwork_private.worker_processes where seen_at > clock_timestamp() - interval '10 seconds'",
  );
  if (rows.length === 0) return;
  throw new LegworkError(
    "LW409",
    `${counted(rows.length, "Legwork worker")} still ${pluralOf(rows.length, "runs", "run")}, ${pluralOf(rows.length, "on", "one of them on")} ${rows[0].host} with pid ${rows[0].pid}.`,
    {
      hint: "Stop all workers first. The jobs are kept.",
    },
  );
}

/** Throws if dropping Legwork's schemas would also drop a user's view, column or default that uses one of Legwork's objects. */
async function assertNoDependants(client: PoolClient): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `with ours as (
       select oid from pg_namespace where nspname = any ($1)
     ), of_ours as (
       select 'pg_class'::regclass as classid, c.oid from pg_class c where c.relnamespace in (select oid from ours)
       union all select 'pg_proc'::regclass, p.oid from pg_proc p where p.pronamespace in (select oid from ours)
       union all select 'pg_type'::regclass, t.oid from pg_type t where t.typnamespace in (select oid from ours)
     ), dependants as (
       select distinct d.classid, d.objid, d.objsubid from pg_depend d
       join of_ours o on o.classid = d.refclassid and o.oid = d.refobjid
       where d.deptype in ('n', 'a')
     ), outside as (
       select d.*, coalesce(c.oid, r.ev_class, a.adrelid, k.conrelid, t.tgrelid, l.polrelid) as relation, p.pronamespace, y.typnamespace,
         t.tgname, c.relkind
       from dependants d
       left join pg_class c on d.classid = 'pg_class'::regclass and c.oid = d.objid
       left join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
       left join pg_attrdef a on d.classid = 'pg_attrdef'::regclass and a.oid = d.objid
       left join pg_constraint k on d.classid = 'pg_constraint'::regclass and k.oid = d.objid
       left join pg_trigger t on d.classid = 'pg_trigger'::regclass and t.oid = d.objid
       left join pg_policy l on d.classid = 'pg_policy'::regclass and l.oid = d.objid
       left join pg_proc p on d.classid = 'pg_proc'::regclass and p.oid = d.objid
       left join pg_type y on d.classid = 'pg_type'::regclass and y.oid = d.objid
     )
     select distinct case when o.classid = 'pg_rewrite'::regclass then pg_describe_object('pg_class'::regclass, o.relation, 0)
       else pg_describe_object(o.classid, o.objid, o.objsubid) end as name
     from outside o left join pg_class c on c.oid = o.relation
     where coalesce(c.relnamespace, o.pronamespace, o.typnamespace) not in (select oid from ours)
       -- Legwork's own: those on graphile-worker's table, and the triggers of legwork.enqueue_on.
       and not coalesce(c.relname like '\\_legwork\\_%' and c.relkind = 'i', false) and not coalesce(o.tgname like '\\_legwork\\_%', false)
     order by 1`,
    [SCHEMAS],
  );
  if (rows.length === 0) return;
  const names = rows.slice(0, NAMED_OBJECTS).map(({ name }) => name);
  const more = rows.length > NAMED_OBJECTS ? ` and ${rows.length - NAMED_OBJECTS} more` : "";
  throw new LegworkError("LW409", `These objects depend on Legwork and would be dropped with it: ${names.join(", ")}${more}.`, {
    hint: "Drop them, or change them so that they do not use Legwork, then run the command again.",
  });
}

async function ourRoles(client: PoolClient): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select r.rolname as name from pg_roles r
     where r.rolname in (select f.role from legwork_private.role_functions() f) order by 1`,
  );
  return rows.map(({ name }) => name);
}

/** Drops the triggers, so that Legwork no longer records changes to job rows or holds jobs back. */
async function dropTriggers(client: PoolClient): Promise<void> {
  const { rows } = await client.query<{ statement: string }>(
    `select format('drop trigger %I on %s', t.tgname, t.tgrelid::regclass) as statement
     from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_proc p on p.oid = t.tgfoid
     where c.relnamespace = 'graphile_worker'::regnamespace and p.pronamespace in (select n.oid from pg_namespace n where n.nspname in ('legwork', 'legwork_private'))`,
  );
  for (const { statement } of rows) await client.query(statement);
}

/** Releases the jobs that Legwork holds back, and removes its flags from jobs, because nothing else would do so later. */
async function freeJobs(client: PoolClient): Promise<{ releasedJobs: number; expiredJobs: number }> {
  const released = await client.query(
    "update graphile_worker._private_jobs j set run_at = w.run_at from legwork_private.waiting_jobs w where w.job_id = j.id and j.run_at = 'infinity'",
  );
  // The workers are dead. A job that they were running has used an attempt, except that a last attempt is given back; a job that was only fetched has
  // not.
  await client.query(
    `update graphile_worker._private_jobs j set locked_at = null, locked_by = null,
       attempts = case
         -- The job was removed or replaced while it ran, so it must not run again.
         when j.attempts >= j.max_attempts and j.updated_at > j.locked_at then j.attempts
         when j.id = any (w.running) then least(j.attempts, j.max_attempts - 1)
         else greatest(0, j.attempts - 1) end
     from legwork_private.worker_processes w where w.id = j.locked_by`,
  );
  await client.query(
    "update graphile_worker._private_job_queues q set locked_at = null, locked_by = null from legwork_private.worker_processes w where w.id = q.locked_by",
  );
  const expired = await client.query(
    `delete from graphile_worker._private_jobs j using legwork_private.expirations e
     where e.job_id = j.id and j.locked_at is null and j.attempts < j.max_attempts and legwork_private.expiry_of(j.flags) <= clock_timestamp()`,
  );
  // Only for jobs whose flags Legwork has set: on other jobs, flags with the same names may come from elsewhere.
  await client.query(
    `update graphile_worker._private_jobs j set flags = nullif(j.flags - n.noted, '{}')
     from (
       select k.id, array(
         select f from jsonb_object_keys(k.flags) f
         where f ~ '^lost:[12]$'
           or f like 'expires:%' and k.id in (select e.job_id from legwork_private.expirations e)
           or f ~ '^(workflow|step|compensates):' and legwork_private.flag_value(k.flags, 'workflow') in (select w.id::text from legwork_private.workflow_runs w)
           or f ~ '^batch:' and legwork_private.flag_value(k.flags, 'batch') in (select b.id::text from legwork_private.batch_runs b)
       ) as noted
       from graphile_worker._private_jobs k where k.flags is not null
     ) n
     where n.id = j.id and n.noted <> '{}'`,
  );
  return { releasedJobs: released.rowCount ?? 0, expiredJobs: expired.rowCount ?? 0 };
}

/** Removes additions to graphile-worker's schema: indexes that do not use Legwork's functions, policies, and the grants of Legwork's roles. */
async function restoreGraphileWorker(client: PoolClient, roles: readonly string[]): Promise<void> {
  const { rows } = await client.query<{ statement: string }>(
    `select format('drop index %s', c.oid::regclass) as statement from pg_class c
     where c.relnamespace = 'graphile_worker'::regnamespace and c.relkind = 'i' and c.relname like '\\_legwork\\_%'
     union all
     select format('drop policy %I on %s', p.polname, p.polrelid::regclass) from pg_policy p join pg_class c on c.oid = p.polrelid
     where c.relnamespace = 'graphile_worker'::regnamespace and p.polname like '\\_legwork\\_%'`,
  );
  for (const { statement } of rows) await client.query(statement);
  if (roles.length === 0) return;
  const grantees = roles.map((role) => client.escapeIdentifier(role)).join(", ");
  await client.query(`
    revoke all on all tables in schema graphile_worker from ${grantees};
    revoke all on all sequences in schema graphile_worker from ${grantees};
    revoke all on all routines in schema graphile_worker from ${grantees};
    revoke all on schema graphile_worker from ${grantees};
  `);
}
