-- Creating, changing, removing and running schedules. See plan.sql.
-- Locks: none on existing tables.
create or replace function legwork_private.describe_schedule(definition legwork_private.schedule_definitions) returns jsonb
language sql stable
-- Leaves out the payload, which may contain secrets.
return jsonb_strip_nulls(jsonb_build_object(
  'task', definition.task, 'cron', definition.cron, 'every', definition.every::text, 'at', definition.at, 'timezone', definition.timezone,
  'starts_at', definition.starts_at, 'ends_at', definition.ends_at, 'max_runs', definition.max_runs, 'jitter', definition.jitter::text,
  'overlap', definition.overlap, 'max_instances', definition.max_instances, 'missed', definition.missed, 'requires', definition.requires,
  'missed_window', case definition.missed when 'all' then definition.missed_window end::text,
  'requires_wait', case when definition.requires is not null then definition.requires_wait end::text, 'tenant', definition.tenant,
  'priority', definition.priority, 'max_attempts', definition.max_attempts, 'is_enabled', definition.is_enabled));
comment on function legwork_private.describe_schedule(legwork_private.schedule_definitions) is 'A schedule in the form in which the audit log records it.';

create or replace function legwork_private.assert_present(as_of timestamptz) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_time('as_of', as_of);
  -- Occurrences recorded ahead of time would be missing for another tenant that uses the name later.
  if legwork_private.confined_tenant() is not null and as_of > clock_timestamp() then
    raise exception 'as_of is %; a client confined to one tenant cannot set it to a future time.', as_of using errcode = 'LW403', hint = 'Omit as_of. It is meant for tests.';
  end if;
end $$;
comment on function legwork_private.assert_present(timestamptz) is
  'Does nothing if the time is not in the future, or if the session is not confined to a tenant. Raises LW403 otherwise, and LW400 for a time that is out of bounds.';

create or replace function legwork_private.lock_schedule(name text) returns legwork_private.schedule_definitions
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_definition legwork_private.schedule_definitions;
  v_own text := legwork_private.confined_tenant();
begin
  perform legwork_private.assert_role('operator');
  -- For a session confined to a tenant, another tenant's schedule does not exist.
  select * into v_definition from legwork_private.schedule_definitions d
  where d.name = lock_schedule.name and (v_own is null or d.tenant = v_own) for update;
  if v_definition.name is not null then
    return v_definition;
  end if;
  if v_own is null and exists (select from legwork_private.crontab_entries c where c.identifier = lock_schedule.name) then
    raise exception 'The schedule ''%'' is a crontab entry.', name using errcode = 'LW409',
      hint = 'Edit the crontab file and restart the workers, or remove the line there and create a schedule instead.';
  end if;
  raise exception 'There is no schedule named ''%''.', coalesce(name, 'null') using errcode = 'LW404', detail = '{"do": "list_schedules"}',
    hint = coalesce('Did you mean ''' || legwork_private.nearest_name(name, array(select d.name from legwork_private.schedule_definitions d where v_own is null or d.tenant = v_own)) || '''? ', '')
      || '`select name from legwork.schedules` lists them.';
end $$;
comment on function legwork_private.lock_schedule(text) is
  'Locks a schedule until the end of the transaction and returns it, for an operator who is about to change it. Raises LW404 for an unknown schedule and for another tenant''s, LW409 for a crontab entry, and LW403 without the role operator.';

create or replace function legwork_private.settle_schedule(name text, as_of timestamptz, why text) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_schedule legwork_private.schedule_definitions;
  v_failure text;
begin
  -- The schedule's row is locked, so nothing else fires it in the meantime. The plan of an interval is extended in steps.
  for v_round in 1..1000 loop
    select d.* into v_schedule from legwork_private.schedule_definitions d where d.name = settle_schedule.name;
    exit when not v_schedule.is_enabled or (v_round > 1 and v_schedule.cron is not null)
      or (not coalesce(v_schedule.next_at <= as_of, false) and (v_schedule.is_complete or v_schedule.cron is not null or v_schedule.planned_to >= as_of));
    begin
      perform legwork_private.fire_schedules(as_of, 1, settle_schedule.name);
    exception when others then
      if legwork_private.is_systems_fault(sqlstate) then
        raise;
      end if;
      -- A schedule that cannot fire can still be removed, disabled and replaced.
      v_failure := sqlerrm;
      exit;
    end;
  end loop;
  if v_failure is not null then
    insert into legwork_private.schedule_occurrences (schedule, due_at, state, reason, occurrences, last_due_at, tenant)
    values (v_schedule.name, coalesce(v_schedule.backlog_from, v_schedule.upcoming[1], v_schedule.planned_to, as_of), 'missed',
      format('The schedule %s while it could not fire: %s', why, v_failure), null, as_of, v_schedule.tenant)
    on conflict do nothing;
  -- The times up to as_of have not been computed. It is unknown whether there were any, unless no new minute (or second) has begun.
  elsif v_schedule.is_enabled and v_schedule.cron is not null and not v_schedule.is_complete and v_schedule.planned_to < as_of
    and (v_schedule.backlog_count > 0 or v_schedule.upcoming <> '{}'
      or date_trunc(case when v_schedule.cron ~ '^\s*(\S+\s+){5}\S' then 'second' else 'minute' end, as_of) > v_schedule.planned_to)
  then
    insert into legwork_private.schedule_occurrences (schedule, due_at, state, reason, occurrences, last_due_at, tenant)
    values (v_schedule.name, coalesce(v_schedule.backlog_from, v_schedule.upcoming[1], v_schedule.planned_to), 'missed',
      format('The schedule %s before its occurrences in this period were computed.', why), null, as_of, v_schedule.tenant)
    on conflict do nothing;
  end if;
  update legwork_private.schedule_occurrences r
  set state = 'held_back', reason = format('The schedule %s while this occurrence was waiting. %s', why, r.reason), recorded_at = clock_timestamp()
  where r.schedule = settle_schedule.name and r.state = 'waiting';
end $$;
comment on function legwork_private.settle_schedule(text, timestamptz, text) is
  'Settles a schedule''s occurrences up to a time, before its times change: due occurrences fire, and waiting ones are held back.';

create or replace function legwork_private.assert_schedule(
  name text, task text, cron text, every interval, at timestamptz, timezone text, payload jsonb, starts_at timestamptz, ends_at timestamptz, max_runs integer,
  jitter interval, overlap text, max_instances integer, missed text, missed_window interval, requires jsonb, requires_wait interval, priority integer,
  max_attempts integer, as_of timestamptz
) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_problem text;
  v_hint text := 'Nothing was changed.';
  v_other record;
  v_own text := legwork_private.confined_tenant();
begin
  if name is null or length(name) not between 1 and 100 or name ~ '[[:cntrl:]]' or name in ('.', '..') then
    raise exception 'A schedule needs a name of 1 to 100 characters, without control characters and other than ''.'' and ''..''.' using errcode = 'LW400', hint = 'Choose another name, for example cleanup-daily.';
  end if;
  if num_nonnulls(cron, every, at) <> 1 then
    raise exception 'The schedule ''%'' needs exactly one of cron, every and at.', name using errcode = 'LW400',
      hint = 'For example cron ''30 2 * * *'', every ''5 minutes'' or at ''2027-01-01 10:00+01''.';
  end if;
  perform legwork_private.assert_task(coalesce(task, ''));
  perform legwork_private.assert_timezone(coalesce(timezone, ''));
  if cron is not null then
    perform legwork_private.assert_cron(cron);
  end if;
  perform legwork_private.assert_every(every), legwork_private.assert_time('at', at), legwork_private.assert_time('starts_at', starts_at), legwork_private.assert_time('ends_at', ends_at),
    legwork_private.assert_number('max_runs', max_runs, 1, 2147483647), legwork_private.assert_interval('jitter', jitter, '0', '1 day'),
    legwork_private.assert_number('max_instances', max_instances, 1, 10000), legwork_private.assert_interval('missed_window', missed_window, '1 second', '1 year'),
    legwork_private.assert_interval('requires_wait', requires_wait, '0', '30 days'), legwork_private.assert_job_numbers(priority, max_attempts);
  v_problem := case
    when at <= as_of then format('at is %s, which is in the past', at)
    when ends_at <= starts_at then format('the window ends at %s, before it starts at %s', ends_at, starts_at)
    when ends_at <= as_of then format('the window ended at %s', ends_at)
    when at < starts_at or at > ends_at then format('at is %s, which is outside the window', at)
    when cron is not null and starts_at >= legwork_private.cron_end() then format('it would never fire: it starts at %s, and cron expressions end with the year 2999', starts_at)
    when overlap is null or overlap not in ('allow', 'skip', 'queue', 'cancel') then format('overlap is %s; it must be allow, skip, queue or cancel', coalesce(overlap, 'null'))
    when overlap = 'allow' and max_instances is not null then 'max_instances needs an overlap of skip, queue or cancel, which says how further occurrences are handled'
    when missed is null or missed not in ('none', 'one', 'all') then format('missed is %s; it must be none, one or all', coalesce(missed, 'null'))
    when missed_window is not null and missed <> 'all' then 'missed_window needs missed to be all'
    when requires_wait is not null and requires is null then 'requires_wait needs requires'
    when requires is not null and jsonb_typeof(requires) <> 'object' then format('requires is of type %s; it must be an object of schedule names and durations', jsonb_typeof(requires))
  end;
  if v_problem is not null then
    raise exception 'The schedule ''%'' is not valid: %.', name, v_problem using errcode = 'LW400', hint = v_hint;
  end if;
  if every is not null and ends_at is not null
    and legwork_private.interval_time(coalesce(starts_at, as_of), every, timezone, case when starts_at > as_of then 0 else 1 end) > ends_at
  then
    raise exception 'The schedule ''%'' never fires: its window ends at % before its first occurrence.', name, ends_at using errcode = 'LW400', hint = v_hint;
  end if;
  if requires is null or requires = '{}' then
    return;
  end if;
  -- Without this lock, two schedules that begin to require each other at the same time would not see each other.
  perform pg_advisory_xact_lock(hashtext('legwork.schedule requires'));
  for v_other in select r.key, r.value from jsonb_each_text(requires) r order by r.key loop
    perform legwork_private.read_interval('requires.' || v_other.key, coalesce(v_other.value, 'null'), '1 millisecond');
    if v_other.key <> name and not exists (
      select from legwork_private.schedule_definitions d where d.name = v_other.key and (v_own is null or d.tenant = v_own))
    then
      raise exception 'The schedule ''%'' requires ''%'', which does not exist.', name, v_other.key using errcode = 'LW404',
        hint = coalesce('Did you mean ''' || legwork_private.nearest_name(v_other.key,
            array(select d.name from legwork_private.schedule_definitions d where (v_own is null or d.tenant = v_own) and d.name <> assert_schedule.name)) || '''? ', '')
          || 'Create that schedule first. Crontab entries cannot be required.';
    end if;
  end loop;
  with recursive chain as (
    select k.key as name, array[assert_schedule.name, k.key] as path from jsonb_object_keys(requires) as k (key)
    union all
    select k.key, c.path || k.key
    from chain c
    join legwork_private.schedule_definitions d on d.name = c.name and jsonb_typeof(d.requires) = 'object'
    cross join lateral jsonb_object_keys(d.requires) as k (key)
    where c.name <> assert_schedule.name
  ) cycle name set is_cycle using visited
  select array_to_string(c.path, ' -> ') into v_problem from chain c where c.name = assert_schedule.name limit 1;
  if v_problem is not null then
    raise exception 'The schedule ''%'' would wait for itself: %.', name, v_problem using errcode = 'LW400', hint = 'Remove one of these from requires.';
  end if;
end $$;
comment on function legwork_private.assert_schedule(text, text, text, interval, timestamptz, text, jsonb, timestamptz, timestamptz, integer, interval, text, integer,
  text, interval, jsonb, interval, integer, integer, timestamptz) is 'Does nothing for a valid schedule. Raises LW400 or LW404 with the first problem.';

create or replace function legwork.schedule(
  name text, task text, cron text default null, every interval default null, at timestamptz default null, timezone text default 'UTC',
  payload jsonb default '{}', starts_at timestamptz default null, ends_at timestamptz default null, max_runs integer default null,
  jitter interval default null, overlap text default 'allow', max_instances integer default null, missed text default 'one',
  missed_window interval default null, requires jsonb default null, requires_wait interval default null, tenant text default null,
  priority integer default null, max_attempts integer default null, enabled boolean default null, as_of timestamptz default clock_timestamp()
) returns timestamptz
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_old legwork_private.schedule_definitions;
  v_new legwork_private.schedule_definitions;
  v_is_enabled boolean;
  v_tenant text := legwork_private.own_tenant(coalesce(tenant, nullif(current_setting('legwork.tenant', true), '')));
begin
  perform legwork_private.assert_role('operator');
  perform legwork_private.assert_present(as_of);
  -- Serializes sessions that create the same schedule at the same time.
  perform pg_advisory_xact_lock(hashtext('legwork.schedule'), hashtext(schedule.name));
  select * into v_old from legwork_private.schedule_definitions d where d.name = schedule.name for update;
  if v_old.tenant is distinct from v_tenant and v_old.name is not null and legwork_private.confined_tenant() is not null then
    -- Names are unique in the database. The message tells another tenant only that the name is taken.
    raise exception 'A schedule called ''%'' already exists.', name using errcode = 'LW409', hint = 'Choose another name.';
  end if;
  perform legwork_private.assert_schedule(name, task, cron, every, at, timezone, payload, starts_at, ends_at, max_runs, jitter, overlap, max_instances, missed,
    missed_window, nullif(requires, 'null'), requires_wait, priority, max_attempts,
    -- Defining an existing schedule again is not an error, even if its time has passed.
    case when v_old.name is not null and (v_old.at, v_old.ends_at) is not distinct from (at, ends_at) then '-infinity' else as_of end);
  if v_tenant is not null and exists (
    select from jsonb_object_keys(nullif(requires, 'null')) as k (key) join legwork_private.schedule_definitions d on d.name = k.key where d.tenant <> v_tenant)
  then
    raise exception 'The schedule ''%'' of tenant ''%'' cannot require another tenant''s schedule.', name, v_tenant using errcode = 'LW400',
      hint = 'It can require schedules of its own tenant, and schedules without a tenant.';
  end if;
  if exists (select from legwork_private.crontab_entries c where c.identifier = schedule.name) then
    raise exception '%', format(case when legwork_private.confined_tenant() is null then 'A crontab entry' else 'A schedule' end || ' called ''%s'' already exists.', name) using errcode = 'LW409', hint = 'Choose another name.';
  end if;
  v_is_enabled := coalesce(enabled, v_old.is_enabled, true);

  v_new := v_old;
  v_new.name := name; v_new.task := task; v_new.cron := cron; v_new.every := every; v_new.at := at; v_new.timezone := timezone;
  v_new.payload := coalesce(payload, '{}'); v_new.starts_at := starts_at; v_new.ends_at := ends_at; v_new.max_runs := max_runs;
  v_new.jitter := nullif(jitter, interval '0'); v_new.overlap := overlap; v_new.missed := missed;
  v_new.max_instances := case when overlap <> 'allow' then coalesce(max_instances, case overlap when 'queue' then 100 else 1 end) end;
  v_new.missed_window := coalesce(missed_window, interval '1 day'); v_new.requires := nullif(nullif(requires, 'null'), '{}');
  v_new.requires_wait := coalesce(requires_wait, interval '1 hour'); v_new.tenant := v_tenant;
  v_new.priority := priority; v_new.max_attempts := max_attempts; v_new.is_enabled := v_is_enabled;
  if v_is_enabled then
    v_new.disabled_at := null; v_new.disabled_by := null;
  elsif v_new.disabled_at is null then
    v_new.disabled_at := clock_timestamp(); v_new.disabled_by := legwork_private.current_actor();
  end if;

  -- Compared as text, because Postgres considers 24 hours and 1 day equal, but they give different occurrences.
  if v_old.name is not null and v_old::text = v_new::text then
    return v_old.next_at;
  end if;
  v_new.updated_at := clock_timestamp();
  if v_old.name is null or (v_old.cron, v_old.every::text, v_old.at, v_old.timezone, v_old.starts_at, v_old.ends_at, v_old.max_runs, v_old.is_enabled)
    is distinct from (cron, every::text, at, timezone, starts_at, ends_at, max_runs, v_is_enabled)
  then
    if v_old.name is not null then
      perform legwork_private.settle_schedule(name, as_of, 'was replaced');
      select d.live into v_new.live from legwork_private.schedule_definitions d where d.name = schedule.name;
    end if;
    v_new.anchor := coalesce(starts_at, as_of);
    v_new.planned_to := greatest(as_of, starts_at - interval '1 microsecond');
    v_new.upcoming := case when at > as_of then array[at] else '{}' end;
    v_new.is_complete := at is not null;
    v_new.sentence := case when at is not null then 'Once' when every is not null then legwork_private.describe_interval(every) end;
    v_new.backlog_count := 0; v_new.backlog_from := null; v_new.backlog_to := null; v_new.problem := null; v_new.runs := 0;
    v_new.revision := coalesce(v_old.revision, 0) + 1;
  end if;
  if v_new.failed_at is not null then
    v_new.failed_at := null; v_new.problem := null;
  end if;
  -- If its times are unchanged, they continue as planned: defining a schedule again at every start does not postpone it.

  insert into legwork_private.schedule_definitions (
    name, task, cron, every, at, timezone, payload, starts_at, ends_at, max_runs, jitter, overlap, max_instances, missed, missed_window, requires, requires_wait,
    tenant, priority, max_attempts, is_enabled, disabled_at, disabled_by, sentence, anchor, planned_to, upcoming, is_complete, backlog_count, backlog_from, backlog_to, problem, failed_at, runs,
    live, revision)
  values (
    v_new.name, v_new.task, v_new.cron, v_new.every, v_new.at, v_new.timezone, v_new.payload, v_new.starts_at, v_new.ends_at, v_new.max_runs, v_new.jitter,
    v_new.overlap, v_new.max_instances, v_new.missed, v_new.missed_window, v_new.requires, v_new.requires_wait, v_new.tenant, v_new.priority,
    v_new.max_attempts, v_new.is_enabled, v_new.disabled_at, v_new.disabled_by, v_new.sentence, v_new.anchor, v_new.planned_to, v_new.upcoming, v_new.is_complete, v_new.backlog_count,
    v_new.backlog_from, v_new.backlog_to, v_new.problem, v_new.failed_at, v_new.runs, coalesce(v_new.live, '{}'), v_new.revision)
  on conflict on constraint schedule_definitions_pkey do update set
    task = excluded.task, cron = excluded.cron, every = excluded.every, at = excluded.at, timezone = excluded.timezone, payload = excluded.payload,
    starts_at = excluded.starts_at, ends_at = excluded.ends_at, max_runs = excluded.max_runs, jitter = excluded.jitter, overlap = excluded.overlap,
    max_instances = excluded.max_instances, missed = excluded.missed, missed_window = excluded.missed_window, requires = excluded.requires,
    requires_wait = excluded.requires_wait, tenant = excluded.tenant, priority = excluded.priority, max_attempts = excluded.max_attempts,
    is_enabled = excluded.is_enabled, disabled_at = excluded.disabled_at, disabled_by = excluded.disabled_by, updated_at = clock_timestamp(), sentence = excluded.sentence, anchor = excluded.anchor,
    planned_to = excluded.planned_to, upcoming = excluded.upcoming, is_complete = excluded.is_complete, backlog_count = excluded.backlog_count,
    backlog_from = excluded.backlog_from, backlog_to = excluded.backlog_to, problem = excluded.problem, failed_at = excluded.failed_at, runs = excluded.runs, live = excluded.live,
    revision = excluded.revision;
  perform legwork_private.audit('schedule', 'schedule', name, case when v_old.name is not null then legwork_private.describe_schedule(v_old) end,
    legwork_private.describe_schedule(v_new) || case when v_old.payload <> v_new.payload then '{"payload_changed": true}'::jsonb else '{}' end, v_tenant);
  perform legwork_private.plan_intervals(as_of, 1, schedule.name);
  perform pg_notify('legwork', '{"schedules":true}');
  return (select d.next_at from legwork_private.schedule_definitions d where d.name = schedule.name);
end $$;
comment on function legwork.schedule(text, text, text, interval, timestamptz, text, jsonb, timestamptz, timestamptz, integer, interval, text, integer, text,
  interval, jsonb, interval, text, integer, integer, boolean, timestamptz) is
  'Creates a schedule, or replaces the one with this name, and returns its next occurrence: null for a cron expression that no worker has planned yet, which takes a moment. '
  'cron: five or six fields, or a shortcut such as @daily. every: a second or more; seconds to hours are elapsed time, days and months are calendar steps. at: once, at this time. '
  'timezone: a name of the IANA database, UTC by default; a local time that is skipped or comes twice occurs once. starts_at, ends_at: there are no occurrences outside this window. '
  'max_runs: the schedule ends after this many jobs. jitter: the longest random delay of a job. overlap: allow it; skip an occurrence while max_instances (1) of its jobs are unfinished; queue it '
  'behind them, up to max_instances (100); cancel the oldest of them. missed: after a time without a running worker, enqueue none of the missed occurrences, one job for all of them (the default), '
  'or all within missed_window (1 day). requires: schedules whose last job must have completed, each with the longest time since then, as in {"cleanup": "24 hours"}; an occurrence waits for them '
  'up to requires_wait (1 hour) and is then held back. enabled: null leaves it unchanged. A replaced schedule keeps its recorded occurrences; if its times are unchanged, it continues as planned. '
  'as_of: the current time, for tests. Raises LW400, LW404 for an unknown task, and LW409 for the name of a crontab entry.';
revoke execute on function legwork.schedule(text, text, text, interval, timestamptz, text, jsonb, timestamptz, timestamptz, integer, interval, text, integer, text,
    interval, jsonb, interval, text, integer, integer, boolean, timestamptz) from public;

create or replace function legwork.unschedule(name text, as_of timestamptz default clock_timestamp()) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_schedule legwork_private.schedule_definitions := legwork_private.lock_schedule(name);
begin
  perform legwork_private.assert_present(as_of);
  perform legwork_private.audit('unschedule', 'schedule', name, legwork_private.describe_schedule(v_schedule), null, v_schedule.tenant);
  perform legwork_private.settle_schedule(name, as_of, 'was removed');
  delete from legwork_private.schedule_definitions d where d.name = unschedule.name;
  perform pg_notify('legwork', '{"schedules":true}');
end $$;
comment on function legwork.unschedule(text, timestamptz) is
  'Removes a schedule. Its jobs and its recorded occurrences are kept. Raises LW404 for an unknown schedule, and LW409 for a crontab entry.';
revoke execute on function legwork.unschedule(text, timestamptz) from public;

create or replace function legwork.enable_schedule(name text, as_of timestamptz default clock_timestamp()) returns timestamptz
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_schedule legwork_private.schedule_definitions := legwork_private.lock_schedule(name);
begin
  perform legwork_private.assert_present(as_of);
  if not v_schedule.is_enabled then
    update legwork_private.schedule_definitions d
    set is_enabled = true, disabled_at = null, disabled_by = null, updated_at = clock_timestamp(), planned_to = greatest(as_of, d.starts_at - interval '1 microsecond'),
      upcoming = case when d.at > as_of and not coalesce(d.runs >= d.max_runs, false) then array[d.at] else '{}' end,
      is_complete = d.at is not null or coalesce(d.runs >= d.max_runs, false), failed_at = null, problem = null, revision = d.revision + 1
    where d.name = enable_schedule.name;
    perform legwork_private.plan_intervals(as_of, 1, enable_schedule.name);
    perform legwork_private.audit('enable_schedule', 'schedule', name, '{"is_enabled": false}', '{"is_enabled": true}', v_schedule.tenant);
    perform pg_notify('legwork', '{"schedules":true}');
  end if;
  return (select d.next_at from legwork_private.schedule_definitions d where d.name = enable_schedule.name);
end $$;
comment on function legwork.enable_schedule(text, timestamptz) is
  'Enables a schedule from now on; times that passed while it was disabled are not occurrences. Returns its next occurrence, which is null until a worker has planned it. Raises LW404 for an unknown schedule, '
  'and LW409 for a crontab entry.';
revoke execute on function legwork.enable_schedule(text, timestamptz) from public;

create or replace function legwork.disable_schedule(name text, as_of timestamptz default clock_timestamp()) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_schedule legwork_private.schedule_definitions := legwork_private.lock_schedule(name);
begin
  perform legwork_private.assert_present(as_of);
  if not v_schedule.is_enabled then
    return false;
  end if;
  perform legwork_private.settle_schedule(name, as_of, 'was disabled');
  perform legwork_private.audit('disable_schedule', 'schedule', name, '{"is_enabled": true}', '{"is_enabled": false}', v_schedule.tenant);
  update legwork_private.schedule_definitions d
  set is_enabled = false, disabled_at = clock_timestamp(), disabled_by = legwork_private.current_actor(), updated_at = clock_timestamp(), upcoming = '{}', backlog_count = 0, backlog_from = null, backlog_to = null, failed_at = null,
    revision = d.revision + 1
  where d.name = disable_schedule.name;
  perform pg_notify('legwork', '{"schedules":true}');
  return true;
end $$;
comment on function legwork.disable_schedule(text, timestamptz) is
  'Disables a schedule until it is enabled again; the jobs that it has enqueued are kept. Returns whether it was enabled. Raises LW404 for an unknown schedule, and LW409 for a crontab '
  'entry.';
revoke execute on function legwork.disable_schedule(text, timestamptz) from public;

create or replace function legwork.run_schedule(name text, as_of timestamptz default clock_timestamp()) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_schedule legwork_private.schedule_definitions := legwork_private.lock_schedule(name);
  v_due_at timestamptz := as_of;
  v_id bigint;
begin
  perform legwork_private.assert_present(as_of);
  v_id := legwork_private.enqueue_one(v_schedule, as_of, 'manual');
  if v_id is null then
    raise exception 'The schedule ''%'' has reached its limit of %.', name, legwork_private.counted(v_schedule.max_instances, 'unfinished job') using errcode = 'LW409',
      hint = 'Wait until one of its jobs has ended, or cancel one: ' || array_to_string((legwork_private.live_jobs(v_schedule.live))[:5], ', ') || '.';
  end if;
  loop
    -- An occurrence may be due at exactly this microsecond.
    insert into legwork_private.schedule_occurrences (schedule, due_at, state, reason, job_id, last_due_at, tenant)
    values (v_schedule.name, v_due_at, 'manual', 'Run by ' || legwork_private.current_actor() || '.', v_id, v_due_at, v_schedule.tenant)
    on conflict do nothing;
    exit when found;
    v_due_at := v_due_at + interval '1 microsecond';
  end loop;
  perform legwork_private.audit('run_schedule', 'schedule', name, null, jsonb_build_object('job', v_id), v_schedule.tenant);
  return v_id;
end $$;
comment on function legwork.run_schedule(text, timestamptz) is
  'Runs a schedule now, even if it is disabled, and returns the job''s id. The job does not count against max_runs and does not wait for the schedule''s requirements, but overlap applies. '
  'Raises LW404 for an unknown schedule, and LW409 for a crontab entry and while max_instances of its jobs are unfinished.';
revoke execute on function legwork.run_schedule(text, timestamptz) from public;
