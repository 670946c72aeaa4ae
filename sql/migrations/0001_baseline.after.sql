-- The part of the migration that needs the definitions: indexes on graphile-worker's tables, and initial rows.
-- Locks: ACCESS EXCLUSIVE on graphile_worker._private_jobs and _private_tasks, which `migrate` takes first. Statements on them wait until it commits.

-- Fetching creates a second version of a job's row and of its entry in the primary key, next to the first one. If the index page is full, Postgres
-- searches it for entries to remove, finds none, because the replaced version belongs to this very transaction, and splits the page. That costs 5 %
-- of a worker's throughput.
-- Pages that are half empty have room for the second versions.
do $$
declare
  v_index text;
  v_options text;
begin
  select format('%I.%I', c.relnamespace::regnamespace::name, c.relname),
    (select string_agg(format('%I = %L', o.option_name, o.option_value), ', ') from pg_options_to_table(c.reloptions) o
      where o.option_name in ('fillfactor', 'deduplicate_items'))
  into strict v_index, v_options
  from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = 'graphile_worker._private_jobs'::regclass and i.indisprimary;
  if v_options is not null then
    insert into legwork_private.undo_statements (statement) values (format('alter index if exists %s set (%s)', v_index, v_options));
  end if;
  insert into legwork_private.undo_statements (statement) values (format('alter index if exists %s reset (fillfactor, deduplicate_items)', v_index));
  execute format('alter index %s set (fillfactor = 50, deduplicate_items = off)', v_index);
end $$;

-- Waiting jobs by task, and jobs that run or have failed, so that neither has to be searched for among a hundred thousand waiting jobs. A job gets an
-- entry in the first index when it is enqueued and in the second when it is fetched. The first replaces an index that no statement of graphile-worker
-- 0.18 can use, because all of them also fetch jobs with a serial key. Enqueueing therefore costs no more than before.
insert into legwork_private.undo_statements (statement)
select regexp_replace(i.indexdef, '^CREATE INDEX ', 'create index if not exists ') from pg_indexes i
where i.schemaname = 'graphile_worker' and i.indexname = 'jobs_no_queue_index';

drop index if exists graphile_worker.jobs_no_queue_index;
create index if not exists _legwork_waiting on graphile_worker._private_jobs (task_id, id) with (deduplicate_items = off) where is_available;
create index if not exists _legwork_taken on graphile_worker._private_jobs (id) with (deduplicate_items = off) where not is_available;

-- The first is the counterpart, for live jobs, of the history's index on (tenant, id). The second finds a tenant's waiting jobs by task, because
-- a tenant may have no jobs of a task of which other tenants have thousands. Only jobs with flags pay for these indexes.
create index if not exists _legwork_tenant on graphile_worker._private_jobs (legwork_private.flag_value(flags, 'tenant'), id) where flags is not null;
create index if not exists _legwork_tenant_waiting on graphile_worker._private_jobs (legwork_private.flag_value(flags, 'tenant'), task_id, id)
  with (deduplicate_items = off) where is_available and flags is not null;

-- Keys are looked up as the caller gave them, which is how the history stores them. Only jobs with a key pay for this index.
create index if not exists _legwork_key on graphile_worker._private_jobs (legwork.given_key(key)) where key is not null;

-- A job's children, and the jobs of a correlation. Only jobs with flags pay for them.
create index if not exists _legwork_parent on graphile_worker._private_jobs ((case when flags is not null then legwork_private.parent_of(flags) end), id)
  where (case when flags is not null then legwork_private.parent_of(flags) end) is not null;
create index if not exists _legwork_correlation on graphile_worker._private_jobs ((case when flags is not null then legwork_private.flag_value(flags, 'correlation') end), id)
  where (case when flags is not null then legwork_private.flag_value(flags, 'correlation') end) is not null;

-- An earlier version of Legwork stored the keys of tenants' tokens as acme:import, and left such jobs behind when it was removed. Only these are
-- known to be Legwork's: callers of graphile_worker.add_job may still use any other key.
with old as (
  select j.id, legwork.tenant_key(substr(j.key, length(p.prefix) + 1), t.tenant) as key
  from graphile_worker._private_jobs j
  cross join lateral (select legwork_private.flag_value(j.flags, 'tenant') as tenant) t
  cross join lateral (select replace(replace(t.tenant, '%', '%25'), ':', '%3A') || ':' as prefix) p
  where j.key is not null and j.flags is not null and starts_with(j.key, p.prefix) and length(j.key) > length(p.prefix)
)
update graphile_worker._private_jobs j set key = o.key from old o
where j.id = o.id and length(o.key) <= 512 and not exists (select from graphile_worker._private_jobs x where x.key = o.key);

with old as (
  select q.id, legwork.tenant_key(substr(q.queue_name, length(p.prefix) + 1), t.tenant) as name
  from (
    select j.job_queue_id, min(legwork_private.flag_value(j.flags, 'tenant')) as tenant from graphile_worker._private_jobs j where j.job_queue_id is not null
    group by j.job_queue_id
    having min(legwork_private.flag_value(j.flags, 'tenant')) = max(legwork_private.flag_value(j.flags, 'tenant')) and count(legwork_private.flag_value(j.flags, 'tenant')) = count(*)
  ) t
  join graphile_worker._private_job_queues q on q.id = t.job_queue_id
  cross join lateral (select replace(replace(t.tenant, '%', '%25'), ':', '%3A') || ':' as prefix) p
  where starts_with(q.queue_name, p.prefix) and length(q.queue_name) > length(p.prefix)
)
update graphile_worker._private_job_queues q set queue_name = o.name from old o
where q.id = o.id and length(o.name) <= 128 and not exists (select from graphile_worker._private_job_queues x where x.queue_name = o.name);

-- Jobs that failed before Legwork was installed are shown too. They are kept for a full retention period from now, because the time of their failure
-- was not recorded.
insert into legwork_private.finished_jobs (
  id, task, queue, state, priority, attempts, max_attempts, payload, error, run_at, created_at, finished_at, job_key,
  serial_key, tenant, correlation_id, fingerprint
)
select
  j.id, t.identifier, 'default', 'failed', j.priority, j.attempts, j.max_attempts, j.payload, j.last_error, j.run_at,
  j.created_at, now(), legwork.given_key(j.key), q.queue_name, legwork_private.flag_value(j.flags, 'tenant'),
  legwork_private.flag_value(j.flags, 'correlation'), legwork_private.fingerprint(t.identifier, null, j.last_error)
from graphile_worker._private_jobs j
join graphile_worker._private_tasks t on t.id = j.task_id
left join graphile_worker._private_job_queues q on q.id = j.job_queue_id
where j.locked_at is null and j.attempts >= j.max_attempts;

-- Earlier rows are left out of the metrics, because it is not known when those jobs ended. This must happen before the rows move to today's
-- partitions.
select legwork_private.skip_roll_up(i.inhrelid::regclass) from pg_inherits i
where i.inhparent in ('legwork_private.finished_jobs'::regclass, 'legwork_private.failed_attempts'::regclass);

select legwork.maintain_history();

-- The built-in alert rules are not a user's change, so the audit log leaves them out.
alter table legwork_private.alert_rules disable trigger user;
select legwork.restore_alert_rules();
alter table legwork_private.alert_rules enable trigger user;
