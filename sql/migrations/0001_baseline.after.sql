-- Initial rows that need the definitions.

-- An earlier version of Legwork stored the keys of tenants' tokens as acme:import, and left such jobs behind when it was removed. Only these are known to be
-- Legwork's: callers of graphile_worker.add_job may still use any other key.
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

-- Jobs that failed before Legwork was installed are shown too. They are kept for a full retention period from now, because the time of their failure was not recorded.
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

-- Earlier rows are left out of the metrics, because it is not known when those jobs ended. This must happen before the rows move to today's partitions.
select legwork_private.skip_roll_up(i.inhrelid::regclass) from pg_inherits i
where i.inhparent in ('legwork_private.finished_jobs'::regclass, 'legwork_private.failed_attempts'::regclass);

select legwork.maintain_history();

-- The built-in alert rules are not a user's change, so the audit log leaves them out.
alter table legwork_private.alert_rules disable trigger user;
select legwork.restore_alert_rules();
alter table legwork_private.alert_rules enable trigger user;
