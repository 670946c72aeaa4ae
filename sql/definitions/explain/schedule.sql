-- Why a schedule has not fired, and what happened to its last occurrences.
create or replace function legwork_private.missing_worker(task text) returns text
language sql stable set search_path = pg_catalog, pg_temp
return (
  select case
      when bool_or(missing_worker.task = any (w.tasks)) then null
      when count(w.id) = 0 then 'no Legwork worker is running'
      when bool_or(missing_worker.task = any (w.excluded)) then format('every running worker that has the task ''%s'' was started without it (--only, --except)', missing_worker.task)
      when count(w.id) = 1 then format('the only running Legwork worker does not have the task ''%s''', missing_worker.task)
      else format('none of the %s has the task ''%s''', legwork_private.counted(count(w.id), 'running Legwork worker'), missing_worker.task) end
  from legwork_private.worker_processes w
  where w.seen_at > clock_timestamp() - legwork_private.worker_grace());
comment on function legwork_private.missing_worker(text) is 'Why no running Legwork worker can run a task, in the middle of a sentence; null if one can.';

create or replace function legwork_private.explain_times(definition legwork_private.schedule_definitions) returns table (reason text, detail text, fix text, actions jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_run jsonb := jsonb_build_object('do', 'run_schedule', 'name', definition.name);
  v_enable jsonb := jsonb_build_object('do', 'enable_schedule', 'name', definition.name);
  v_workers boolean := exists (select from legwork_private.worker_processes w where w.seen_at > clock_timestamp() - legwork_private.worker_grace());
begin
  if not definition.is_enabled then
    return query select 'schedule_disabled',
      format('It was disabled by %s at %s, %s ago. Times that pass while it is disabled are not occurrences.', definition.disabled_by,
        to_char(definition.disabled_at, 'YYYY-MM-DD HH24:MI:SS TZ'), legwork_private.in_words(date_trunc('second', legwork_private.elapsed(definition.disabled_at, clock_timestamp())))),
      legwork_private.suggest('enable it', v_enable) || ', or ' || legwork_private.suggest('run it once now', v_run), jsonb_build_array(v_enable, v_run);
  elsif definition.problem is not null then
    return query select 'schedule_problem',
      case when definition.failed_at is null then 'Its occurrences cannot be computed: ' || definition.problem
        else format('%s It is retried every minute, last at %s.', definition.problem, to_char(definition.failed_at, 'YYYY-MM-DD HH24:MI:SS TZ')) end,
      'Create it again with other values, or remove it', '[]'::jsonb;
  elsif definition.is_complete and definition.upcoming = '{}' then
    return query select 'schedule_ended',
      case when definition.runs >= definition.max_runs then format('It has ended: it has enqueued %s, which is its max_runs.', legwork_private.counted(definition.runs, 'job'))
        when definition.at is not null then format('It has ended: its only occurrence was due at %s.', to_char(definition.at, 'YYYY-MM-DD HH24:MI:SS TZ'))
        when definition.ends_at is not null then format('It has ended: its window ended at %s.', to_char(definition.ends_at, 'YYYY-MM-DD HH24:MI:SS TZ'))
        else 'It has ended: its cron expression matches no later time.' end,
      'Create it again with later times, or ' || legwork_private.suggest('run it once now', v_run), jsonb_build_array(v_run);
  -- Workers fire within a second or so. A schedule that has been due for longer is late.
  elsif definition.next_at < clock_timestamp() - interval '5 seconds' then
    return query select 'schedule_late',
      format('It has been due since %s, for %s, and has not fired: %s.', to_char(definition.next_at, 'YYYY-MM-DD HH24:MI:SS TZ'),
        legwork_private.in_words(date_trunc('second', legwork_private.elapsed(definition.next_at, clock_timestamp()))),
        case when v_workers then 'workers are running, but none has fired it' else 'no Legwork worker is running, and only workers fire schedules' end),
      case when v_workers then 'Check the workers'' logs, and legwork doctor for locks on the job system''s tables'
        else format('Start a worker: legwork worker. Its occurrences that were due in the meantime %s', case definition.missed
          when 'none' then 'are then recorded as missed' when 'one' then 'are then replaced by one job' else 'are then enqueued' end) end, '[]'::jsonb;
  elsif definition.upcoming = '{}' then
    return query select 'schedule_unplanned',
      'Its next occurrences have not been computed yet' || case when v_workers then '.' else ': no Legwork worker is running.' end,
      case when v_workers then 'Wait a moment: a worker computes them within seconds' else 'Start a worker: legwork worker' end, '[]'::jsonb;
  end if;
end $$;
comment on function legwork_private.explain_times(legwork_private.schedule_definitions) is
  'The reason that explain_schedule returns for a schedule whose times keep it from firing: disabled, with a problem, ended, late or not planned. No row for a schedule that will fire.';

create or replace function legwork_private.explain_occurrences(definition legwork_private.schedule_definitions) returns table (reason text, detail text, fix text, actions jsonb)
language sql stable set search_path = pg_catalog, pg_temp
as $$
  with last as materialized (
    select o.*, row_number() over (order by o.due_at desc) as nth
    from (select * from legwork_private.schedule_occurrences r where r.schedule = definition.name order by r.due_at desc limit 20) o
  ), since as materialized (
    -- The occurrences after the last one that was enqueued.
    select l.* from last l where l.nth < coalesce((select min(x.nth) from last x where x.job_id is not null), 21)
  ), kinds as (
    select s.state, min(s.nth) as nth, sum(s.occurrences) as occurrences, min(s.due_at) as first, max(s.last_due_at) as last,
      (array_agg(s.reason order by s.nth))[1] as reason, (array_agg(s.recorded_at order by s.nth))[1] as recorded_at,
      bool_or(s.occurrences is null) as is_unknown
    from since s group by s.state
  ), live as (
    select (legwork_private.live_jobs(definition.live))[1] as id
  )
  select
    case k.state when 'waiting' then 'schedule_waits' when 'held_back' then 'schedule_held_back' when 'skipped' then 'schedule_skipped' else 'schedule_missed' end,
    format('%s due %s %s: %s',
      case when k.is_unknown then 'All occurrences' when k.occurrences = 1 then 'The occurrence' else 'The last ' || legwork_private.counted(k.occurrences::bigint, 'occurrence') end,
      case when k.first = k.last then 'at ' || to_char(k.first, 'YYYY-MM-DD HH24:MI:SS TZ')
        else format('from %s to %s', to_char(k.first, 'YYYY-MM-DD HH24:MI:SS TZ'), to_char(k.last, 'YYYY-MM-DD HH24:MI:SS TZ')) end,
      case k.state
        when 'waiting' then format('%s waiting, until %s at the latest', v.verb_is, to_char(legwork_private.later(greatest(k.last, k.recorded_at), definition.requires_wait), 'YYYY-MM-DD HH24:MI:SS TZ'))
        when 'held_back' then v.verb || ' held back' else v.verb || ' ' || k.state end,
      coalesce(k.reason, 'no reason was recorded.')),
    case k.state
      when 'skipped' then case when live.id is null then 'Nothing to do: the job in the way has ended, so the next occurrence will be enqueued'
        else legwork_private.suggest(format('see what job %s is doing', live.id), e.action) end
      when 'missed' then legwork_private.suggest('run it now', r.action) || '. To enqueue missed occurrences late, create the schedule with missed => one or all'
      when 'waiting' then 'It is enqueued as soon as the schedules that it requires have completed; ' || legwork_private.suggest('run it now', r.action)
      else legwork_private.suggest('run it anyway', r.action) end,
    case when k.state <> 'skipped' then jsonb_build_array(r.action) when live.id is null then '[]' else jsonb_build_array(e.action) end
  from kinds k
  cross join live
  cross join lateral (select case when k.occurrences = 1 and not k.is_unknown then 'was' else 'were' end as verb, case when k.occurrences = 1 and not k.is_unknown then 'is' else 'are' end as verb_is) v
  cross join lateral (select jsonb_build_object('do', 'run_schedule', 'name', definition.name) as action) r
  cross join lateral (select jsonb_build_object('do', 'explain_job', 'id', live.id::text) as action) e
  order by k.nth
$$;
comment on function legwork_private.explain_occurrences(legwork_private.schedule_definitions) is
  'What happened to the occurrences of a schedule since the last one that was enqueued, among the last 20: those that were skipped, missed, held back or are waiting, with the reason of the newest of each kind.';

create or replace function legwork_private.explain_last_job(definition legwork_private.schedule_definitions) returns table (reason text, detail text, fix text, actions jsonb)
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select case when j.state = 'completed' then 'schedule_completed' when j.finished_at is not null then 'schedule_not_completed' else 'schedule_job_waits' end,
    format('Its last job, job %s, due at %s, %s', definition.last_job_id, to_char(definition.last_due_at, 'YYYY-MM-DD HH24:MI:SS TZ'),
      case when j.finished_at is null then format('is %s.', j.state) else format('%s at %s%s',
        case j.state when 'cancelled' then 'was cancelled' else j.state::text end, to_char(j.finished_at, 'YYYY-MM-DD HH24:MI:SS TZ'), coalesce(': ' || left(j.error, 500), '.')) end),
    case when j.state = 'completed' then 'Nothing to do' else legwork_private.suggest('see why', e.action) end,
    case when j.state = 'completed' then '[]' else jsonb_build_array(e.action) end
  from legwork_private.all_jobs j
  cross join lateral (select jsonb_build_object('do', 'explain_job', 'id', j.id::text) as action) e
  where j.id = definition.last_job_id
  limit 1
$$;
comment on function legwork_private.explain_last_job(legwork_private.schedule_definitions) is 'The state of the last job of a schedule, or how it ended. No row if it has not enqueued a job, or if the job is no longer in the history.';

create or replace function legwork_private.explain_entry(entry legwork_private.crontab_entries) returns table (reason text, detail text, fix text, actions jsonb)
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select 'schedule_crontab',
    format('It is an entry of a crontab. The workers that were started with that file enqueue its jobs. A worker last reported it at %s. Last occurrence: %s.',
      to_char(entry.seen_at, 'YYYY-MM-DD HH24:MI:SS TZ'),
      coalesce((select to_char(g.last_execution, 'YYYY-MM-DD HH24:MI:SS TZ') from legwork_private.graphile_crontabs g where g.identifier = entry.identifier), 'none since it was first seen')),
    'To change it, edit the crontab file and restart the workers. Disabling, overlap and a record of occurrences need a schedule in the database', '[]'::jsonb
  union all
  select 'no_worker', format('Its jobs would wait: %s.', legwork_private.missing_worker(entry.task)), 'Start a worker that has it: legwork worker --tasks DIR', '[]'
  where legwork_private.missing_worker(entry.task) is not null
  union all
  select 'schedule_next', format('Its next occurrence is at %s.', legwork_private.time_ahead(n.at)), 'Wait', '[]'
  from (select min(u.at) as at from unnest(entry.upcoming) as u (at) where u.at > now()) n where n.at is not null
$$;
comment on function legwork_private.explain_entry(legwork_private.crontab_entries) is 'The reasons that explain_schedule returns for an entry of a crontab.';

create or replace function legwork.explain_schedule(name text)
returns table ("position" integer, reason text, detail text, fix text, actions jsonb)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_own text := legwork_private.confined_tenant();
  v_definition legwork_private.schedule_definitions;
  v_entry legwork_private.crontab_entries;
begin
  perform legwork_private.assert_role('viewer');
  select * into v_definition from legwork_private.schedule_definitions d where d.name = explain_schedule.name and (v_own is null or d.tenant = v_own);
  if v_definition.name is null and v_own is null then
    select * into v_entry from legwork_private.crontab_entries c where c.identifier = explain_schedule.name;
  end if;
  if v_definition.name is null and v_entry.identifier is null then
    raise exception 'There is no schedule named ''%''.', coalesce(name, 'null') using errcode = 'LW404', detail = '{"do": "list_schedules"}',
      hint = coalesce('Did you mean ''' || legwork_private.nearest_name(name, array(select s.name from legwork_private.all_schedules s where v_own is null or s.tenant = v_own)) || '''? ', '')
        || '`select name from legwork.schedules` lists them.';
  end if;
  return query
    select (row_number() over (order by x.part, x.n))::integer, x.reason, x.detail, legwork_private.as_fix(x.fix), legwork_private.open_actions(x.actions)
    from (
      select 0 as part, e.* from legwork_private.explain_entry(v_entry) with ordinality as e (reason, detail, fix, actions, n) where v_entry.identifier is not null
      union all
      select 1, t.* from legwork_private.explain_times(v_definition) with ordinality as t (reason, detail, fix, actions, n)
      union all
      select 2, o.* from legwork_private.explain_occurrences(v_definition) with ordinality as o (reason, detail, fix, actions, n)
      union all
      select 3, 'no_worker', format('Its jobs would wait: %s.', legwork_private.missing_worker(v_definition.task)), 'Start a worker that has it: legwork worker --tasks DIR', '[]', 1
      where v_definition.name is not null and legwork_private.missing_worker(v_definition.task) is not null
      union all
      select 4, p.* from legwork_private.explain_pauses(
        coalesce((select k.queue from legwork_private.task_definitions k where k.name = v_definition.task), 'default'), v_definition.task
      ) with ordinality as p (reason, detail, fix, actions, n) where v_definition.name is not null
      union all
      select 5, l.* from legwork_private.explain_last_job(v_definition) with ordinality as l (reason, detail, fix, actions, n)
      union all
      select 6, 'schedule_next', format('Its next occurrence is at %s.', legwork_private.time_ahead(v_definition.next_at)),
        'wait, or ' || legwork_private.suggest('run it now', a.action), jsonb_build_array(a.action), 1
      from (select jsonb_build_object('do', 'run_schedule', 'name', v_definition.name)) as a (action)
      where v_definition.next_at > clock_timestamp()
    ) x;
end $$;
comment on function legwork.explain_schedule(text) is
  'Explains why a schedule has not fired and what happened to its last occurrences, in the columns of explain_job. reason is one of schedule_disabled, schedule_problem, schedule_ended, schedule_late, schedule_unplanned, '
  'schedule_crontab; schedule_waits, schedule_held_back, schedule_skipped or schedule_missed for the occurrences since the last one that was enqueued; no_worker, everything_stopped, queue_paused or task_paused if '
  'that keeps its jobs from running; schedule_job_waits, schedule_not_completed or schedule_completed for its last job; and schedule_next. Raises LW404 for an unknown schedule.';
revoke execute on function legwork.explain_schedule(text) from public;
