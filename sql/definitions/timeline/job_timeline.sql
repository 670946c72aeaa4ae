comment on type legwork_private.timeline_run is 'An interval in which a job ran, or was suspended by its own task.';

create or replace function legwork_private.timeline_runs(job_id bigint, run_at timestamptz) returns setof legwork_private.timeline_run
language sql stable set search_path = pg_catalog, pg_temp
as $$
  with attempts as materialized (
    select a.attempt, a.state, a.started_at, a.finished_at, a.retry_at, a.worker,
      nullif(concat_ws(': ', a.error_name, left(split_part(a.error_message, E'\n', 1), 500)), '') as detail
    from legwork_private.all_attempts a
    where a.job_id = timeline_runs.job_id and a.started_at is not null
    order by a.started_at desc limit 100
  ), waits as materialized (
    -- A wait ends with its signal or its time; the attempt that continues starts later.
    select s.kind, case s.kind when 'invoke' then format('job %s in step ''%s''', s.child_id, s.name) else s.name end as name, s.attempt, s.started_at, s.deadline, s.recorded_at,
      case when s.kind = 'invoke' then coalesce(
          (select c.ended_at from legwork_private.child_ends c where c.child_id = s.child_id), case when s.state not in ('waiting', 'open') then s.recorded_at end)
        when s.state in ('waiting', 'open') then null
        when s.state = 'completed' and s.kind = 'wait' then coalesce(greatest(s.started_at, (
          select g.sent_at from legwork_private.job_signals g where g.job_id = s.job_id and g.name = s.name)), s.recorded_at)
        else least(s.deadline, s.recorded_at) end as ended_at
    from legwork_private.job_steps s
    where s.job_id = timeline_runs.job_id and s.kind in ('wait', 'sleep', 'invoke')
      -- A wait within a recorded attempt did not suspend that attempt.
      and not exists (select from attempts a where s.started_at >= a.started_at and s.started_at <= coalesce(a.finished_at, 'infinity'))
    order by s.started_at limit 200
  )
  select 'attempt', a.started_at, a.finished_at, case when a.state = 'failed' then (
      select f.run_at from legwork_private.failed_attempts f
      where f.job_id = timeline_runs.job_id and f.attempt = a.attempt and f.failed_at = a.finished_at limit 1)
    else timeline_runs.run_at end, a.retry_at, a.attempt::integer, a.state::text, a.detail, a.worker
  from attempts a
  union all
  -- The part of an attempt before a wait is not recorded as an attempt. It began no later than its first step.
  select 'attempt', x.began, w.started_at, null, null, w.attempt::integer, 'suspended', null, null
  from waits w
  cross join lateral (
    select min(s.started_at) as began from legwork_private.job_steps s
    where s.job_id = timeline_runs.job_id and s.started_at <= w.started_at
      and s.started_at > coalesce((select max(o.started_at) from waits o where o.started_at < w.started_at), '-infinity')
      and s.started_at > coalesce((select max(a.finished_at) from attempts a where a.finished_at <= w.started_at), '-infinity')
  ) x
  where x.began < w.started_at
  union all
  select case w.kind when 'wait' then 'signal' else w.kind end, w.started_at, w.ended_at, w.deadline, null, w.attempt::integer, null, w.name, null
  from waits w
$$;
comment on function legwork_private.timeline_runs(bigint, timestamptz) is
  'The last 100 attempts of a job, and its waits for signals, times and invoked jobs. due_at: for a wait, its deadline. detail: the error of an attempt, or the name of a wait. run_at: the run_at of the job.';

create or replace function legwork_private.timeline_waits(job_id bigint) returns table (
  kind text, started_at timestamptz, ended_at timestamptz, expected_at timestamptz, label text, detail text, actor text, target_type text, target text
)
language plpgsql stable set search_path = pg_catalog, pg_temp set jit = off as $$
declare
  v_job record;
  v_serial_key text;
begin
  select j.id, j.task, j.queue, j.state, j.run_at, j.created_at, j.finished_at into v_job from legwork_private.all_jobs j where j.id = timeline_waits.job_id;
  v_serial_key := coalesce(
    (select q.queue_name from legwork_private.graphile_jobs j join legwork_private.graphile_job_queues q on q.id = j.job_queue_id where j.id = timeline_waits.job_id),
    (select f.serial_key from legwork_private.finished_jobs f where f.id = timeline_waits.job_id limit 1));
  return query
    with runs as materialized (
      select r.*, lag(r.kind) over w as kind_before, lag(r.attempt) over w as attempt_before, lag(r.retry_at) over w as retry_before,
        max(coalesce(r.ended_at, 'infinity')) over (order by r.started_at rows between unbounded preceding and 1 preceding) as free_from
      from legwork_private.timeline_runs(timeline_waits.job_id, v_job.run_at) r
      window w as (order by r.started_at)
    ), gaps as materialized (
      select row_number() over (order by g.from_at) as gap, g.*
      from (
        select coalesce(r.free_from, v_job.created_at) as from_at, r.started_at as to_at, coalesce(case when r.kind = 'attempt' then r.due_at end, r.retry_before) as due_at,
          r.kind_before, r.attempt_before, r.retry_before, false as is_last
        from runs r
        union all
        select coalesce(max(coalesce(r.ended_at, 'infinity')), v_job.created_at), coalesce(v_job.finished_at, clock_timestamp()), v_job.run_at,
          (array_agg(r.kind order by r.started_at desc))[1], (array_agg(r.attempt order by r.started_at desc))[1], (array_agg(r.retry_at order by r.started_at desc))[1], true
        from runs r
      ) g
      where g.from_at < g.to_at
    ), reasons as materialized (
      select g.gap, 1 as rank, 'failed' as kind, g.from_at as started_at, coalesce(g.due_at, g.to_at) as ended_at, 'Failed, until it was retried' as label, null::text as detail,
        null::text as actor, null::text as target_type, null::text as target
      from gaps g where g.kind_before = 'attempt' and g.attempt_before is not null and g.retry_before is null
      union all
      select g.gap, 2, case when g.kind_before is null then 'scheduled' else 'retry_delay' end, g.from_at, g.due_at,
        case when g.kind_before is null then 'Due later' else format('Retry delay after attempt %s', g.attempt_before) end, null, null, null, null
      from gaps g where g.kind_before is null or (g.kind_before = 'attempt' and g.retry_before is not null)
      union all
      select g.gap, w.rank, w.kind, w.started_at, w.ended_at, w.label, w.detail, w.actor, w.target_type, w.target
      from gaps g
      join (
        select * from legwork_private.pauses_since(v_job.created_at, v_job.queue, v_job.task)
        union all
        select * from legwork_private.waiting_room_stays(timeline_waits.job_id)
        union all
        select * from legwork_private.serial_key_uses(timeline_waits.job_id, v_job.task, v_serial_key, v_job.created_at) where v_serial_key is not null
      ) w on w.started_at < g.to_at and w.ended_at > g.from_at
      union all
      select g.gap, 9, 'worker', g.from_at, g.to_at, 'Waiting for a worker', null, null, null, null from gaps g
    ), numbered as materialized (
      select row_number() over () as n, r.gap, r.rank, r.kind, greatest(r.started_at, g.from_at) as started_at, least(r.ended_at, g.to_at) as ended_at,
        g.to_at, g.due_at, g.is_last, r.label, r.detail, r.actor, r.target_type, r.target
      from reasons r join gaps g on g.gap = r.gap
      where r.started_at < g.to_at and r.ended_at > g.from_at
    ), pieces as (
      select p.gap, p.at as started_at, lead(p.at) over (partition by p.gap order by p.at) as ended_at
      from (select r.gap, r.started_at as at from numbered r union select r.gap, r.ended_at from numbered r) p
    ), chosen as (
      select p.gap, p.started_at, p.ended_at, c.n
      from pieces p
      cross join lateral (
        select r.n from numbered r
        where r.gap = p.gap and r.started_at <= p.started_at and r.ended_at >= p.ended_at
        order by r.rank, r.started_at, r.n limit 1
      ) c
      where p.ended_at is not null
    ), merged as (
      -- Consecutive intervals with the same reason are one wait.
      select c.n, min(c.started_at) as started_at, max(c.ended_at) as ended_at
      from (
        select c.*, row_number() over (partition by c.gap order by c.started_at) - row_number() over (partition by c.gap, c.n order by c.started_at) as island from chosen c
      ) c
      group by c.gap, c.n, c.island
    )
    select r.kind, m.started_at,
      case when v_job.finished_at is null and r.is_last and m.ended_at = r.to_at then null else m.ended_at end,
      case when r.kind in ('scheduled', 'retry_delay') and isfinite(r.due_at) then r.due_at end,
      r.label, r.detail, r.actor, r.target_type, r.target
    from merged m join numbered r on r.n = m.n
    where m.ended_at - m.started_at >= interval '1 millisecond';
end $$;
comment on function legwork_private.timeline_waits(bigint) is 'Why a job did not run between its enqueueing, its attempts and its end: one wait after another. ended_at: null for a wait that has not ended.';

create or replace function legwork_private.timeline_events(job_id bigint) returns table (
  kind text, started_at timestamptz, state text, label text, detail text, actor text, target_type text, target text
)
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select 'action', e.occurred_at, null::text,
    case e.operation
      when 'retry_job' then case when e.before ->> 'state' = 'failed' then 'Retried' else 'Started early' end
      when 'cancel_job' then case when e.after ->> 'state' = 'running' then 'Signaled to stop' else 'Cancelled' end
      when 'discard_job' then 'Discarded'
      when 'set_priority' then format('Priority changed from %s to %s', e.before ->> 'priority', e.after ->> 'priority')
      when 'send_signal' then format('Signal ''%s'' sent', e.after ->> 'signal')
      else initcap(left(e.operation, 1)) || replace(substr(e.operation, 2), '_', ' ') end,
    -- The reason of a cancellation begins with its actor.
    substring(e.after ->> 'reason' from '^Cancelled by .*?: (.*)$'), coalesce(e.actor, e.database_role), null::text, null::text
  from (
    select a.* from legwork_private.audit_entries a
    where a.target_type = 'job' and a.target = timeline_events.job_id::text and a.operation <> 'rerun_job'
    order by a.id desc limit 100
  ) e
  union all
  select 'action', r.requested_at, null, format(case when r.payload_changed then 'Rerun with another payload as job %s' else 'Rerun as job %s' end, r.job_id), null, r.requested_by, 'job', r.job_id::text
  from (select x.* from legwork_private.reruns x where x.original_id = timeline_events.job_id order by x.requested_at desc limit 50) r
  union all
  -- A retry of many jobs is one entry of the audit log, written in the same transaction as the new run_at.
  select 'action', e.occurred_at, null, 'Retried with other jobs', null, coalesce(e.actor, e.database_role), null, null
  from (
    select t.failed_at, t.due_at, t.task, t.queue from (
      select f.failed_at, f.task, f.queue,
        coalesce((select min(coalesce(n.run_at, n.failed_at)) from legwork_private.failed_attempts n where n.job_id = f.job_id and n.failed_at > f.failed_at),
          (select j.run_at from legwork_private.all_jobs j where j.id = f.job_id)) as due_at
      from legwork_private.failed_attempts f where f.job_id = timeline_events.job_id and f.retry_at is null
      order by f.failed_at desc limit 20
    ) t where t.due_at >= t.failed_at
  ) f
  cross join lateral (
    select a.occurred_at, a.actor, a.database_role from legwork_private.audit_entries a
    where a.target_type = 'jobs' and a.target is null and a.operation = 'retry_jobs' and a.occurred_at >= f.due_at and a.occurred_at < f.due_at + interval '5 minutes'
      and coalesce(a.after -> 'filter' ->> 'task', f.task) = f.task and coalesce(a.after -> 'filter' ->> 'queue', f.queue) = f.queue
      and (a.after -> 'filter' -> 'ids' is null or a.after -> 'filter' -> 'ids' @> to_jsonb(timeline_events.job_id)
        or a.after -> 'filter' -> 'ids' @> to_jsonb(timeline_events.job_id::text))
    order by a.id limit 1
  ) e
  union all
  select 'end', j.finished_at, j.state::text, case j.state when 'expired' then 'Expired' else 'Cancelled' end, j.error, null, null, null
  from legwork_private.all_jobs j where j.id = timeline_events.job_id and j.state in ('cancelled', 'expired')
$$;
comment on function legwork_private.timeline_events(bigint) is 'What users did with a job, and its end if that was not the end of an attempt. A retry of many jobs is found by its time and filter.';

create or replace function legwork.job_timeline(job_id bigint) returns table (
  "position" integer, kind text, started_at timestamptz, ended_at timestamptz, expected_at timestamptz, state text, attempt integer,
  label text, detail text, actor text, target_type text, target text
)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set jit = off as $$
declare
  v_job record;
begin
  perform legwork_private.assert_role('viewer');
  perform legwork_private.assert_visible(job_id);
  perform legwork_private.assert_job(job_id);
  select j.id, j.run_at, j.created_at, j.finished_at, j.parent_id into v_job from legwork_private.all_jobs j where j.id = job_timeline.job_id;
  return query
    select (row_number() over (order by s.started_at, s.kind not in ('enqueued', 'action'), s.ended_at desc nulls first, s.kind))::integer, s.*
    from (
      select 'enqueued'::text, v_job.created_at as started_at, v_job.created_at as ended_at, null::timestamptz, null::text, null::integer,
        'Enqueued' || coalesce(' as a rerun of job ' || r.original_id, ' by job ' || v_job.parent_id, ''), null::text, r.requested_by,
        case when coalesce(r.original_id, v_job.parent_id) is not null then 'job' end::text, coalesce(r.original_id, v_job.parent_id)::text
      from (select) x left join legwork_private.reruns r on r.job_id = job_timeline.job_id
      union all
      select w.kind, w.started_at, w.ended_at, w.expected_at, null, null, w.label, w.detail, w.actor, w.target_type, w.target
      from legwork_private.timeline_waits(job_timeline.job_id) w
      union all
      select r.kind, r.started_at, coalesce(r.ended_at, v_job.finished_at), case when r.ended_at is null and r.kind <> 'attempt' and isfinite(r.due_at) then r.due_at end,
        coalesce(r.state, case when r.ended_at is null and v_job.finished_at is null then 'waiting' end), r.attempt,
        case r.kind when 'attempt' then format('Attempt %s', r.attempt) when 'signal' then format('Waiting for the signal ''%s''', r.detail)
          when 'invoke' then 'Waiting for ' || r.detail
          else format('Sleeping in step ''%s''', r.detail) end,
        case when r.kind = 'attempt' then r.detail end,
        -- Tenants must not see where workers run.
        case when r.worker is not null and legwork_private.confined_tenant() is null then coalesce(
          (select format('%s:%s', p.host, p.pid) from legwork_private.worker_processes p where p.id = r.worker),
          (select format('%s:%s', p.host, p.pid) from legwork_private.worker_starts p where p.id = r.worker), r.worker) end,
        case when r.worker is not null and legwork_private.confined_tenant() is null then 'worker' end, case when legwork_private.confined_tenant() is null then r.worker end
      from legwork_private.timeline_runs(job_timeline.job_id, v_job.run_at) r
      union all
      select 'step', t.started_at, t.recorded_at, null, t.state, t.attempt::integer, format('Step ''%s''', t.name), t.error, null, null, null
      from (
        select * from legwork_private.job_steps p where p.job_id = job_timeline.job_id and p.kind = 'run' order by p.started_at limit 500
      ) t
      union all
      select 'child', c.created_at, c.finished_at, null, c.state::text, null, format('Job %s (%s)', c.id, c.task), null, null, 'job', c.id::text
      from (
        select o.id, o.task, o.state, o.created_at, o.finished_at from legwork_private.all_jobs o
        where o.parent_id = job_timeline.job_id and (legwork_private.confined_tenant() is null or o.tenant = legwork_private.confined_tenant())
          and not exists (select from legwork_private.reruns r where r.job_id = o.id)
        order by o.id limit 50
      ) c
      union all
      select e.kind, e.started_at, e.started_at, null, e.state, null, e.label, e.detail, e.actor, e.target_type, e.target
      from legwork_private.timeline_events(job_timeline.job_id) e
    ) s (kind, started_at, ended_at, expected_at, state, attempt, label, detail, actor, target_type, target);
end $$;
comment on function legwork.job_timeline(bigint) is
  'What happened to a job, in the order in which it began: why it waited, attempts, steps, signals, jobs that it enqueued, and what users did with it. kind is one of enqueued; scheduled (due later), retry_delay, '
  'dependency, paused, limit, serial_key, worker (ready, until a worker took it), failed (until it was retried): the waits, of which one is shown at a time; attempt, step, signal, sleep, invoke (waiting for a job that a step has enqueued), child, action and end. '
  'ended_at is null while it continues, and equal to started_at for an event. expected_at: when it will end, if that is known. state: of an attempt, step or child; suspended for the part of an attempt before a wait. '
  'actor: who did it; for an attempt, the host and process of its worker. target_type and target: what it refers to, such as job and its id. Waits for a limit or another job of less than a second are not '
  'recorded, and pauses only as long as the audit log. Raises LW404 for an unknown job.';
revoke execute on function legwork.job_timeline(bigint) from public;
