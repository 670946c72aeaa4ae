-- Firing schedules: due occurrences are enqueued, held back or recorded as missed or skipped. See plan.sql.
-- Locks: none on existing tables.
create or replace function legwork_private.schedule_serial_key(name text, overlap text, max_instances integer) returns text
language sql immutable parallel safe
return case when overlap = 'queue' or (overlap = 'cancel' and max_instances = 1) then 'schedule:' || name end;
comment on function legwork_private.schedule_serial_key(text, text, integer) is
  'The serial key of a schedule''s jobs, if they queue or if a job must wait until the job that it cancelled has ended. Null otherwise.';

create or replace function legwork_private.live_jobs(job_ids bigint[]) returns bigint[]
language sql stable
return (
  select coalesce(array_agg(j.id order by j.id), '{}') from legwork_private.graphile_jobs j
  where j.id = any (job_ids) and (j.locked_at is not null or j.attempts < j.max_attempts));
comment on function legwork_private.live_jobs(bigint[]) is 'The given jobs that have not ended, the oldest first.';

create or replace function legwork_private.enqueue_occurrences(ids bigint[], names text[], due_at timestamptz[]) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.restore_names(array_agg(d.task), array_agg(legwork_private.schedule_serial_key(d.name, d.overlap, d.max_instances)))
  from legwork_private.schedule_definitions d where d.name = any (names);
  insert into legwork_private.graphile_jobs (id, job_queue_id, task_id, payload, run_at, max_attempts, priority, flags)
  overriding system value
  select o.id,
    case when d.overlap in ('queue', 'cancel') then (
      select q.id from legwork_private.graphile_job_queues q where q.queue_name = legwork_private.schedule_serial_key(d.name, d.overlap, d.max_instances)) end,
    -- Values are kept within bounds no matter what the row contains, because this statement handles all due schedules.
    t.id, d.payload::json, legwork_private.later(o.due_at, coalesce(least(greatest(d.jitter, interval '0'), interval '1 day') * random(), interval '0')),
    least(greatest(coalesce(d.max_attempts, 25), 1), 32767), least(greatest(coalesce(d.priority, 0), -32768), 32767),
    case when d.tenant is null then jsonb_build_object('schedule:' || d.name, true)
      else jsonb_build_object('schedule:' || d.name, true, 'tenant:' || d.tenant, true) end
  from unnest(ids, names, enqueue_occurrences.due_at) as o (id, name, due_at)
  join legwork_private.schedule_definitions d on d.name = o.name
  join legwork_private.graphile_tasks t on t.identifier = d.task;
  perform legwork_private.wake_workers(cardinality(ids));
end $$;
comment on function legwork_private.enqueue_occurrences(bigint[], text[], timestamptz[]) is
  'Enqueues the jobs of occurrences, with the given ids. The jobs'' flags name the schedule and the tenant. Jitter delays a job, never the occurrence.';

create or replace function legwork_private.cancel_older(job_ids bigint[], schedule text) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_job legwork_private.graphile_jobs;
begin
  -- Not through legwork.cancel_job: the schedule cancels these jobs, regardless of which session's transaction this is, and even if that session may
  -- not see them.
  -- The row's lock decides between this call and a worker that is fetching the job. Jobs that have ended in the meantime no longer exist.
  for v_job in
    select * from legwork_private.graphile_jobs j
    where j.id = any (job_ids) and (j.locked_at is not null or j.attempts < j.max_attempts) order by j.id for update
  loop
    perform legwork_private.cancel_locked(v_job, format('Cancelled by schedule ''%s'': it was due again.', cancel_older.schedule));
  end loop;
end $$;
comment on function legwork_private.cancel_older(bigint[], text) is 'Cancels a schedule''s older jobs in favor of a new one. Jobs that have ended in the meantime are left alone.';

create or replace function legwork_private.fire_due(as_of timestamptz, at_most integer, schedule text, out fired integer, out claimed integer)
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_cutoff timestamptz := as_of - legwork_private.schedule_grace();
  v_ids bigint[];
  v_names text[];
  v_due timestamptz[];
  v_cancels jsonb;
  v_cancel record;
begin
  -- If one job replaces all missed occurrences, all of them must be known. If the plan ends before now, all but its last occurrence are moved to the
  -- backlog. The plan is then short, and a worker extends it.
  update legwork_private.schedule_definitions d
  set backlog_count = d.backlog_count + cardinality(d.upcoming) - 1, backlog_from = coalesce(d.backlog_from, d.upcoming[1]),
    backlog_to = d.upcoming[cardinality(d.upcoming) - 1], upcoming = d.upcoming[cardinality(d.upcoming):]
  where d.name = any (array(
    select u.name from legwork_private.schedule_definitions u
    where u.next_at <= v_cutoff and u.missed = 'one' and not u.is_complete and cardinality(u.upcoming) > 1
      and u.upcoming[cardinality(u.upcoming)] <= as_of and (u.name = schedule or schedule is null and u.failed_at is null)
    order by u.next_at limit at_most for update skip locked));
  perform legwork_private.plan_intervals(as_of, at_most, schedule);

  -- One statement, so that everything is decided as of one moment: which schedules are due (claimed) and their policies, which occurrences are due
  -- (listed), which of them may still run (judged, ranked), the decision for each (decided), its record in the history, and the update of the
  -- schedules (changes, updated).
  with claimed as materialized (
    select d.* from legwork_private.schedule_definitions d
    where d.next_at <= as_of and (d.name = schedule or schedule is null and d.failed_at is null)
      and (d.missed <> 'one' or d.is_complete or d.next_at > v_cutoff or d.upcoming[cardinality(d.upcoming)] > as_of)
    order by d.next_at limit at_most
    for update skip locked
  ), policies as materialized (
    select c.name, c.missed, c.missed_window, c.overlap, c.requires is not null as waits, c.tenant, c.backlog_count, c.backlog_from, c.backlog_to,
      c.max_instances, c.max_runs - c.runs as remaining, l.live,
      case when c.overlap in ('skip', 'queue') then greatest(0, c.max_instances - cardinality(l.live)) end as room
    from claimed c
    cross join lateral (select case when c.overlap = 'allow' then '{}' else legwork_private.live_jobs(c.live) end as live) l
  ), listed as (
    select c.name, u.due_at, u.due_at <= v_cutoff as is_late
    from claimed c cross join lateral unnest(c.upcoming) as u (due_at)
    where u.due_at <= as_of
  ), judged as (
    select p.*, l.due_at, l.is_late,
      case when not l.is_late then true
        when p.missed = 'all' then l.due_at > legwork_private.earlier(as_of, p.missed_window)
        when p.missed = 'one' then bool_and(l.is_late) over w and l.due_at = max(l.due_at) over w
        else false end as is_candidate
    from listed l join policies p on p.name = l.name
    window w as (partition by l.name)
  ), ranked as (
    select j.*, row_number() over (partition by j.name, j.is_candidate order by j.due_at) as nth,
      count(*) over (partition by j.name, j.is_candidate) as candidates
    from judged j
  ), decided as materialized (
    select r.*, case when r.state = 'enqueued' then legwork_private.next_job_id() end as job_id
    from (
      select k.*,
        case when not k.is_candidate then null
          when k.waits then 'waiting'
          when k.overlap = 'cancel' then case when k.nth > k.candidates - least(k.max_instances, k.remaining) then 'enqueued' else 'skipped' end
          when k.nth <= coalesce(least(k.remaining, k.room), k.nth) then 'enqueued'
          -- max_runs was reached by an earlier one: later times are not occurrences of this schedule.
          when k.remaining <= coalesce(k.room, k.remaining) then 'over'
          else 'skipped' end as state
      from ranked k
    ) r
  ), summed as (
    select d.name, min(d.missed) as missed, min(d.missed_window) as missed_window, min(d.tenant) as tenant,
      count(*) filter (where not d.is_candidate) + min(d.backlog_count) as occurrences,
      least(min(d.backlog_from), min(d.due_at) filter (where not d.is_candidate)) as due_at,
      greatest(min(d.backlog_to), max(d.due_at) filter (where not d.is_candidate)) as last_due_at,
      min(d.job_id) as job_id
    from decided d group by d.name
  ), recorded as (
    insert into legwork_private.schedule_occurrences as r (schedule, due_at, state, reason, job_id, occurrences, last_due_at, recorded_at, tenant)
    select d.name, d.due_at, d.state,
      case when d.state = 'waiting' then 'Its requirements have not been checked yet.'
        when d.state = 'skipped' and d.overlap = 'cancel' then 'A later occurrence was also due.'
        when d.state = 'skipped' then format('This schedule may have only %s at a time: %s.', legwork_private.counted(d.max_instances, 'unfinished job'), concat_ws(' and ',
          case when cardinality(d.live) > 0 then format('%s %s had not ended', case cardinality(d.live) when 1 then 'job' else 'jobs' end,
            array_to_string(d.live[:5], ', ') || case when cardinality(d.live) > 5 then format(' and %s more', cardinality(d.live) - 5) else '' end) end,
          case when cardinality(d.live) < d.max_instances then 'another occurrence was enqueued at the same moment' end))
        when d.is_late then 'Enqueued late: no worker was running when it was due.' end,
      d.job_id, 1, d.due_at,
      -- A waiting occurrence waits from now on, even if it was missed.
      case when d.state = 'waiting' then as_of else clock_timestamp() end, d.tenant
    from decided d where d.state <> 'over'
    union all
    select s.name, s.due_at, case s.missed when 'one' then 'coalesced' else 'missed' end,
      case s.missed when 'one' then 'No worker was running. One job replaces all missed occurrences.'
        when 'all' then format('No worker was running, and missed occurrences are enqueued only up to %s late.', legwork_private.in_words(s.missed_window))
        else 'No worker was running, and this schedule does not enqueue missed occurrences.' end,
      case s.missed when 'one' then s.job_id end, s.occurrences, s.last_due_at, clock_timestamp(), s.tenant
    from summed s where s.occurrences > 0
    -- No occurrence is recorded a second time, even if a schedule with this name is created again or the clock is set back.
    on conflict on constraint schedule_occurrences_pkey do nothing
    returning r.schedule, r.due_at, r.state, r.job_id
  ), changes as (
    select p.name, p.overlap, p.live, count(d.due_at) as listed, count(r.job_id) filter (where r.state = 'enqueued') as enqueued,
      array_agg(r.job_id order by r.job_id) filter (where r.state = 'enqueued') as new_ids,
      max(r.due_at) filter (where r.state = 'enqueued') as last_due_at, max(r.job_id) filter (where r.state = 'enqueued') as last_job_id,
      (array_agg(r.state order by d.due_at desc) filter (where r.state is not null))[1] as last_state,
      (p.live)[:cardinality(p.live) + count(r.job_id) filter (where r.state = 'enqueued') - p.max_instances] as older
    from policies p
    join decided d on d.name = p.name
    left join recorded r on r.schedule = d.name and r.due_at = d.due_at
    group by p.name, p.overlap, p.live, p.max_instances
  ), updated as (
    update legwork_private.schedule_definitions d
    set runs = d.runs + c.enqueued,
      is_complete = d.is_complete or coalesce(d.runs + c.enqueued >= d.max_runs, false),
      upcoming = case when d.runs + c.enqueued >= d.max_runs then '{}' else d.upcoming[c.listed + 1:] end,
      live = case when c.overlap = 'allow' then '{}' else c.live || coalesce(c.new_ids, '{}') end,
      backlog_count = 0, backlog_from = null, backlog_to = null,
      last_due_at = coalesce(c.last_due_at, d.last_due_at), last_job_id = coalesce(c.last_job_id, d.last_job_id),
      last_state = coalesce(c.last_state, d.last_state)
    from changes c where d.name = c.name
  )
  select (select count(*) from claimed),
    (select array_agg(r.job_id order by r.due_at, r.job_id) from recorded r where r.state = 'enqueued'),
    (select array_agg(r.schedule order by r.due_at, r.job_id) from recorded r where r.state = 'enqueued'),
    (select array_agg(r.due_at order by r.due_at, r.job_id) from recorded r where r.state = 'enqueued'),
    (select jsonb_agg(jsonb_build_object('name', c.name, 'older', c.older)) from changes c where c.overlap = 'cancel' and cardinality(c.older) > 0)
  into claimed, v_ids, v_names, v_due, v_cancels;

  if v_ids is not null then
    perform legwork_private.enqueue_occurrences(v_ids, v_names, v_due);
  end if;
  for v_cancel in select c.name, c.older from jsonb_to_recordset(v_cancels) as c (name text, older bigint[]) loop
    perform legwork_private.cancel_older(v_cancel.older, v_cancel.name);
  end loop;
  if exists (select from legwork_private.schedule_occurrences r where r.state = 'waiting') then
    perform legwork_private.release_waiting(as_of, schedule => fire_due.schedule);
  end if;
  fired := coalesce(cardinality(v_ids), 0);
end $$;
comment on function legwork_private.fire_due(timestamptz, integer, text) is
  'Fires at_most due schedules, or the given one, for fire_schedules, without handling schedules that fail. claimed: how many schedules were due.';
revoke execute on function legwork_private.fire_due(timestamptz, integer, text) from public;

create or replace function legwork_private.fire_one_by_one(as_of timestamptz, names text[], out fired integer)
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_name text;
  v_state text;
  v_message text;
begin
  fired := 0;
  for v_name in
    select d.name from legwork_private.schedule_definitions d where d.name = any (names) order by d.next_at, d.name for update skip locked
  loop
    begin
      fired := fired + (select f.fired from legwork_private.fire_due(as_of, 1, v_name) f);
      update legwork_private.schedule_definitions d set failed_at = null, problem = null where d.name = v_name and d.failed_at is not null;
    exception when others then
      get stacked diagnostics v_state = returned_sqlstate, v_message = message_text;
      if legwork_private.is_systems_fault(v_state) then
        raise;
      end if;
      update legwork_private.schedule_definitions d set failed_at = as_of, problem = 'It cannot fire: ' || v_message where d.name = v_name;
    end;
  end loop;
end $$;
comment on function legwork_private.fire_one_by_one(timestamptz, text[]) is
  'Fires schedules one by one, so that schedules that fail do not block the others: their problem is recorded, and they are left out for a minute. Returns how many jobs were enqueued. '
  'Errors of the system are raised again.';
revoke execute on function legwork_private.fire_one_by_one(timestamptz, text[]) from public;

create or replace function legwork_private.fire_schedules(
  as_of timestamptz default clock_timestamp(), at_most integer default 1000, schedule text default null,
  out fired integer, out next_at timestamptz, out more boolean, out wants_plan boolean
)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_claimed integer;
  v_names text[];
begin
  -- Fires all due schedules in one subtransaction. If it fails because of a bad row, they are fired one by one below.
  begin
    select f.fired, f.claimed into fire_schedules.fired, v_claimed from legwork_private.fire_due(as_of, at_most, schedule) f;
  exception when others then
    if schedule is not null or legwork_private.is_systems_fault(sqlstate) then
      raise;
    end if;
    v_claimed := null;
  end;
  if v_claimed is null then
    -- Fewer than usual, because firing one schedule alone takes as long as firing all of them together.
    v_names := array(
      select d.name from legwork_private.schedule_definitions d
      where d.failed_at is null and (d.next_at <= as_of or d.wants_plan and d.every is not null
        or exists (select from legwork_private.schedule_occurrences r where r.state = 'waiting' and r.schedule = d.name))
      order by d.next_at, d.name limit least(at_most, 200));
    fired := legwork_private.fire_one_by_one(as_of, v_names);
    more := v_names <> '{}';
  elsif schedule is null then
    v_names := array(
      select d.name from legwork_private.schedule_definitions d where d.failed_at <= as_of - interval '1 minute' order by d.failed_at limit 20);
    if v_names <> '{}' then
      fired := fired + legwork_private.fire_one_by_one(as_of, v_names);
    end if;
  end if;

  more := coalesce(more, false) or v_claimed >= at_most
    or exists (select from legwork_private.schedule_definitions d where d.wants_plan and d.every is not null and d.failed_at is null);
  wants_plan := exists (select from legwork_private.schedule_definitions d where d.wants_plan and d.cron is not null);
  -- A due schedule that was skipped waits for its plan, has failed, or is locked by another session.
  next_at := (select d.next_at from legwork_private.schedule_definitions d where d.next_at > as_of order by d.next_at limit 1);
end $$;
comment on function legwork_private.fire_schedules(timestamptz, integer, text) is
  'Enqueues the occurrences that are due as of a time, for at most at_most schedules or for the given one, in the caller''s transaction. Occurrences that are not enqueued are recorded in '
  'legwork.schedule_runs. Any number of workers may call it at once: each handles different schedules. fired: jobs enqueued. next_at: when the next schedule is due. more: whether '
  'to call again at once. wants_plan: whether times of cron expressions must be computed, which a Legwork worker does. If a schedule fails, its problem is recorded, it is '
  'retried every minute, and the others fire. If it is given by name, its error is raised.';
revoke execute on function legwork_private.fire_schedules(timestamptz, integer, text) from public;

create or replace function legwork_private.enqueue_one(definition legwork_private.schedule_definitions, due_at timestamptz, state text) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_live bigint[] := case when definition.overlap = 'allow' then '{}' else legwork_private.live_jobs(definition.live) end;
  v_counts boolean := state <> 'manual';
  v_id bigint;
begin
  if definition.overlap in ('skip', 'queue') and cardinality(v_live) >= definition.max_instances then
    return null;
  end if;
  v_id := legwork_private.next_job_id();
  perform legwork_private.enqueue_occurrences(array[v_id], array[definition.name], array[enqueue_one.due_at]);
  if definition.overlap = 'cancel' then
    perform legwork_private.cancel_older(v_live[:cardinality(v_live) + 1 - definition.max_instances], definition.name);
  end if;
  update legwork_private.schedule_definitions d
  set live = case when d.overlap = 'allow' then '{}' else v_live || v_id end, last_due_at = enqueue_one.due_at, last_job_id = v_id,
    last_state = enqueue_one.state, runs = d.runs + v_counts::integer,
    is_complete = d.is_complete or coalesce(v_counts and d.runs + 1 >= d.max_runs, false),
    upcoming = case when v_counts and d.runs + 1 >= d.max_runs then '{}' else d.upcoming end
  where d.name = definition.name;
  return v_id;
end $$;
comment on function legwork_private.enqueue_one(legwork_private.schedule_definitions, timestamptz, text) is
  'Enqueues one job of a schedule, whose row the caller has locked, according to its overlap. Returns the job''s id, or null if the schedule has too many unfinished jobs.';

create or replace function legwork_private.release_waiting(as_of timestamptz default clock_timestamp(), at_most integer default 100, schedule text default null) returns integer
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_waiting record;
  v_definition legwork_private.schedule_definitions;
  v_reason text;
  v_id bigint;
  v_count integer := 0;
begin
  for v_waiting in
    -- The schedule is locked too, because its unfinished jobs are counted there. Rows locked by other sessions are skipped.
    select r.schedule, r.due_at, r.reason, r.recorded_at from legwork_private.schedule_occurrences r join legwork_private.schedule_definitions d on d.name = r.schedule
    where r.state = 'waiting' and (r.schedule = release_waiting.schedule or release_waiting.schedule is null and d.failed_at is null)
    order by r.due_at limit at_most for update skip locked
  loop
    select * into v_definition from legwork_private.schedule_definitions d where d.name = v_waiting.schedule;
    v_reason := legwork_private.unmet_requirement(v_definition.requires, v_waiting.due_at, v_definition.tenant);
    v_id := null;
    if v_reason is null and v_definition.runs < coalesce(v_definition.max_runs, v_definition.runs + 1) then
      v_id := legwork_private.enqueue_one(v_definition, v_waiting.due_at, 'enqueued');
    end if;
    if v_reason is null then
      update legwork_private.schedule_occurrences r
      set state = case when v_id is null then 'skipped' else 'enqueued' end, job_id = v_id, recorded_at = clock_timestamp(),
        reason = case when v_id is null then 'Its requirements were met, but the schedule had too many unfinished jobs or had reached max_runs.' end
      where r.schedule = v_waiting.schedule and r.due_at = v_waiting.due_at;
      v_count := v_count + 1;
    elsif as_of >= legwork_private.later(greatest(v_waiting.due_at, v_waiting.recorded_at), v_definition.requires_wait) then
      update legwork_private.schedule_occurrences r
      set state = 'held_back', recorded_at = clock_timestamp(), reason = format('%s It waited %s.', v_reason, legwork_private.in_words(v_definition.requires_wait))
      where r.schedule = v_waiting.schedule and r.due_at = v_waiting.due_at;
      update legwork_private.schedule_definitions d set last_state = 'held_back' where d.name = v_waiting.schedule;
      v_count := v_count + 1;
    elsif v_reason is distinct from v_waiting.reason then
      update legwork_private.schedule_occurrences r set reason = v_reason where r.schedule = v_waiting.schedule and r.due_at = v_waiting.due_at;
    end if;
  end loop;
  return v_count;
end $$;
comment on function legwork_private.release_waiting(timestamptz, integer, text) is
  'Handles the waiting occurrences of all schedules or of one: enqueues those whose requirements are met, and holds back those that have waited too long. Returns how many no longer wait.';
