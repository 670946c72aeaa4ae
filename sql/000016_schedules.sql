-- Runtime schedules: rows that enqueue jobs over time.
--
-- Times of cron expressions come from a library in TypeScript, which SQL cannot call. So every schedule has its next occurrences with it
-- (upcoming): whoever knows the library fills them ahead, and firing is pure SQL. An occurrence is a schedule and an instant. It happens in the
-- transaction that takes it out of upcoming, under the lock of the schedule's row, and leaves one row in legwork.schedule_occurrences, whose primary
-- key allows no second one.
-- Locks: none on tables that exist.

create table legwork.schedule_definitions (
  name text primary key check (length(name) between 1 and 100),
  task text not null,
  cron text,
  every interval,
  at timestamptz,
  timezone text not null,
  payload jsonb not null,
  starts_at timestamptz,
  ends_at timestamptz,
  max_runs integer,
  jitter interval,
  overlap text not null check (overlap in ('allow', 'skip', 'queue', 'cancel')),
  max_instances integer,
  missed text not null check (missed in ('none', 'one', 'all')),
  missed_window interval not null,
  requires jsonb,
  requires_wait interval not null,
  tenant text,
  priority integer,
  max_attempts integer,
  is_enabled boolean not null,
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null default session_user,
  updated_at timestamptz not null default clock_timestamp(),
  sentence text,
  anchor timestamptz not null,
  planned_to timestamptz not null,
  upcoming timestamptz[] not null default '{}',
  is_complete boolean not null default false,
  backlog_count bigint not null default 0,
  backlog_from timestamptz,
  backlog_to timestamptz,
  problem text,
  runs bigint not null default 0,
  live bigint[] not null default '{}',
  last_due_at timestamptz,
  last_state text,
  last_job_id bigint,
  revision integer not null default 1,
  next_at timestamptz generated always as (case when is_enabled then upcoming[1] end) stored,
  -- Half of what a plan holds: what is left must last until somebody comes to fill it up.
  wants_plan boolean generated always as (is_enabled and not is_complete and cardinality(upcoming) < 8) stored,
  check (num_nonnulls(cron, every, at) = 1)
);
comment on table legwork.schedule_definitions is 'What legwork.schedule made: rows that enqueue jobs over time. legwork.schedules shows them.';
comment on column legwork.schedule_definitions.name is 'The schedule''s name.';
comment on column legwork.schedule_definitions.task is 'The task that its jobs run.';
comment on column legwork.schedule_definitions.cron is 'A cron expression of five or six fields, or a nickname; null for another kind.';
comment on column legwork.schedule_definitions.every is 'The time between two occurrences; null for another kind.';
comment on column legwork.schedule_definitions.at is 'The one time it occurs; null for another kind.';
comment on column legwork.schedule_definitions.timezone is 'The time zone that cron and days and months of every are meant in.';
comment on column legwork.schedule_definitions.payload is 'What its jobs are given.';
comment on column legwork.schedule_definitions.starts_at is 'No occurrence is before that; null for no bound.';
comment on column legwork.schedule_definitions.ends_at is 'No occurrence is after that; null for no bound.';
comment on column legwork.schedule_definitions.max_runs is 'It is over when so many occurrences have been enqueued; null for no bound.';
comment on column legwork.schedule_definitions.jitter is 'A job starts up to so much later, at random; null for not at all.';
comment on column legwork.schedule_definitions.overlap is 'What becomes of an occurrence while max_instances jobs of the schedule live: allow, skip, queue or cancel.';
comment on column legwork.schedule_definitions.max_instances is 'How many of its jobs may live at a time; null where overlap is allow.';
comment on column legwork.schedule_definitions.missed is 'What becomes of occurrences that nobody was there for: none, one for all, or all.';
comment on column legwork.schedule_definitions.missed_window is 'For missed all: older ones are not made up for.';
comment on column legwork.schedule_definitions.requires is 'Schedules whose last run must have completed, each with how long ago at most; null for none.';
comment on column legwork.schedule_definitions.requires_wait is 'How long an occurrence waits for what it requires before it is held back.';
comment on column legwork.schedule_definitions.tenant is 'Whose schedule it is.';
comment on column legwork.schedule_definitions.priority is 'Of its jobs; null for 0.';
comment on column legwork.schedule_definitions.max_attempts is 'Of its jobs; null for 25.';
comment on column legwork.schedule_definitions.is_enabled is 'Whether it occurs.';
comment on column legwork.schedule_definitions.created_at is 'When it was made.';
comment on column legwork.schedule_definitions.created_by is 'The database role that made it.';
comment on column legwork.schedule_definitions.updated_at is 'When it was changed last.';
comment on column legwork.schedule_definitions.sentence is 'When it occurs, in words; null until a worker has written it.';
comment on column legwork.schedule_definitions.anchor is 'What every is counted from, so that the ends of months do not drift.';
comment on column legwork.schedule_definitions.planned_to is 'Every occurrence up to here is in upcoming, in the backlog or accounted for.';
comment on column legwork.schedule_definitions.upcoming is 'The next occurrences, in order.';
comment on column legwork.schedule_definitions.is_complete is 'Whether nothing comes after upcoming.';
comment on column legwork.schedule_definitions.backlog_count is 'Occurrences that nobody was there for and that are too many to list.';
comment on column legwork.schedule_definitions.backlog_from is 'The first of the backlog.';
comment on column legwork.schedule_definitions.backlog_to is 'The last of the backlog.';
comment on column legwork.schedule_definitions.problem is 'Why its times could not be computed; null when they could.';
comment on column legwork.schedule_definitions.runs is 'Occurrences that were enqueued.';
comment on column legwork.schedule_definitions.live is 'Jobs of it that may still live; kept where overlap is not allow.';
comment on column legwork.schedule_definitions.last_due_at is 'The last occurrence that was enqueued, by hand or by time.';
comment on column legwork.schedule_definitions.last_state is 'What became of the last occurrence.';
comment on column legwork.schedule_definitions.last_job_id is 'The last job.';
comment on column legwork.schedule_definitions.revision is 'Counts the changes of its times, so that no plan is stored for times that have been changed.';
comment on column legwork.schedule_definitions.next_at is 'The next occurrence; null while it is disabled, over or not planned yet.';
comment on column legwork.schedule_definitions.wants_plan is 'Whether upcoming runs short.';
alter table legwork.schedule_definitions enable row level security;
create index schedule_definitions_next_at on legwork.schedule_definitions (next_at) where next_at is not null;
create index schedule_definitions_wants_plan on legwork.schedule_definitions (name) where wants_plan;
create index schedule_definitions_tenant on legwork.schedule_definitions (tenant, name) where tenant is not null;

create table legwork.schedule_occurrences (
  schedule text not null,
  due_at timestamptz not null,
  state text not null,
  reason text,
  job_id bigint,
  occurrences bigint default 1,
  last_due_at timestamptz not null,
  recorded_at timestamptz not null default clock_timestamp(),
  tenant text,
  primary key (schedule, due_at)
) partition by range (due_at);
comment on table legwork.schedule_occurrences is
  'What became of every occurrence of every schedule, in partitions by the time it was due. Occurrences in a row that were not enqueued are one row. '
  'Kept as long as the history.';
comment on column legwork.schedule_occurrences.schedule is 'The schedule.';
comment on column legwork.schedule_occurrences.due_at is 'When it was due; the first of them, where a row stands for several.';
comment on column legwork.schedule_occurrences.state is
  'enqueued; manual: run by hand; waiting: for what it requires; skipped: too many of its jobs lived; missed: nobody was there; coalesced: nobody was there, and job_id '
  'stands for it; held_back: what it requires did not come.';
comment on column legwork.schedule_occurrences.reason is 'Why it was not simply enqueued.';
comment on column legwork.schedule_occurrences.job_id is 'The job.';
comment on column legwork.schedule_occurrences.occurrences is 'For how many occurrences the row stands; null when it is not known.';
comment on column legwork.schedule_occurrences.last_due_at is 'The last of them; due_at where there is one.';
comment on column legwork.schedule_occurrences.recorded_at is 'When this was decided.';
comment on column legwork.schedule_occurrences.tenant is 'Whose schedule it is.';
alter table legwork.schedule_occurrences enable row level security;
-- Those that wait are few, and somebody looks after them every second.
create index schedule_occurrences_waiting on legwork.schedule_occurrences (due_at) where state = 'waiting';
create table legwork.schedule_occurrences_default partition of legwork.schedule_occurrences default;
alter table legwork.schedule_occurrences_default enable row level security;

create table legwork.crontab_entries (
  identifier text primary key,
  task text not null,
  cron text not null,
  payload jsonb,
  sentence text,
  upcoming timestamptz[] not null default '{}',
  seen_at timestamptz not null default clock_timestamp()
);
comment on table legwork.crontab_entries is 'The entries of the crontabs that workers have; graphile-worker runs them. legwork.schedules shows them.';
comment on column legwork.crontab_entries.identifier is 'The entry''s identifier: its id option, else its task.';
comment on column legwork.crontab_entries.task is 'The task that its jobs run.';
comment on column legwork.crontab_entries.cron is 'The five fields of the line.';
comment on column legwork.crontab_entries.payload is 'The payload on the line; null for none.';
comment on column legwork.crontab_entries.sentence is 'When it occurs, in words.';
comment on column legwork.crontab_entries.upcoming is 'The next occurrences as of seen_at, in UTC as graphile-worker reads a crontab.';
comment on column legwork.crontab_entries.seen_at is 'When a worker last told of it.';
alter table legwork.crontab_entries enable row level security;

select legwork.maintain_history();

create function legwork.schedule_grace() returns interval
language sql immutable parallel safe
return interval '1 minute';
comment on function legwork.schedule_grace() is
  'How late an occurrence may be and still count as only late, not missed: a minute, which covers the restart of a database or of the only worker.';

-- Cron expressions. The grammar is the library''s, so that what is accepted here can be computed there; a test compares the two.

create function legwork.cron_item(field text, item text, out members integer[], out problem text)
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  v_low integer := case when field in ('day', 'month') then 1 else 0 end;
  v_high integer := case field when 'hour' then 23 when 'day' then 31 when 'month' then 12 when 'weekday' then 7 else 59 end;
  v_sizes integer := case field when 'hour' then 24 when 'day' then 31 when 'month' then 12 when 'weekday' then 7 else 60 end;
  v_names text[] := case field
    when 'month' then array['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
    when 'weekday' then array['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] end;
  v_text text := lower(item);
  v_match text[];
  v_bounds integer[] := '{}';
  v_bound text;
  v_step integer := 1;
  v_nth text;
begin
  if item = '' then
    problem := 'is empty';
    return;
  end if;
  if field = 'day' and v_text = 'l' then
    members := array[31, 28];
    return;
  end if;
  if field = 'day' and v_text ~ '^\d+w$' then
    v_text := left(v_text, -1);
  end if;
  if field = 'weekday' then
    v_nth := substring(v_text from '#(\d+|l)$');
    if v_nth is not null then
      v_text := left(v_text, -length(v_nth) - 1);
    elsif v_text ~ '.l$' then
      v_nth := 'l';
      v_text := left(v_text, -1);
    end if;
    if v_nth <> 'l' and (length(v_nth) > 9 or v_nth::integer not between 1 and 5) then
      problem := 'asks for a weekday that no month has; the first to the fifth are #1 to #5, the last is L';
      return;
    end if;
  end if;
  v_match := regexp_match(v_text, '^(\*|\w+)(?:-(\w+))?(?:/(\d+))?$');
  if v_match is null or (v_match[1] = '*' and (v_match[2] is not null or (v_nth is not null and v_match[3] is null))) then
    problem := 'is not understood';
    return;
  end if;
  if v_match[3] is not null then
    if v_match[1] <> '*' and v_match[2] is null then
      problem := format('has a step without a range; write %s-%s/%s', v_match[1], case field when 'weekday' then 6 else v_high end, v_match[3]);
      return;
    end if;
    v_step := case when length(ltrim(v_match[3], '0')) > 3 then 1000 else v_match[3]::integer end;
    if v_step not between 1 and v_sizes then
      problem := format('has a step that is not between 1 and %s', v_sizes);
      return;
    end if;
  end if;
  if v_match[1] = '*' then
    members := array(select generate_series(v_low, v_high, v_step));
    return;
  end if;
  foreach v_bound in array array_remove(v_match[1:2], null) loop
    if v_bound = any (v_names) then
      v_bounds := v_bounds || case
        when field = 'month' then array_position(v_names, v_bound)
        when v_bound = 'sun' and v_bounds <> '{}' then 7
        else array_position(v_names, v_bound) - 1 end;
    elsif v_bound !~ '^\d+$' then
      problem := 'is not understood' || coalesce('; did you mean ' || upper(legwork.nearest_name(v_bound, v_names)), '');
      return;
    elsif length(ltrim(v_bound, '0')) > 3 or v_bound::integer not between v_low and v_high then
      problem := format('is not between %s and %s', v_low, v_high);
      return;
    else
      v_bounds := v_bounds || v_bound::integer;
    end if;
  end loop;
  if v_bounds[1] > v_bounds[2] then
    problem := 'ends before it begins';
    return;
  end if;
  members := array(select generate_series(v_bounds[1], coalesce(v_bounds[2], v_bounds[1]), v_step));
end $$;
comment on function legwork.cron_item(text, text) is
  'What one item of a field of a cron expression (second, minute, hour, day, month or weekday) stands for, or what is wrong with it.';

create function legwork.assert_cron(cron text) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  v_names text[] := array['second', 'minute', 'hour', 'day', 'month', 'weekday'];
  v_fields text[];
  v_items text[];
  v_given integer;
  v_days integer[] := '{}';
  v_months integer[] := '{}';
  v_item record;
begin
  if length(cron) > 200 then
    raise exception 'A cron expression has at most 200 characters, this one has %.', length(cron) using
      errcode = 'LW400', hint = 'Make several schedules of it.';
  end if;
  if cron ~ '@' then
    if lower(regexp_replace(cron, '^\s+|\s+$', '', 'g')) in ('@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly') then
      return;
    end if;
    raise exception 'The cron expression >%< is no nickname.', cron using errcode = 'LW400',
      hint = '@yearly, @annually, @monthly, @weekly, @daily, @midnight and @hourly are.';
  end if;
  v_fields := regexp_split_to_array(regexp_replace(cron, '^\s+|\s+$', '', 'g'), '\s+');
  v_given := cardinality(v_fields);
  if v_given not in (5, 6) or cron !~ '\S' then
    raise exception 'The cron expression ''%'' has % field(s).', cron, case when cron ~ '\S' then v_given else 0 end using errcode = 'LW400',
      hint = 'It needs five (minute hour day month weekday), or six with seconds in front, for example 30 2 * * MON-FRI.';
  end if;
  for v_field in 7 - v_given..6 loop
    v_items := string_to_array(replace(v_fields[v_field - 6 + v_given], '?', '*'), ',');
    if v_field = 4 and lower(v_fields[v_field - 6 + v_given]) = 'lw' then
      v_days := array[28];
      continue;
    end if;
    for v_index in 1..cardinality(v_items) loop
      select * into v_item from legwork.cron_item(v_names[v_field], v_items[v_index]);
      if v_item.problem is not null then
        raise exception 'The cron expression is not valid: % ''%'' %: %', v_names[v_field], v_items[v_index], v_item.problem,
          array_to_string(v_fields[:v_field - 7 + v_given]
            || array_to_string(v_items[:v_index - 1] || ('>' || v_items[v_index] || '<') || v_items[v_index + 1:], ',')
            || v_fields[v_field - 5 + v_given:], ' ')
          using errcode = 'LW400',
          hint = 'Fields are minute, hour, day of month, month and weekday, with seconds in front where there are six; a field is *, a number, a name, '
            'a range (1-5), a step (*/15) or a list of them; days also take L, LW and 15W, weekdays FRI#2 and FRIL.';
      end if;
      if v_field = 4 then
        v_days := v_days || v_item.members;
      elsif v_field = 5 then
        v_months := v_months || v_item.members;
      end if;
    end loop;
  end loop;
  -- A day and a weekday are alternatives, as cron has it; alone, a day must be one that a month has.
  if replace(v_fields[v_given], '?', '*') = '*' and not exists (
    select from unnest(v_days) d, unnest(v_months) m where d <= case m when 2 then 29 when 4 then 30 when 6 then 30 when 9 then 30 when 11 then 30 else 31 end)
  then
    raise exception 'The cron expression never fires: no such month has that day: %',
      array_to_string(v_fields[:v_given - 3] || ('>' || v_fields[v_given - 2]) || (v_fields[v_given - 1] || '<') || v_fields[v_given], ' ')
      using errcode = 'LW400', hint = 'L is the last day of any month.';
  end if;
end $$;
comment on function legwork.assert_cron(text) is
  'Does nothing for a cron expression that fires some day. Raises LW400 for any other, with the part that is wrong between > and <.';

create function legwork.assert_timezone(timezone text) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  begin
    perform now() at time zone assert_timezone.timezone;
    -- Postgres also takes abbreviations and POSIX rules. Neither has daylight saving that can be relied on, and listing all zones is slow:
    -- only what could be one of them is looked up.
    if assert_timezone.timezone ~ '^[A-Za-z_]+(/[A-Za-z_-]+)+$' or assert_timezone.timezone = 'UTC'
      or exists (select from pg_timezone_names z where lower(z.name) = lower(assert_timezone.timezone) and z.name !~ '^posix/')
    then
      return;
    end if;
  exception when invalid_parameter_value then
    null;
  end;
  raise exception 'No time zone is called ''%''.', assert_timezone.timezone using errcode = 'LW400',
    hint = coalesce('Did you mean ''' || legwork.nearest_name(assert_timezone.timezone,
      array(select z.name from pg_timezone_names z where z.name ~ '^(Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific)/|^UTC$')) || '''? ', '')
      || 'Zones are named as in the IANA database, such as Europe/Berlin; select name from pg_timezone_names lists them.';
end $$;
comment on function legwork.assert_timezone(text) is 'Does nothing for a time zone of the IANA database. Raises LW400 with the nearest name for any other.';

-- Occurrences of every: the k-th is anchor + k times every, never the one before plus every, which would turn January 31 into the 28th for good.

create function legwork.interval_time(anchor timestamptz, every interval, timezone text, k bigint) returns timestamptz
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_local timestamp;
  v_time timestamptz;
begin
  if extract(year from every) = 0 and extract(month from every) = 0 and extract(day from every) = 0 then
    return anchor + every * k::double precision;
  end if;
  v_local := (anchor at time zone timezone) + every * k::double precision;
  v_time := v_local at time zone timezone;
  -- A local time that comes twice is meant the first time; Postgres takes the second. Clocks go back by an hour, or half of one.
  return case
    when (v_time - interval '1 hour') at time zone timezone = v_local then v_time - interval '1 hour'
    when (v_time - interval '30 minutes') at time zone timezone = v_local then v_time - interval '30 minutes'
    else v_time end;
end $$;
comment on function legwork.interval_time(timestamptz, interval, text, bigint) is
  'The k-th occurrence of an interval. Seconds, minutes and hours are elapsed time; with days or months it is a step of the calendar in the time zone.';

create function legwork.interval_index(anchor timestamptz, every interval, timezone text, upto timestamptz) returns bigint
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_k bigint := floor((extract(epoch from upto) - extract(epoch from anchor)) / extract(epoch from every));
begin
  -- An estimate where months differ in length; exact otherwise.
  while legwork.interval_time(anchor, every, timezone, v_k + 1) <= upto loop
    v_k := v_k + 1;
  end loop;
  while legwork.interval_time(anchor, every, timezone, v_k) > upto loop
    v_k := v_k - 1;
  end loop;
  return v_k;
end $$;
comment on function legwork.interval_index(timestamptz, interval, text, timestamptz) is 'Which occurrence of an interval is the last one up to a time.';

create function legwork.describe_interval(every interval) returns text
language sql stable
return 'Every ' || regexp_replace(array_to_string(array_remove(array[
  case when extract(year from every) <> 0 then extract(year from every) || ' years' end,
  case when extract(month from every) <> 0 then extract(month from every) || ' months' end,
  case when extract(day from every) <> 0 then extract(day from every) || ' days' end,
  case when extract(hour from every) <> 0 then extract(hour from every) || ' hours' end,
  case when extract(minute from every) <> 0 then extract(minute from every) || ' minutes' end,
  case when extract(second from every) <> 0 then trim_scale(extract(second from every)) || ' seconds' end], null), ' '), '^1 (\w+)s$', '\1');
comment on function legwork.describe_interval(interval) is 'An interval in words: Every 2 hours 30 minutes.';

-- Planning: upcoming is filled ahead. What nobody was there for is listed as far as it may still be enqueued and counted otherwise.

create function legwork.list_from(planned_to timestamptz, missed text, missed_window interval, as_of timestamptz) returns timestamptz
language sql immutable parallel safe
return case when missed = 'all' then greatest(planned_to, as_of - missed_window)
  else greatest(planned_to, as_of - legwork.schedule_grace()) end;
comment on function legwork.list_from(timestamptz, text, interval, timestamptz) is
  'After which time a plan lists occurrences one by one; those before, from planned_to on, are only counted.';

create function legwork.put_plan(
  name text, revision integer, planned_from timestamptz, times timestamptz[], is_complete boolean, planned_to timestamptz, backlog_count bigint,
  backlog_from timestamptz, backlog_to timestamptz, sentence text, problem text default null
) returns boolean
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  update legwork.schedule_definitions d
  set upcoming = d.upcoming || put_plan.times, is_complete = d.is_complete or put_plan.is_complete,
    planned_to = greatest(d.planned_to, put_plan.planned_to), sentence = coalesce(put_plan.sentence, d.sentence), problem = put_plan.problem,
    backlog_count = d.backlog_count + put_plan.backlog_count, backlog_from = coalesce(d.backlog_from, put_plan.backlog_from),
    backlog_to = coalesce(put_plan.backlog_to, d.backlog_to)
  where d.name = put_plan.name and d.revision = put_plan.revision and d.planned_to = put_plan.planned_from
  returning true;
end;
comment on function legwork.put_plan(text, integer, timestamptz, timestamptz[], boolean, timestamptz, bigint, timestamptz, timestamptz, text, text) is
  'Adds to a schedule''s plan what comes after planned_from. Nothing happens when its times were changed since revision, or somebody has planned it meanwhile; null then.';

create function legwork.plan_intervals(as_of timestamptz default clock_timestamp(), at_most integer default 1000, schedule text default null) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_schedule legwork.schedule_definitions;
  v_k bigint;
  v_from timestamptz;
  v_to bigint;
  v_last bigint;
  v_listed timestamptz[];
  v_backlog bigint;
  v_count integer := 0;
begin
  for v_schedule in
    select d.* from legwork.schedule_definitions d
    where d.wants_plan and d.every is not null and (schedule is null or d.name = schedule)
    order by d.name limit at_most for update skip locked
  loop
    v_k := legwork.interval_index(v_schedule.anchor, v_schedule.every, v_schedule.timezone, v_schedule.planned_to) + 1;
    v_last := case when v_schedule.ends_at is not null
      then legwork.interval_index(v_schedule.anchor, v_schedule.every, v_schedule.timezone, v_schedule.ends_at) end;
    v_from := legwork.list_from(v_schedule.planned_to, v_schedule.missed, v_schedule.missed_window, as_of);
    v_to := greatest(v_k, legwork.interval_index(v_schedule.anchor, v_schedule.every, v_schedule.timezone, v_from)
      -- The last one that was missed may be made up for.
      + case when v_schedule.missed = 'one' then 0 else 1 end);
    v_to := least(v_to, v_last + case when v_schedule.missed = 'one' and v_to > v_k then 0 else 1 end);
    v_backlog := greatest(0, v_to - v_k);
    v_listed := array(
      select legwork.interval_time(v_schedule.anchor, v_schedule.every, v_schedule.timezone, k)
      from generate_series(v_to, least(v_to + case when v_from < as_of then 500 else 16 end - 1, v_last)) k order by k);
    perform legwork.put_plan(v_schedule.name, v_schedule.revision, v_schedule.planned_to, v_listed,
      v_last is not null and v_to + cardinality(v_listed) > v_last,
      coalesce(v_listed[cardinality(v_listed)], v_schedule.ends_at), v_backlog,
      case when v_backlog > 0 then legwork.interval_time(v_schedule.anchor, v_schedule.every, v_schedule.timezone, v_k) end,
      case when v_backlog > 0 then legwork.interval_time(v_schedule.anchor, v_schedule.every, v_schedule.timezone, v_to - 1) end,
      legwork.describe_interval(v_schedule.every));
    v_count := v_count + 1;
  end loop;
  return v_count;
end $$;
comment on function legwork.plan_intervals(timestamptz, integer, text) is
  'Fills the plans that run short of schedules with an interval, at most_most of them, and returns how many there were.';
revoke execute on function legwork.put_plan(text, integer, timestamptz, timestamptz[], boolean, timestamptz, bigint, timestamptz, timestamptz, text, text),
  legwork.plan_intervals(timestamptz, integer, text) from public;

-- Firing.

create function legwork.schedule_serial_key(name text, overlap text, max_instances integer) returns text
language sql immutable parallel safe
return case when overlap = 'queue' or (overlap = 'cancel' and max_instances = 1) then 'schedule:' || name end;
comment on function legwork.schedule_serial_key(text, text, integer) is
  'The serial key of a schedule''s jobs: those that queue, and one that must wait for the end of the one it cancelled. Null for the others.';

create function legwork.live_jobs(job_ids bigint[]) returns bigint[]
language sql stable
return (
  select coalesce(array_agg(j.id order by j.id), '{}') from graphile_worker._private_jobs j
  where j.id = any (job_ids) and (j.locked_at is not null or j.attempts < j.max_attempts));
comment on function legwork.live_jobs(bigint[]) is 'Those of the jobs that have not ended, the oldest first.';

create function legwork.enqueue_occurrences(ids bigint[], names text[], due_at timestamptz[]) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  -- graphile-worker's clean-up of unused tasks and queues may have taken the names.
  insert into graphile_worker._private_tasks (identifier)
  select distinct d.task from legwork.schedule_definitions d
  where d.name = any (names) and not exists (select from graphile_worker._private_tasks t where t.identifier = d.task)
  on conflict do nothing;
  insert into graphile_worker._private_job_queues (queue_name)
  select legwork.schedule_serial_key(d.name, d.overlap, d.max_instances) from legwork.schedule_definitions d
  where d.name = any (names) and d.overlap in ('queue', 'cancel') and legwork.schedule_serial_key(d.name, d.overlap, d.max_instances) is not null
    and not exists (
      select from graphile_worker._private_job_queues q where q.queue_name = legwork.schedule_serial_key(d.name, d.overlap, d.max_instances))
  on conflict do nothing;
  insert into graphile_worker._private_jobs (id, job_queue_id, task_id, payload, run_at, max_attempts, priority, flags)
  overriding system value
  select o.id,
    case when d.overlap in ('queue', 'cancel') then (
      select q.id from graphile_worker._private_job_queues q where q.queue_name = legwork.schedule_serial_key(d.name, d.overlap, d.max_instances)) end,
    t.id, d.payload::json, o.due_at + coalesce(d.jitter * random(), interval '0'), coalesce(d.max_attempts, 25), coalesce(d.priority, 0),
    case when d.tenant is null then jsonb_build_object('schedule:' || d.name, true)
      else jsonb_build_object('schedule:' || d.name, true, 'tenant:' || d.tenant, true) end
  from unnest(ids, names, enqueue_occurrences.due_at) as o (id, name, due_at)
  join legwork.schedule_definitions d on d.name = o.name
  join graphile_worker._private_tasks t on t.identifier = d.task;
  perform legwork.wake_workers(cardinality(ids));
end $$;
comment on function legwork.enqueue_occurrences(bigint[], text[], timestamptz[]) is
  'Enqueues the jobs of occurrences, with ids that have been drawn for them. The jobs'' flags name the schedule and the tenant; jitter delays a job and never the occurrence.';

create function legwork.cancel_older(job_ids bigint[], schedule text) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_job bigint;
begin
  foreach v_job in array coalesce(job_ids, '{}') loop
    begin
      perform legwork.cancel_job(v_job, format('schedule %s was due again.', cancel_older.schedule));
    exception when sqlstate 'LW409' or sqlstate 'LW404' then
      -- It has ended meanwhile.
      null;
    end;
  end loop;
end $$;
comment on function legwork.cancel_older(bigint[], text) is 'Cancels jobs of a schedule that make room for the next one; those that have ended meanwhile are left alone.';

create function legwork.fire_schedules(
  as_of timestamptz default clock_timestamp(), at_most integer default 1000, schedule text default null,
  out fired integer, out next_at timestamptz, out more boolean, out wants_plan boolean
)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_cutoff timestamptz := as_of - legwork.schedule_grace();
  v_claimed integer;
  v_ids bigint[];
  v_names text[];
  v_due timestamptz[];
  v_cancels jsonb;
  v_cancel record;
begin
  -- What one run is to stand for must be known as a whole. Where the plan ends before now, all but the last of it are counted, which makes
  -- it short, and somebody fills it up.
  update legwork.schedule_definitions d
  set backlog_count = d.backlog_count + cardinality(d.upcoming) - 1, backlog_from = coalesce(d.backlog_from, d.upcoming[1]),
    backlog_to = d.upcoming[cardinality(d.upcoming) - 1], upcoming = d.upcoming[cardinality(d.upcoming):]
  where d.name = any (array(
    select u.name from legwork.schedule_definitions u
    where u.next_at <= v_cutoff and u.missed = 'one' and not u.is_complete and cardinality(u.upcoming) > 1
      and u.upcoming[cardinality(u.upcoming)] <= as_of and (schedule is null or u.name = schedule)
    order by u.next_at limit at_most for update skip locked));
  perform legwork.plan_intervals(as_of, at_most, schedule);

  with claimed as materialized (
    select d.* from legwork.schedule_definitions d
    where d.next_at <= as_of and (schedule is null or d.name = schedule)
      and (d.missed <> 'one' or d.is_complete or d.next_at > v_cutoff or d.upcoming[cardinality(d.upcoming)] > as_of)
    order by d.next_at limit at_most
    for update skip locked
  ), policies as materialized (
    select c.name, c.missed, c.missed_window, c.overlap, c.requires is not null as waits, c.tenant, c.backlog_count, c.backlog_from, c.backlog_to,
      c.max_instances, c.max_runs - c.runs as remaining, l.live,
      case when c.overlap in ('skip', 'queue') then greatest(0, c.max_instances - cardinality(l.live)) end as room
    from claimed c
    cross join lateral (select case when c.overlap = 'allow' then '{}' else legwork.live_jobs(c.live) end as live) l
  ), listed as (
    select c.name, u.due_at, u.due_at <= v_cutoff as is_late
    from claimed c cross join lateral unnest(c.upcoming) as u (due_at)
    where u.due_at <= as_of
  ), judged as (
    select p.*, l.due_at, l.is_late,
      case when not l.is_late then true
        when p.missed = 'all' then l.due_at > as_of - p.missed_window
        when p.missed = 'one' then bool_and(l.is_late) over w and l.due_at = max(l.due_at) over w
        else false end as is_candidate
    from listed l join policies p on p.name = l.name
    window w as (partition by l.name)
  ), ranked as (
    select j.*, row_number() over (partition by j.name, j.is_candidate order by j.due_at) as nth,
      count(*) over (partition by j.name, j.is_candidate) as candidates
    from judged j
  ), decided as materialized (
    select r.*, case when r.state = 'enqueued' then nextval(pg_get_serial_sequence('graphile_worker._private_jobs', 'id')) end as job_id
    from (
      select k.*,
        case when not k.is_candidate then null
          when k.waits then 'waiting'
          when k.overlap = 'cancel' then case when k.nth > k.candidates - least(k.max_instances, k.remaining) then 'enqueued' else 'skipped' end
          when k.nth <= coalesce(least(k.remaining, k.room), k.nth) then 'enqueued'
          -- The last run that it may have was among them: what comes after it is none of its occurrences.
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
    insert into legwork.schedule_occurrences as r (schedule, due_at, state, reason, job_id, occurrences, last_due_at, tenant)
    select d.name, d.due_at, d.state,
      case when d.state = 'waiting' then 'Not looked at yet.'
        when d.state = 'skipped' and d.overlap = 'cancel' then 'A later one was due as well.'
        when d.state = 'skipped' then format('%s of its jobs lived, and no more may: %s.',
          greatest(cardinality(d.live), d.max_instances), coalesce(nullif(array_to_string(d.live[:5], ', '), ''), 'those enqueued with this'))
        when d.is_late then 'Made up for: nobody was there when it was due.' end,
      d.job_id, 1, d.due_at, d.tenant
    from decided d where d.state <> 'over'
    union all
    select s.name, s.due_at, case s.missed when 'one' then 'coalesced' else 'missed' end,
      case s.missed when 'one' then 'Nobody was there; one run stands for all that were missed.'
        when 'all' then format('Nobody was there, and it is made up for only within %s.', s.missed_window)
        else 'Nobody was there, and the schedule does not make up for it.' end,
      case s.missed when 'one' then s.job_id end, s.occurrences, s.last_due_at, s.tenant
    from summed s where s.occurrences > 0
    -- Whoever has made a schedule of that name anew, or turned back the clock, gets no occurrence a second time.
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
    update legwork.schedule_definitions d
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
  into v_claimed, v_ids, v_names, v_due, v_cancels;

  if v_ids is not null then
    perform legwork.enqueue_occurrences(v_ids, v_names, v_due);
  end if;
  for v_cancel in select c.name, c.older from jsonb_to_recordset(v_cancels) as c (name text, older bigint[]) loop
    perform legwork.cancel_older(v_cancel.older, v_cancel.name);
  end loop;
  if exists (select from legwork.schedule_occurrences r where r.state = 'waiting') then
    perform legwork.release_waiting(as_of);
  end if;

  fired := coalesce(cardinality(v_ids), 0);
  more := v_claimed >= at_most or exists (select from legwork.schedule_definitions d where d.wants_plan and d.every is not null);
  wants_plan := exists (select from legwork.schedule_definitions d where d.wants_plan and d.cron is not null);
  -- What is due and was stepped over waits for its plan, or somebody else has it.
  next_at := (select d.next_at from legwork.schedule_definitions d where d.next_at > as_of order by d.next_at limit 1);
end $$;
comment on function legwork.fire_schedules(timestamptz, integer, text) is
  'Enqueues what is due as of a time, for at_most schedules, or for that one schedule, in the caller''s transaction; what is not to be enqueued is accounted for in '
  'legwork.schedule_runs. Any number of workers may call it at once: each takes other schedules. fired: jobs enqueued. next_at: when something is due next. more: whether '
  'to call again at once. wants_plan: whether times of cron expressions must be computed, which a Legwork worker does.';

create function legwork.unmet_requirement(requires jsonb, due_at timestamptz) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_other record;
  v_definition legwork.schedule_definitions;
  v_run legwork.schedule_occurrences;
  v_job record;
begin
  for v_other in select r.key as name, r.value::interval as within from jsonb_each_text(requires) r order by r.key loop
    select * into v_definition from legwork.schedule_definitions d where d.name = v_other.name;
    if v_definition.name is null then
      return format('It requires %s, and there is no such schedule any more.', v_other.name);
    end if;
    if v_definition.next_at <= unmet_requirement.due_at then
      return format('It requires %s, which is due before it.', v_other.name);
    end if;
    select * into v_run from legwork.schedule_occurrences r
    where r.schedule = v_other.name and r.state in ('enqueued', 'manual', 'waiting', 'held_back')
    order by r.due_at desc limit 1;
    if v_run.schedule is null then
      return format('It requires %s, which has not run yet.', v_other.name);
    elsif v_run.state = 'waiting' then
      return format('It requires %s, which waits itself.', v_other.name);
    elsif v_run.state = 'held_back' then
      return format('It requires %s, which was held back itself.', v_other.name);
    end if;
    select f.state, f.finished_at into v_job from legwork.finished_jobs f where f.id = v_run.job_id order by f.finished_at desc limit 1;
    if not found then
      return case when legwork.live_jobs(array[v_run.job_id]) = '{}'
        then format('It requires %s, and what became of its job %s is not kept any more.', v_other.name, v_run.job_id)
        else format('It requires %s, and its job %s has not ended.', v_other.name, v_run.job_id) end;
    elsif v_job.state <> 'completed' then
      return format('It requires %s, and its last job %s is %s.', v_other.name, v_run.job_id, v_job.state);
    elsif v_job.finished_at < unmet_requirement.due_at - v_other.within then
      return format('It requires %s within %s, and its last job %s completed before that.', v_other.name, v_other.within, v_run.job_id);
    end if;
  end loop;
  return null;
end $$;
comment on function legwork.unmet_requirement(jsonb, timestamptz) is 'Why an occurrence may not run yet, as a sentence; null when everything that it requires has succeeded.';

create function legwork.enqueue_one(definition legwork.schedule_definitions, due_at timestamptz, state text) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_live bigint[] := case when definition.overlap = 'allow' then '{}' else legwork.live_jobs(definition.live) end;
  v_counts boolean := state <> 'manual';
  v_id bigint;
begin
  if definition.overlap in ('skip', 'queue') and cardinality(v_live) >= definition.max_instances then
    return null;
  end if;
  v_id := nextval(pg_get_serial_sequence('graphile_worker._private_jobs', 'id'));
  perform legwork.enqueue_occurrences(array[v_id], array[definition.name], array[enqueue_one.due_at]);
  if definition.overlap = 'cancel' then
    perform legwork.cancel_older(v_live[:cardinality(v_live) + 1 - definition.max_instances], definition.name);
  end if;
  update legwork.schedule_definitions d
  set live = case when d.overlap = 'allow' then '{}' else v_live || v_id end, last_due_at = enqueue_one.due_at, last_job_id = v_id,
    last_state = enqueue_one.state, runs = d.runs + v_counts::integer,
    is_complete = d.is_complete or coalesce(v_counts and d.runs + 1 >= d.max_runs, false),
    upcoming = case when v_counts and d.runs + 1 >= d.max_runs then '{}' else d.upcoming end
  where d.name = definition.name;
  return v_id;
end $$;
comment on function legwork.enqueue_one(legwork.schedule_definitions, timestamptz, text) is
  'Enqueues one job of a schedule whose row the caller has locked, as its overlap says; null when too many of its jobs live.';

create function legwork.release_waiting(as_of timestamptz default clock_timestamp(), at_most integer default 100) returns integer
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_waiting record;
  v_definition legwork.schedule_definitions;
  v_reason text;
  v_id bigint;
  v_count integer := 0;
begin
  for v_waiting in
    -- Its schedule too, because jobs that live are counted there; nobody waits for either.
    select r.schedule, r.due_at, r.reason from legwork.schedule_occurrences r join legwork.schedule_definitions d on d.name = r.schedule
    where r.state = 'waiting' order by r.due_at limit at_most for update skip locked
  loop
    select * into v_definition from legwork.schedule_definitions d where d.name = v_waiting.schedule;
    v_reason := legwork.unmet_requirement(v_definition.requires, v_waiting.due_at);
    v_id := null;
    if v_reason is null and v_definition.runs < coalesce(v_definition.max_runs, v_definition.runs + 1) then
      v_id := legwork.enqueue_one(v_definition, v_waiting.due_at, 'enqueued');
    end if;
    if v_reason is null then
      update legwork.schedule_occurrences r
      set state = case when v_id is null then 'skipped' else 'enqueued' end, job_id = v_id, recorded_at = clock_timestamp(),
        reason = case when v_id is null then 'What it requires has come; too many of its jobs lived, or it had run as often as it may.' end
      where r.schedule = v_waiting.schedule and r.due_at = v_waiting.due_at;
      v_count := v_count + 1;
    elsif as_of >= v_waiting.due_at + v_definition.requires_wait then
      update legwork.schedule_occurrences r
      set state = 'held_back', recorded_at = clock_timestamp(), reason = format('%s It has waited for %s.', v_reason, v_definition.requires_wait)
      where r.schedule = v_waiting.schedule and r.due_at = v_waiting.due_at;
      update legwork.schedule_definitions d set last_state = 'held_back' where d.name = v_waiting.schedule;
      v_count := v_count + 1;
    elsif v_reason is distinct from v_waiting.reason then
      update legwork.schedule_occurrences r set reason = v_reason where r.schedule = v_waiting.schedule and r.due_at = v_waiting.due_at;
    end if;
  end loop;
  return v_count;
end $$;
comment on function legwork.release_waiting(timestamptz, integer) is
  'Enqueues occurrences whose requirements have come, holds back those that have waited long enough, and returns how many left the waiting.';
revoke execute on function legwork.fire_schedules(timestamptz, integer, text) from public;

-- What people do with schedules.

create function legwork.lock_schedule(name text) returns legwork.schedule_definitions
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_definition legwork.schedule_definitions;
begin
  select * into v_definition from legwork.schedule_definitions d where d.name = lock_schedule.name for update;
  if v_definition.name is not null then
    return v_definition;
  end if;
  if exists (select from legwork.crontab_entries c where c.identifier = lock_schedule.name) then
    raise exception 'The schedule ''%'' is an entry of a crontab.', name using errcode = 'LW409',
      hint = 'Edit the crontab file and restart the workers, or remove the line there and make a schedule of it.';
  end if;
  raise exception 'There is no schedule ''%''.', coalesce(name, 'null') using errcode = 'LW404',
    hint = coalesce('Did you mean ''' || legwork.nearest_name(name, array(select d.name from legwork.schedule_definitions d)) || '''? ', '')
      || 'select name from legwork.schedules lists them.';
end $$;
comment on function legwork.lock_schedule(text) is 'A schedule, locked to the end of the transaction. Raises LW404 for an unknown one, LW409 for an entry of a crontab.';

create function legwork.settle_schedule(name text, as_of timestamptz, why text) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_schedule legwork.schedule_definitions;
begin
  -- Its row is locked: nobody fires it meanwhile. Plans of intervals come in parts.
  for v_round in 1..1000 loop
    select d.* into v_schedule from legwork.schedule_definitions d where d.name = settle_schedule.name;
    exit when not v_schedule.is_enabled or (v_round > 1 and v_schedule.cron is not null)
      or (not coalesce(v_schedule.next_at <= as_of, false) and (v_schedule.is_complete or v_schedule.cron is not null or v_schedule.planned_to >= as_of));
    perform legwork.fire_schedules(as_of, 1, settle_schedule.name);
  end loop;
  -- Times that nobody has computed: whether there were any cannot be said here, unless no minute (or second) began.
  if v_schedule.is_enabled and v_schedule.cron is not null and not v_schedule.is_complete and v_schedule.planned_to < as_of
    and (v_schedule.backlog_count > 0 or v_schedule.upcoming <> '{}'
      or date_trunc(case when v_schedule.cron ~ '^\s*(\S+\s+){5}\S' then 'second' else 'minute' end, as_of) > v_schedule.planned_to)
  then
    insert into legwork.schedule_occurrences (schedule, due_at, state, reason, occurrences, last_due_at, tenant)
    values (v_schedule.name, coalesce(v_schedule.backlog_from, v_schedule.upcoming[1], v_schedule.planned_to), 'missed',
      format('It %s before its times of this span had been computed.', why), null, as_of, v_schedule.tenant)
    on conflict do nothing;
  end if;
  update legwork.schedule_occurrences r
  set state = 'held_back', reason = format('It %s while this waited. %s', why, r.reason), recorded_at = clock_timestamp()
  where r.schedule = settle_schedule.name and r.state = 'waiting';
end $$;
comment on function legwork.settle_schedule(text, timestamptz, text) is
  'Accounts for what a schedule owes up to a time, before its times change: what is due fires, what waits is held back.';

create function legwork.assert_schedule(
  name text, task text, cron text, every interval, at timestamptz, timezone text, payload jsonb, starts_at timestamptz, ends_at timestamptz, max_runs integer,
  jitter interval, overlap text, max_instances integer, missed text, missed_window interval, requires jsonb, requires_wait interval, as_of timestamptz
) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_problem text;
  v_hint text := 'Nothing was changed.';
  v_other record;
begin
  if name is null or length(name) not between 1 and 100 or name ~ '[[:cntrl:]]' then
    raise exception 'A schedule''s name has 1 to 100 characters.' using errcode = 'LW400', hint = 'Give another one, for example cleanup-daily.';
  end if;
  if num_nonnulls(cron, every, at) <> 1 then
    raise exception 'The schedule ''%'' needs exactly one of cron, every and at.', name using errcode = 'LW400',
      hint = 'For example cron => ''30 2 * * *'', every => ''5 minutes'' or at => ''2027-01-01 10:00+01''.';
  end if;
  perform legwork.assert_task(coalesce(task, ''));
  perform legwork.assert_timezone(coalesce(timezone, ''));
  if cron is not null then
    perform legwork.assert_cron(cron);
  end if;
  v_problem := case
    when every is not null and (every < interval '1 second' or extract(year from every) < 0 or extract(month from every) < 0 or extract(day from every) < 0
        or extract(hour from every) < 0 or extract(minute from every) < 0 or extract(second from every) < 0)
      then format('every is %s, but at least a second', every)
    when every > interval '100 years' then format('every is %s, but at most 100 years', every)
    when not isfinite(at) or not isfinite(starts_at) or not isfinite(ends_at) then 'a time is infinite; leave the bound away'
    when at <= as_of then format('at is %s, which is over', at)
    when ends_at <= starts_at then format('the window ends at %s, before it starts at %s', ends_at, starts_at)
    when ends_at <= as_of then format('the window has ended at %s', ends_at)
    when at < starts_at or at > ends_at then format('at is %s, which is outside of the window', at)
    when max_runs < 1 then format('max_runs is %s, but at least 1', max_runs)
    when jitter < interval '0' or jitter > interval '1 day' then format('jitter is %s, but between 0 and a day', jitter)
    when overlap is null or overlap not in ('allow', 'skip', 'queue', 'cancel') then format('overlap is %s, but allow, skip, queue or cancel', coalesce(overlap, 'null'))
    when overlap = 'allow' and max_instances is not null then 'max_instances needs an overlap of skip, queue or cancel, which says what becomes of the others'
    when max_instances not between 1 and 10000 then format('max_instances is %s, but between 1 and 10000', max_instances)
    when missed is null or missed not in ('none', 'one', 'all') then format('missed is %s, but none, one or all', coalesce(missed, 'null'))
    when missed_window is not null and missed <> 'all' then 'missed_window needs missed to be all'
    when missed_window not between interval '1 second' and interval '1 year' then format('missed_window is %s, but between a second and a year', missed_window)
    when requires_wait is not null and requires is null then 'requires_wait needs requires'
    when requires_wait not between interval '0' and interval '30 days' then format('requires_wait is %s, but between 0 and 30 days', requires_wait)
    when requires is not null and jsonb_typeof(requires) <> 'object' then format('requires is of type %s, but an object of names and spans of time', jsonb_typeof(requires))
  end;
  if v_problem is not null then
    raise exception 'The schedule ''%'' is not valid: %.', name, v_problem using errcode = 'LW400', hint = v_hint;
  end if;
  if every is not null and ends_at is not null
    and legwork.interval_time(coalesce(starts_at, as_of), every, timezone, case when starts_at > as_of then 0 else 1 end) > ends_at
  then
    raise exception 'The schedule ''%'' never fires: its window ends at % before its first occurrence.', name, ends_at using errcode = 'LW400', hint = v_hint;
  end if;
  if requires is null or requires = '{}' then
    return;
  end if;
  -- Two that come to require each other at the same time would not see each other.
  perform pg_advisory_xact_lock(hashtext('legwork.schedule requires'));
  for v_other in select r.key, r.value from jsonb_each_text(requires) r order by r.key loop
    begin
      if v_other.value is null or v_other.value::interval <= interval '0' then
        raise invalid_datetime_format;
      end if;
    exception when invalid_datetime_format or datetime_field_overflow or interval_field_overflow then
      raise exception 'The schedule ''%'' is not valid: requires says ''%'' of ''%'', which is no span of time.', name, v_other.value, v_other.key
        using errcode = 'LW400', hint = 'For example {"memory-cleanup": "24 hours"}.';
    end;
    if v_other.key <> name and not exists (select from legwork.schedule_definitions d where d.name = v_other.key) then
      raise exception 'The schedule ''%'' requires ''%'', which does not exist.', name, v_other.key using errcode = 'LW404',
        hint = coalesce('Did you mean ''' || legwork.nearest_name(v_other.key, array(select d.name from legwork.schedule_definitions d)) || '''? ', '')
          || 'Make that one first; entries of a crontab cannot be required.';
    end if;
  end loop;
  with recursive chain as (
    select k.key as name, array[assert_schedule.name, k.key] as path from jsonb_object_keys(requires) as k (key)
    union all
    select k.key, c.path || k.key
    from chain c
    join legwork.schedule_definitions d on d.name = c.name and jsonb_typeof(d.requires) = 'object'
    cross join lateral jsonb_object_keys(d.requires) as k (key)
    where c.name <> assert_schedule.name
  ) cycle name set is_cycle using visited
  select array_to_string(c.path, ' -> ') into v_problem from chain c where c.name = assert_schedule.name limit 1;
  if v_problem is not null then
    raise exception 'The schedule ''%'' would wait for itself: %.', name, v_problem using errcode = 'LW400', hint = 'Take one of these out of requires.';
  end if;
end $$;
comment on function legwork.assert_schedule(text, text, text, interval, timestamptz, text, jsonb, timestamptz, timestamptz, integer, interval, text, integer,
  text, interval, jsonb, interval, timestamptz) is 'Does nothing for a schedule that can be made. Raises LW400 or LW404 with what is wrong.';

create function legwork.schedule(
  name text, task text, cron text default null, every interval default null, at timestamptz default null, timezone text default 'UTC',
  payload jsonb default '{}', starts_at timestamptz default null, ends_at timestamptz default null, max_runs integer default null,
  jitter interval default null, overlap text default 'allow', max_instances integer default null, missed text default 'one',
  missed_window interval default null, requires jsonb default null, requires_wait interval default null, tenant text default null,
  priority integer default null, max_attempts integer default null, enabled boolean default null, as_of timestamptz default clock_timestamp()
) returns timestamptz
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_old legwork.schedule_definitions;
  v_new legwork.schedule_definitions;
  v_is_enabled boolean;
begin
  -- Whoever makes the same one at the same time comes second.
  perform pg_advisory_xact_lock(hashtext('legwork.schedule'), hashtext(schedule.name));
  select * into v_old from legwork.schedule_definitions d where d.name = schedule.name for update;
  perform legwork.assert_schedule(name, task, cron, every, at, timezone, payload, starts_at, ends_at, max_runs, jitter, overlap, max_instances, missed,
    missed_window, nullif(requires, 'null'), requires_wait,
    -- Saying again what is there already is no mistake, also when its time is over.
    case when v_old.name is not null and (v_old.at, v_old.ends_at) is not distinct from (at, ends_at) then '-infinity' else as_of end);
  if exists (select from legwork.crontab_entries c where c.identifier = schedule.name) then
    raise exception 'An entry of a crontab is called ''%'' already.', name using errcode = 'LW409', hint = 'Take another name.';
  end if;
  v_is_enabled := coalesce(enabled, v_old.is_enabled, true);

  v_new := v_old;
  v_new.name := name; v_new.task := task; v_new.cron := cron; v_new.every := every; v_new.at := at; v_new.timezone := timezone;
  v_new.payload := coalesce(payload, '{}'); v_new.starts_at := starts_at; v_new.ends_at := ends_at; v_new.max_runs := max_runs;
  v_new.jitter := nullif(jitter, interval '0'); v_new.overlap := overlap; v_new.missed := missed;
  v_new.max_instances := case when overlap <> 'allow' then coalesce(max_instances, case overlap when 'queue' then 100 else 1 end) end;
  v_new.missed_window := coalesce(missed_window, interval '1 day'); v_new.requires := nullif(nullif(requires, 'null'), '{}');
  v_new.requires_wait := coalesce(requires_wait, interval '1 hour'); v_new.tenant := coalesce(tenant, nullif(current_setting('legwork.tenant', true), ''));
  v_new.priority := priority; v_new.max_attempts := max_attempts; v_new.is_enabled := v_is_enabled;

  -- As texts, because 24 hours and a day are equal and do not occur at the same times.
  if v_old.name is not null and v_old::text = v_new::text then
    return v_old.next_at;
  end if;
  v_new.updated_at := clock_timestamp();
  if v_old.name is null or (v_old.cron, v_old.every::text, v_old.at, v_old.timezone, v_old.starts_at, v_old.ends_at, v_old.max_runs, v_old.is_enabled)
    is distinct from (cron, every::text, at, timezone, starts_at, ends_at, max_runs, v_is_enabled)
  then
    if v_old.name is not null then
      perform legwork.settle_schedule(name, as_of, 'was replaced');
      select d.live into v_new.live from legwork.schedule_definitions d where d.name = schedule.name;
    end if;
    v_new.anchor := coalesce(starts_at, as_of);
    v_new.planned_to := greatest(as_of, starts_at - interval '1 microsecond');
    v_new.upcoming := case when at > as_of then array[at] else '{}' end;
    v_new.is_complete := at is not null;
    v_new.sentence := case when at is not null then 'Once' when every is not null then legwork.describe_interval(every) end;
    v_new.backlog_count := 0; v_new.backlog_from := null; v_new.backlog_to := null; v_new.problem := null; v_new.runs := 0;
    v_new.revision := coalesce(v_old.revision, 0) + 1;
  end if;
  -- When its times are as they were, they go on as planned: saying a schedule again at every start does not put it off.

  insert into legwork.schedule_definitions (
    name, task, cron, every, at, timezone, payload, starts_at, ends_at, max_runs, jitter, overlap, max_instances, missed, missed_window, requires, requires_wait,
    tenant, priority, max_attempts, is_enabled, sentence, anchor, planned_to, upcoming, is_complete, backlog_count, backlog_from, backlog_to, problem, runs,
    live, revision)
  values (
    v_new.name, v_new.task, v_new.cron, v_new.every, v_new.at, v_new.timezone, v_new.payload, v_new.starts_at, v_new.ends_at, v_new.max_runs, v_new.jitter,
    v_new.overlap, v_new.max_instances, v_new.missed, v_new.missed_window, v_new.requires, v_new.requires_wait, v_new.tenant, v_new.priority,
    v_new.max_attempts, v_new.is_enabled, v_new.sentence, v_new.anchor, v_new.planned_to, v_new.upcoming, v_new.is_complete, v_new.backlog_count,
    v_new.backlog_from, v_new.backlog_to, v_new.problem, v_new.runs, coalesce(v_new.live, '{}'), v_new.revision)
  on conflict on constraint schedule_definitions_pkey do update set
    task = excluded.task, cron = excluded.cron, every = excluded.every, at = excluded.at, timezone = excluded.timezone, payload = excluded.payload,
    starts_at = excluded.starts_at, ends_at = excluded.ends_at, max_runs = excluded.max_runs, jitter = excluded.jitter, overlap = excluded.overlap,
    max_instances = excluded.max_instances, missed = excluded.missed, missed_window = excluded.missed_window, requires = excluded.requires,
    requires_wait = excluded.requires_wait, tenant = excluded.tenant, priority = excluded.priority, max_attempts = excluded.max_attempts,
    is_enabled = excluded.is_enabled, updated_at = clock_timestamp(), sentence = excluded.sentence, anchor = excluded.anchor,
    planned_to = excluded.planned_to, upcoming = excluded.upcoming, is_complete = excluded.is_complete, backlog_count = excluded.backlog_count,
    backlog_from = excluded.backlog_from, backlog_to = excluded.backlog_to, problem = excluded.problem, runs = excluded.runs, live = excluded.live,
    revision = excluded.revision;
  perform legwork.plan_intervals(as_of, 1, schedule.name);
  perform pg_notify('legwork', '{"schedules":true}');
  return (select d.next_at from legwork.schedule_definitions d where d.name = schedule.name);
end $$;
comment on function legwork.schedule(text, text, text, interval, timestamptz, text, jsonb, timestamptz, timestamptz, integer, interval, text, integer, text,
  interval, jsonb, interval, text, integer, integer, boolean, timestamptz) is
  'Makes a schedule, or replaces the one of that name, and returns its next occurrence: null for a cron expression that no worker has planned yet, which takes a moment. '
  'cron: five or six fields or a nickname. every: a second or more; seconds to hours are elapsed time, days and months steps of the calendar. at: once. '
  'timezone: of the IANA database, UTC by default; a local time that does not exist or comes twice occurs once. starts_at, ends_at: no occurrence outside of them. '
  'max_runs: over after so many jobs. jitter: a job starts up to so much later. overlap: allow; skip an occurrence while max_instances (1) of its jobs live; queue it '
  'behind them, up to max_instances (100); cancel the oldest ones. missed: after a time when nobody was there, none is made up for, one job stands for all (the default), '
  'or all within missed_window (a day). requires: schedules whose last run must have completed, each with a span, {"cleanup": "24 hours"}; an occurrence waits for that '
  'up to requires_wait (an hour) and is then held back. enabled: null leaves it as it is. What is replaced keeps its runs; one whose times are the same goes on as planned. '
  'as_of: the present, for tests. Raises LW400, LW404 for an unknown task, LW409 for the name of an entry of a crontab.';

create function legwork.unschedule(name text, as_of timestamptz default clock_timestamp()) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork.lock_schedule(name);
  perform legwork.settle_schedule(name, as_of, 'was removed');
  delete from legwork.schedule_definitions d where d.name = unschedule.name;
  perform pg_notify('legwork', '{"schedules":true}');
end $$;
comment on function legwork.unschedule(text, timestamptz) is
  'Removes a schedule. Its jobs and what became of its occurrences stay. Raises LW404 for an unknown one, LW409 for an entry of a crontab.';

create function legwork.enable_schedule(name text, as_of timestamptz default clock_timestamp()) returns timestamptz
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_schedule legwork.schedule_definitions := legwork.lock_schedule(name);
begin
  if not v_schedule.is_enabled then
    update legwork.schedule_definitions d
    set is_enabled = true, updated_at = clock_timestamp(), planned_to = greatest(as_of, d.starts_at - interval '1 microsecond'),
      upcoming = case when d.at > as_of and not coalesce(d.runs >= d.max_runs, false) then array[d.at] else '{}' end,
      is_complete = d.at is not null or coalesce(d.runs >= d.max_runs, false), revision = d.revision + 1
    where d.name = enable_schedule.name;
    perform legwork.plan_intervals(as_of, 1, enable_schedule.name);
    perform pg_notify('legwork', '{"schedules":true}');
  end if;
  return (select d.next_at from legwork.schedule_definitions d where d.name = enable_schedule.name);
end $$;
comment on function legwork.enable_schedule(text, timestamptz) is
  'Lets a schedule occur again from now on; what was due meanwhile is no occurrence. Returns the next one, null until a worker has planned it. Raises LW404 for an unknown one, '
  'LW409 for an entry of a crontab.';

create function legwork.disable_schedule(name text, as_of timestamptz default clock_timestamp()) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_schedule legwork.schedule_definitions := legwork.lock_schedule(name);
begin
  if not v_schedule.is_enabled then
    return false;
  end if;
  perform legwork.settle_schedule(name, as_of, 'was disabled');
  update legwork.schedule_definitions d
  set is_enabled = false, updated_at = clock_timestamp(), upcoming = '{}', backlog_count = 0, backlog_from = null, backlog_to = null, revision = d.revision + 1
  where d.name = disable_schedule.name;
  perform pg_notify('legwork', '{"schedules":true}');
  return true;
end $$;
comment on function legwork.disable_schedule(text, timestamptz) is
  'Nothing of a schedule is due until it is enabled again; jobs that it has enqueued stay. Returns whether it was enabled. Raises LW404 for an unknown one, LW409 for an entry '
  'of a crontab.';

create function legwork.run_schedule(name text, as_of timestamptz default clock_timestamp()) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_schedule legwork.schedule_definitions := legwork.lock_schedule(name);
  v_due_at timestamptz := as_of;
  v_id bigint;
begin
  v_id := legwork.enqueue_one(v_schedule, as_of, 'manual');
  if v_id is null then
    raise exception 'The schedule ''%'' lets % of its jobs live at a time, and so many do.', name, v_schedule.max_instances using errcode = 'LW409',
      hint = 'Wait for one to end, or cancel one: ' || array_to_string((legwork.live_jobs(v_schedule.live))[:5], ', ') || '.';
  end if;
  loop
    -- An occurrence may be due in this very microsecond.
    insert into legwork.schedule_occurrences (schedule, due_at, state, reason, job_id, last_due_at, tenant)
    values (v_schedule.name, v_due_at, 'manual', 'Run by ' || session_user || '.', v_id, v_due_at, v_schedule.tenant)
    on conflict do nothing;
    exit when found;
    v_due_at := v_due_at + interval '1 microsecond';
  end loop;
  return v_id;
end $$;
comment on function legwork.run_schedule(text, timestamptz) is
  'Runs a schedule now, also a disabled one, and returns the job''s id. It counts not against max_runs and waits not for what the schedule requires; overlap holds. '
  'Raises LW404 for an unknown one, LW409 for an entry of a crontab and while max_instances of its jobs live.';
revoke execute on function legwork.schedule(text, text, text, interval, timestamptz, text, jsonb, timestamptz, timestamptz, integer, interval, text, integer, text,
    interval, jsonb, interval, text, integer, integer, boolean, timestamptz),
  legwork.unschedule(text, timestamptz), legwork.enable_schedule(text, timestamptz), legwork.disable_schedule(text, timestamptz),
  legwork.run_schedule(text, timestamptz) from public;

create function legwork.register_crontab(entries jsonb, as_of timestamptz default clock_timestamp()) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  insert into legwork.crontab_entries (identifier, task, cron, payload, sentence, upcoming, seen_at)
  select e.identifier, e.task, e.cron, nullif(e.payload, 'null'), e.sentence, e.upcoming, as_of
  from jsonb_to_recordset(entries) as e (identifier text, task text, cron text, payload jsonb, sentence text, upcoming timestamptz[])
  -- In one order everywhere, so that workers starting together wait for each other and do not deadlock.
  order by e.identifier
  on conflict (identifier) do update set
    task = excluded.task, cron = excluded.cron, payload = excluded.payload, sentence = excluded.sentence, upcoming = excluded.upcoming, seen_at = excluded.seen_at;
  -- Workers tell every five minutes: nobody has these any more.
  delete from legwork.crontab_entries c
  where c.identifier in (select o.identifier from legwork.crontab_entries o where o.seen_at < as_of - interval '15 minutes' for update skip locked);
end;
comment on function legwork.register_crontab(jsonb, timestamptz) is
  'Tells of the entries of a worker''s crontab: an array of {identifier, task, cron, payload, sentence, upcoming}. Entries that no worker has told of for 15 minutes go.';
revoke execute on function legwork.register_crontab(jsonb, timestamptz) from public;

-- Reading.

create view legwork.schedules as
select
  d.name, 'database' as source, d.task,
  case when k.redact is null then d.payload else legwork.redact(d.payload, k.redact) end as payload,
  d.cron, d.every, d.at, d.timezone, coalesce(d.sentence, d.cron) as sentence, d.is_enabled, d.next_at, d.upcoming[:10] as upcoming,
  d.last_due_at, d.last_state, d.last_job_id,
  case when d.last_job_id is not null then (select j.state from legwork.jobs j where j.id = d.last_job_id) end as last_outcome,
  d.runs, d.max_runs, d.starts_at, d.ends_at, d.jitter, d.overlap, d.max_instances, d.missed, case d.missed when 'all' then d.missed_window end as missed_window,
  d.requires, case when d.requires is not null then d.requires_wait end as requires_wait, d.tenant, d.priority, d.max_attempts, d.problem,
  d.created_at, d.created_by, d.updated_at
from legwork.schedule_definitions d
left join legwork.task_definitions k on k.name = d.task
union all
select
  c.identifier, 'crontab', c.task, case when k.redact is null then c.payload else legwork.redact(c.payload, k.redact) end,
  c.cron, null, null, 'UTC', coalesce(c.sentence, c.cron), true, (select min(u.at) from unnest(c.upcoming) as u (at) where u.at > now()),
  array(select u.at from unnest(c.upcoming) as u (at) where u.at > now() order by u.at),
  g.last_execution, case when g.last_execution is not null then 'enqueued' end, null, null,
  null, null, null, null, null, 'allow', null, 'none', null, null, null, null, null, null, null, g.known_since, null, c.seen_at
from legwork.crontab_entries c
left join legwork.task_definitions k on k.name = c.task
left join graphile_worker._private_known_crontabs g on g.identifier = c.identifier;
comment on view legwork.schedules is 'What enqueues jobs over time: schedules made by legwork.schedule, and the entries of the workers'' crontabs, which are changed in their file.';
comment on column legwork.schedules.name is E'@notNull\nThe schedule''s name.';
comment on column legwork.schedules.source is E'@notNull\ndatabase for what legwork.schedule made, crontab for an entry of a file.';
comment on column legwork.schedules.task is E'@notNull\nThe task that its jobs run.';
comment on column legwork.schedules.payload is 'What its jobs are given.';
comment on column legwork.schedules.cron is 'The cron expression; null for another kind.';
comment on column legwork.schedules.every is 'The time between two occurrences; null for another kind.';
comment on column legwork.schedules.at is 'The one time it occurs; null for another kind.';
comment on column legwork.schedules.timezone is E'@notNull\nThe time zone that its times are meant in.';
comment on column legwork.schedules.sentence is E'@notNull\nWhen it occurs, in words.';
comment on column legwork.schedules.is_enabled is E'@notNull\nWhether it occurs.';
comment on column legwork.schedules.next_at is 'The next occurrence; null while it is disabled, when it is over, and for the moment until it has been planned.';
comment on column legwork.schedules.upcoming is 'The next occurrences, as far as they are planned.';
comment on column legwork.schedules.last_due_at is 'When the last occurrence that was enqueued was due.';
comment on column legwork.schedules.last_state is 'What became of the last occurrence: see legwork.schedule_runs.';
comment on column legwork.schedules.last_job_id is 'The last job; null for an entry of a crontab.';
comment on column legwork.schedules.last_outcome is 'The state of the last job.';
comment on column legwork.schedules.runs is 'Occurrences that were enqueued since its times were last changed.';
comment on column legwork.schedules.max_runs is 'It is over after so many; null for no bound.';
comment on column legwork.schedules.starts_at is 'No occurrence is before that.';
comment on column legwork.schedules.ends_at is 'No occurrence is after that.';
comment on column legwork.schedules.jitter is 'A job starts up to so much later.';
comment on column legwork.schedules.overlap is E'@notNull\nWhat becomes of an occurrence while max_instances of its jobs live: allow, skip, queue or cancel.';
comment on column legwork.schedules.max_instances is 'How many of its jobs may live at a time; null where overlap is allow.';
comment on column legwork.schedules.missed is E'@notNull\nWhat becomes of occurrences that nobody was there for: none, one for all, or all.';
comment on column legwork.schedules.missed_window is 'For missed all: older ones are not made up for.';
comment on column legwork.schedules.requires is 'Schedules whose last run must have completed, each with how long ago at most.';
comment on column legwork.schedules.requires_wait is 'How long an occurrence waits for what it requires.';
comment on column legwork.schedules.tenant is 'Whose schedule it is.';
comment on column legwork.schedules.priority is 'Of its jobs; null for 0.';
comment on column legwork.schedules.max_attempts is 'Of its jobs; null for 25.';
comment on column legwork.schedules.problem is 'Why its times could not be computed; null when they could.';
comment on column legwork.schedules.created_at is 'When it was made, or first seen.';
comment on column legwork.schedules.created_by is 'The database role that made it; null for an entry of a crontab.';
comment on column legwork.schedules.updated_at is E'@notNull\nWhen it was changed last; of an entry of a crontab, when a worker last told of it.';

create view legwork.schedule_runs as
select
  o.schedule, o.due_at, o.state, o.reason, o.job_id,
  case when o.job_id is not null then (select j.state from legwork.jobs j where j.id = o.job_id) end as outcome,
  o.occurrences, o.last_due_at, o.recorded_at, o.tenant
from legwork.schedule_occurrences o;
comment on view legwork.schedule_runs is 'What became of every occurrence of every schedule, and of its job. Look up by schedule, newest due_at first.';
comment on column legwork.schedule_runs.schedule is E'@notNull\nThe schedule.';
comment on column legwork.schedule_runs.due_at is E'@notNull\nWhen it was due; the first of them, where a row stands for several.';
comment on column legwork.schedule_runs.state is
  E'@notNull\nenqueued; manual: run by hand; waiting: for what it requires; skipped: too many of its jobs lived; missed: nobody was there; coalesced: nobody was there, and '
  'job_id stands for it; held_back: what it requires did not come.';
comment on column legwork.schedule_runs.reason is 'Why it was not simply enqueued.';
comment on column legwork.schedule_runs.job_id is 'The job.';
comment on column legwork.schedule_runs.outcome is 'The job''s state; null when there is none or it is not kept any more.';
comment on column legwork.schedule_runs.occurrences is 'For how many occurrences the row stands; null when it is not known.';
comment on column legwork.schedule_runs.last_due_at is E'@notNull\nThe last of them; due_at where there is one.';
comment on column legwork.schedule_runs.recorded_at is E'@notNull\nWhen this was decided.';
comment on column legwork.schedule_runs.tenant is 'Whose schedule it is.';

create function legwork.doctor_schedules(late_for interval default '1 minute')
returns table ("check" text, severity text, finding text, remedy text, detail jsonb)
language sql stable
as $$
  with late as materialized (
    select count(*) as schedules, min(x.next_at) as oldest from (
      select d.next_at from legwork.schedule_definitions d where d.next_at < clock_timestamp() - late_for order by d.next_at limit 10000) x
  ), unplanned as materialized (
    select count(*) as schedules, min(x.name) as first from (
      select d.name from legwork.schedule_definitions d
      where d.wants_plan and d.upcoming = '{}' and d.planned_to < clock_timestamp() - late_for order by d.name limit 10000) x
  ), problems as materialized (
    select d.name, d.problem from legwork.schedule_definitions d where d.wants_plan and d.problem is not null order by d.name limit 20
  )
  select 'schedules', case when l.schedules + u.schedules > 0 then 'critical' else 'ok' end,
    case when l.schedules > 0 then format('%s schedule(s) are late, the first by %s.', l.schedules, date_trunc('second', clock_timestamp() - l.oldest))
      when u.schedules > 0 then format('The next times of %s schedule(s) have not been computed, ''%s'' among them.', u.schedules, u.first)
      else 'No schedule is late.' end,
    'Keep a Legwork worker running: it plans and fires them. Without one nothing fires; what is missed meanwhile is accounted for afterwards.',
    jsonb_build_object('late', l.schedules, 'oldest', l.oldest, 'unplanned', u.schedules)
  from late l, unplanned u
  union all
  select 'schedules', 'critical', format('The times of schedule ''%s'' cannot be computed: %s', p.name, p.problem),
    'Its time zone may be newer than the worker''s Node; give another one, or another expression: select legwork.schedule(…).',
    jsonb_build_object('schedule', p.name)
  from problems p
$$;
comment on function legwork.doctor_schedules(interval) is 'Of legwork.doctor: schedules that are late by late_for (a minute), and those whose times nobody computes.';
