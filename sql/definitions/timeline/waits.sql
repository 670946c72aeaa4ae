-- Why a job did not run: the parts of legwork.job_timeline between its attempts.
--
-- Each reason is an interval that is derived from recorded data: the times of attempts, pauses in the audit log, and legwork_private.job_waits. If
-- several reasons apply at the same time, the one with the smallest rank is shown. For example, a job that is due later would not start even
-- without a pause.

comment on type legwork_private.timeline_wait is 'An interval in which a job had a reason not to run.';

create or replace function legwork_private.gates_in_words(gates text[]) returns text
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select string_agg(case when l.id is null then 'a limit that has been removed since' else
      format('the %s limit of %s ''%s''%s', l.kind, l.scope, l.name,
        case when l.key <> '{}' then format(' for %s = %s', array_to_string(l.key, '.'), case when legwork_private.is_key_secret(l.scope, l.name, l.key) then '[redacted]'
          else coalesce(nullif(legwork_private.gate_key(g.gate), ''), 'nothing') end) else '' end) end, ' and ' order by g.n)
  from unnest(gates_in_words.gates) with ordinality as g (gate, n)
  left join legwork_private.limits l on l.id = legwork_private.gate_limit(g.gate)
$$;
comment on function legwork_private.gates_in_words(text[]) is 'The limits that these gates belong to: the concurrency limit of task ''report'' for user.id = 7. Null for no gates.';

create or replace function legwork_private.pauses_since(since timestamptz, queue text, task text) returns setof legwork_private.timeline_wait
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select case p.scope when 'all' then 4 when 'queue' then 5 else 6 end, 'paused', p.paused_at, 'infinity'::timestamptz,
    case p.scope when 'all' then 'Everything stopped' else format('%s ''%s'' paused', initcap(p.scope), p.name) end, p.reason, p.paused_by,
    nullif(p.scope, 'all'), nullif(p.name, '')
  from legwork_private.pauses p
  where p.scope = 'all' or (p.scope = 'queue' and p.name = pauses_since.queue) or (p.scope = 'task' and p.name = pauses_since.task)
  union all
  -- A pause that has ended is in the audit log as the value before it was resumed.
  select case e.target_type when 'all' then 4 when 'queue' then 5 else 6 end, 'paused', (e.before ->> 'paused_at')::timestamptz, e.occurred_at,
    case e.target_type when 'all' then 'Everything stopped' else format('%s ''%s'' paused', initcap(e.target_type), e.target) end,
    e.before ->> 'reason', e.before ->> 'paused_by', nullif(e.target_type, 'all'), e.target
  from (values ('all', null), ('queue', pauses_since.queue), ('task', pauses_since.task)) as s (scope, name)
  cross join lateral (
    select a.* from legwork_private.audit_entries a
    where a.target_type = s.scope and a.target is not distinct from s.name and a.operation = 'resume' and a.occurred_at >= pauses_since.since
    order by a.id desc limit 100
  ) e
$$;
comment on function legwork_private.pauses_since(timestamptz, text, text) is
  'The pauses of a queue and a task, and the emergency stops, that have not ended before a time: the last 100 of each. Pauses older than the audit log are missing.';

create or replace function legwork_private.serial_key_uses(job_id bigint, task text, serial_key text, since timestamptz) returns setof legwork_private.timeline_wait
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select 8, 'serial_key', f.started_at, f.finished_at, format('Serial key ''%s'' in use', legwork.given_key(serial_key)), format('By job %s.', f.id), null::text, 'job', f.id::text
  from (
    -- No index finds jobs by serial key. Nearly all that share one have the same task and were enqueued at about the same time.
    select o.id, o.started_at, o.finished_at, o.serial_key from legwork_private.finished_jobs o
    where o.task = serial_key_uses.task and o.id < serial_key_uses.job_id + 100
    order by o.id desc limit 1000
  ) f
  where f.serial_key = serial_key_uses.serial_key and f.id <> serial_key_uses.job_id and f.started_at is not null and f.finished_at > serial_key_uses.since
  union all
  select 8, 'serial_key', j.locked_at, 'infinity', format('Serial key ''%s'' in use', legwork.given_key(serial_key)), format('By job %s.', j.id), null, 'job', j.id::text
  from legwork_private.graphile_job_queues q
  join legwork_private.graphile_jobs j on j.job_queue_id = q.id and j.locked_at is not null and j.id <> serial_key_uses.job_id
  where q.queue_name = serial_key_uses.serial_key
$$;
comment on function legwork_private.serial_key_uses(bigint, text, text, timestamptz) is
  'When other jobs ran with a job''s serial key (as in graphile-worker''s table): those of its task among the thousand jobs before it, and the one that is running.';

create or replace function legwork_private.waiting_room_stays(job_id bigint) returns setof legwork_private.timeline_wait
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select case s.kind when 'dependency' then 3 else 7 end, s.kind, s.started_at, s.ended_at,
    case s.kind when 'dependency' then 'Waiting for other jobs' else 'Waiting for a limit' end,
    case s.kind when 'dependency' then 'For ' || case when cardinality(s.jobs) = 1 then 'job ' else 'jobs ' end || nullif(array_to_string(s.jobs[:5], ', '), '')
        || case when cardinality(s.jobs) > 5 then ' and more.' else '.' end
      else 'For ' || legwork_private.gates_in_words(s.gates) || '.' end,
    null::text, case when s.kind = 'dependency' then case when cardinality(s.jobs) > 0 then 'job' end else l.scope end,
    case when s.kind = 'dependency' then s.jobs[1]::text else l.name end
  from (
    select w.kind, w.started_at, w.ended_at, w.gates, '{}'::bigint[] as jobs
    from legwork_private.job_waits w where w.job_id = waiting_room_stays.job_id
    union all
    select case when w.held = 'dependency' then 'dependency' else 'limit' end, w.entered_at, 'infinity', w.gates,
      array(
        select d.depends_on from legwork_private.dependencies d
        where d.job_id = w.job_id and (legwork_private.confined_tenant() is null or exists (
          select from legwork_private.all_jobs j where j.id = d.depends_on and j.tenant = legwork_private.confined_tenant()))
        order by d.depends_on limit 6)
    from legwork_private.waiting_jobs w
    where w.job_id = waiting_room_stays.job_id and (w.held = 'dependency' or w.gates <> '{}')
  ) s
  left join legwork_private.limits l on l.id = legwork_private.gate_limit(s.gates[1])
$$;
comment on function legwork_private.waiting_room_stays(bigint) is 'When a job waited for limits and for other jobs.';
