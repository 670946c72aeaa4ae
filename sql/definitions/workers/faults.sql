-- Faults that keep workers from working: restarts of a runner, jobs whose end the database does not record, and connection poolers that share
-- connections. The worker itself records them, so that the doctor, alerts and metrics can report them, with the job that causes them.
-- Locks: none while migrating.

comment on table legwork_private.worker_faults is 'Faults that kept workers from working within the last seven days. Written by legwork_private.note_worker_fault.';
comment on column legwork_private.worker_faults.id is 'Ascending in the order in which they were recorded.';
comment on column legwork_private.worker_faults.host is 'The worker''s machine.';
comment on column legwork_private.worker_faults.pid is 'The worker''s process id.';
comment on column legwork_private.worker_faults.kind is
  'restart: its runner ended and was started again. recording: the database rejects the outcomes of jobs; recorded once a minute while that lasts. '
  'pooler: it failed to start because it reaches Postgres through a connection pooler that shares connections between clients.';
comment on column legwork_private.worker_faults.reason is 'The error message.';
comment on column legwork_private.worker_faults.job_id is 'The job that seems to cause it; null if no job does.';
comment on column legwork_private.worker_faults.at is 'When it was recorded.';

create or replace function legwork_private.note_worker_fault(host text, pid integer, kind text, reason text, job_id bigint default null) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if kind = 'pooler' then
    -- Only the latest fault of a host is kept, because a supervisor that keeps restarting the worker would fill the table.
    delete from legwork_private.worker_faults f where f.kind = 'pooler' and f.host = note_worker_fault.host;
  end if;
  insert into legwork_private.worker_faults (host, pid, kind, reason, job_id)
  values (note_worker_fault.host, note_worker_fault.pid, note_worker_fault.kind, left(note_worker_fault.reason, 1000), note_worker_fault.job_id);
  if kind = 'restart' then
    perform nextval('legwork_private.worker_restarts');
  end if;
  delete from legwork_private.worker_faults f where f.at < clock_timestamp() - interval '7 days';
end $$;
comment on function legwork_private.note_worker_fault(text, integer, text, text, bigint) is
  'Records that a worker restarts, that the database does not record how its jobs end, or that a connection pooler keeps it from starting. kind: restart, recording or pooler.';
revoke execute on function legwork_private.note_worker_fault(text, integer, text, text, bigint) from public;

create or replace function legwork_private.last_worker_faults(period interval) returns text[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select array_agg(f.reason order by f.id desc) from legwork_private.worker_faults f where f.at > clock_timestamp() - period and legwork_private.confined_tenant() is null
$$;
comment on function legwork_private.last_worker_faults(interval) is
  'The reasons for the faults within a period, newest first, for the server''s readiness. Null if it has none, and for a session that is confined to a tenant.';
revoke execute on function legwork_private.last_worker_faults(interval) from public;

create or replace function legwork_private.refused_workers(period interval default '15 minutes') returns setof legwork_private.worker_faults
language sql volatile as $$
  select distinct on (f.host) f.*
  from legwork_private.worker_faults f
  where f.kind = 'pooler' and f.at > clock_timestamp() - period
    and not exists (select from legwork_private.worker_processes w where w.host = f.host and w.started_at > f.at)
  order by f.host, f.id desc
$$;
comment on function legwork_private.refused_workers(interval) is
  'For each host, the last fault within the period (15 minutes) of a worker that failed to start because of a connection pooler, unless a worker has started there since.';
revoke execute on function legwork_private.refused_workers(interval) from public;
