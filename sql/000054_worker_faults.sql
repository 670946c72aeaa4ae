-- What keeps workers from working: restarts of a runner, jobs whose end the database does not record, and a connection pooler that shares connections. Noted by the worker itself, so that the
-- doctor, alerts and metrics can say it, with the job that causes it.
-- Locks: none while migrating.

create table legwork.worker_faults (
  id bigint generated always as identity primary key,
  host text not null,
  pid integer not null,
  kind text not null check (kind in ('restart', 'recording', 'pooler')),
  reason text not null,
  job_id bigint,
  at timestamptz not null default clock_timestamp()
);
comment on table legwork.worker_faults is 'What has kept workers from working within the last seven days. Written by legwork.note_worker_fault.';
comment on column legwork.worker_faults.id is 'In the order they came.';
comment on column legwork.worker_faults.host is 'The worker''s machine.';
comment on column legwork.worker_faults.pid is 'Its process there.';
comment on column legwork.worker_faults.kind is
  'restart: its runner ended and was started again. recording: the database refuses to record how jobs end; noted once a minute while that lasts. '
  'pooler: it did not start, because it reaches Postgres through a connection pooler that shares connections between clients.';
comment on column legwork.worker_faults.reason is 'Why, in the error''s words.';
comment on column legwork.worker_faults.job_id is 'The job that seems to cause it; null when none does.';
comment on column legwork.worker_faults.at is 'When.';
alter table legwork.worker_faults enable row level security;
create index worker_faults_at on legwork.worker_faults (at);

create function legwork.note_worker_fault(host text, pid integer, kind text, reason text, job_id bigint default null) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if kind = 'pooler' then
    -- What starts it again and again would fill the table.
    delete from legwork.worker_faults f where f.kind = 'pooler' and f.host = note_worker_fault.host;
  end if;
  insert into legwork.worker_faults (host, pid, kind, reason, job_id)
  values (note_worker_fault.host, note_worker_fault.pid, note_worker_fault.kind, left(note_worker_fault.reason, 1000), note_worker_fault.job_id);
  if kind = 'restart' then
    perform nextval('legwork.worker_restarts');
  end if;
  delete from legwork.worker_faults f where f.at < clock_timestamp() - interval '7 days';
end $$;
comment on function legwork.note_worker_fault(text, integer, text, text, bigint) is
  'A worker says that it restarts, that the database does not record how its jobs end, or that a connection pooler keeps it from starting. kind: restart, recording or pooler.';
revoke execute on function legwork.note_worker_fault(text, integer, text, text, bigint) from public;

create function legwork.last_worker_faults(period interval) returns text[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select array_agg(f.reason order by f.id desc) from legwork.worker_faults f where f.at > clock_timestamp() - period and legwork.confined_tenant() is null
$$;
comment on function legwork.last_worker_faults(interval) is
  'What has kept workers from working within a period, newest first; for the server''s readiness. Null for nothing, and for a session that is confined to a tenant.';
revoke execute on function legwork.last_worker_faults(interval) from public;

create function legwork.refused_workers(period interval default '15 minutes') returns setof legwork.worker_faults
language sql volatile as $$
  select distinct on (f.host) f.*
  from legwork.worker_faults f
  where f.kind = 'pooler' and f.at > clock_timestamp() - period
    and not exists (select from legwork.worker_processes w where w.host = f.host and w.started_at > f.at)
  order by f.host, f.id desc
$$;
comment on function legwork.refused_workers(interval) is
  'The last time within the period (15 minutes) that a worker on each host did not start because of a connection pooler, unless one has started there since.';
revoke execute on function legwork.refused_workers(interval) from public;

create function legwork.doctor_worker_faults(period interval default '15 minutes')
returns table ("check" text, severity text, finding text, remedy text, detail jsonb)
language sql volatile as $$
  with recent as materialized (
    select f.kind, f.host, f.pid, count(*) as times, max(f.at) as last_at, (array_agg(f.reason order by f.id desc))[1] as reason,
      (array_agg(f.job_id order by f.id desc) filter (where f.job_id is not null))[1] as job_id
    from legwork.worker_faults f
    -- What is noted once a minute has passed after two.
    where f.kind <> 'pooler' and f.at > clock_timestamp() - case f.kind when 'recording' then interval '2 minutes' else period end
    group by f.kind, f.host, f.pid
  )
  (select case r.kind when 'restart' then 'restarts' else 'recording' end,
    case when r.kind = 'recording' or r.times >= 3 then 'critical' else 'warning' end,
    case r.kind
      when 'restart' then format('The worker on %s (pid %s) has restarted %s in %s: %s', r.host, r.pid,
        case r.times when 1 then 'once' when 2 then 'twice' else r.times || ' times' end, legwork.in_words(period), r.reason)
      else format('The worker on %s (pid %s) cannot record how jobs end: %s', r.host, r.pid, r.reason)
    end,
    case
      when r.job_id is not null then format('Look at job %s, which seems to be the cause: legwork job %s. To end it: legwork cancel %s.', r.job_id, r.job_id, r.job_id)
      when r.kind = 'recording' then 'Correct what the database refuses (the server''s log has the statement). No job is lost: the worker keeps trying and then goes on by itself.'
      else 'Look at the worker''s log and at the server''s.'
    end,
    jsonb_build_object('host', r.host, 'pid', r.pid, 'times', r.times, 'last_at', r.last_at, 'job_id', r.job_id)
  from recent r order by r.times desc limit 20)
  union all
  (select 'pooler',
    case when exists (select from legwork.worker_processes w where w.suspected_at is null and w.seen_at > clock_timestamp() - legwork.worker_grace())
      then 'warning' else 'critical' end,
    format('The worker on %s (pid %s) did not start, at %s: %s', f.host, f.pid, to_char(f.at, 'YYYY-MM-DD HH24:MI:SS TZ'), f.reason),
    'Give that worker a DATABASE_URL that leads to Postgres itself, or to a pool in session mode with enough connections (docs/poolers.md).',
    jsonb_build_object('host', f.host, 'pid', f.pid, 'at', f.at)
  from legwork.refused_workers(period) f order by f.at desc limit 20)
  union all
  select 'pooler', 'ok', 'No worker reports a connection pooler that keeps it from starting.', null, null
  where not exists (select from legwork.refused_workers(period))
  union all
  select 'restarts', 'ok', format('No worker has restarted within %s.', legwork.in_words(period)), null, null
  where not exists (select from recent r where r.kind = 'restart')
  union all
  select 'recording', 'ok', 'No worker reports that it cannot record how jobs end.', null, null
  where not exists (select from recent r where r.kind = 'recording')
$$;
comment on function legwork.doctor_worker_faults(interval) is
  'Of legwork.doctor: workers that have restarted within the period (15 minutes), from three times on critical, workers that cannot record how jobs end, and those that a connection pooler '
  'keeps from starting.';
