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
  failed_at timestamptz,
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
comment on column legwork.schedule_definitions.created_by is 'Who made it: the database role, or for whom the server did.';
comment on column legwork.schedule_definitions.updated_at is 'When it was changed last.';
comment on column legwork.schedule_definitions.sentence is 'When it occurs, in words; null until a worker has written it.';
comment on column legwork.schedule_definitions.anchor is 'What every is counted from, so that the ends of months do not drift.';
comment on column legwork.schedule_definitions.planned_to is 'Every occurrence up to here is in upcoming, in the backlog or accounted for.';
comment on column legwork.schedule_definitions.upcoming is 'The next occurrences, in order.';
comment on column legwork.schedule_definitions.is_complete is 'Whether nothing comes after upcoming.';
comment on column legwork.schedule_definitions.backlog_count is 'Occurrences that nobody was there for and that are too many to list.';
comment on column legwork.schedule_definitions.backlog_from is 'The first of the backlog.';
comment on column legwork.schedule_definitions.backlog_to is 'The last of the backlog.';
comment on column legwork.schedule_definitions.problem is 'Why its times could not be computed or its jobs not be enqueued; null when there is nothing wrong.';
comment on column legwork.schedule_definitions.failed_at is
  'When firing it failed last, for the reason that problem gives. It is tried again a minute later, by itself, so that it does not hold up others. Null otherwise.';
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
create index schedule_definitions_failed_at on legwork.schedule_definitions (failed_at) where failed_at is not null;
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
comment on column legwork.schedule_occurrences.recorded_at is 'When this was decided; of one that waits, since when.';
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
  -- A day and a weekday are alternatives, as cron has it, and */1 is a star; alone, a day must be one that a month has.
  if v_fields[v_given] ~ '^[*?](/0*1)?$' and not exists (
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
    -- only what could be one of them is looked up. CET and its like are zones too, which Node reads, while Postgres reads the abbreviation.
    if assert_timezone.timezone ~ '^[A-Za-z_]+(/[A-Za-z_-]+)+$' or assert_timezone.timezone in ('UTC', 'GMT')
      or exists (
        select from pg_timezone_names z
        where lower(z.name) = lower(assert_timezone.timezone) and z.name !~ '^posix/|^Factory$|^localtime$|^posixrules$'
          and not exists (select from pg_timezone_abbrevs a where lower(a.abbrev) = lower(assert_timezone.timezone)))
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
  -- Postgres reads a local time that comes twice as its second coming; the first one is meant. Clocks go back by 30 minutes (Australia/Lord_Howe) to
  -- 3 hours (Antarctica/Casey).
  if (v_time - interval '3 hours') at time zone timezone = v_local - interval '3 hours' then
    return v_time;
  end if;
  for v_back in 1..12 loop
    if (v_time - v_back * interval '15 minutes') at time zone timezone = v_local then
      return v_time - v_back * interval '15 minutes';
    end if;
  end loop;
  return v_time;
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
return 'Every ' || legwork.period_in_words(every);
comment on function legwork.describe_interval(interval) is 'An interval in words: Every 2 hours 30 minutes.';

-- Planning: upcoming is filled ahead. What nobody was there for is listed as far as it may still be enqueued and counted otherwise.

create function legwork.list_from(planned_to timestamptz, missed text, missed_window interval, as_of timestamptz) returns timestamptz
language sql immutable parallel safe
return case when missed = 'all' then greatest(planned_to, legwork.earlier(as_of, missed_window))
  else greatest(planned_to, as_of - legwork.schedule_grace()) end;
comment on function legwork.list_from(timestamptz, text, interval, timestamptz) is
  'After which time a plan lists occurrences one by one; those before, from planned_to on, are only counted.';

create function legwork.plans_wanted(as_of timestamptz default clock_timestamp(), schedule text default null, at_most integer default 100)
returns table (
  name text, revision integer, cron text, timezone text, missed text, planned_to timestamptz, planned_from text, ends_at timestamptz, list_from timestamptz,
  is_first boolean
)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_own text := legwork.confined_tenant();
begin
  perform legwork.assert_may('operator');
  return query
    select d.name, d.revision, d.cron, d.timezone, d.missed, d.planned_to, d.planned_to::text, d.ends_at,
      legwork.list_from(d.planned_to, d.missed, d.missed_window, coalesce(plans_wanted.as_of, clock_timestamp())), d.sentence is null
    from legwork.schedule_definitions d
    where d.wants_plan and d.cron is not null and (schedule is null or d.name = schedule) and (v_own is null or d.tenant = v_own)
    -- What is without a plan first, then by name, so that those that cannot be planned do not stand in the way of the others.
    order by d.problem is not null, cardinality(d.upcoming), d.name
    limit at_most
    for update skip locked;
end $$;
comment on function legwork.plans_wanted(timestamptz, text, integer) is
  'Schedules with a cron expression whose plans run short, or that one, locked to the end of the transaction: for whoever computes their times and gives them to legwork.put_plan. '
  'Those that others have locked are stepped over. planned_from is planned_to to the microsecond. is_first: whether it has never been planned since its times were changed.';

create function legwork.put_plan(
  name text, revision integer, planned_from timestamptz, times timestamptz[], is_complete boolean, planned_to timestamptz, backlog_count bigint,
  backlog_from timestamptz, backlog_to timestamptz, sentence text, problem text default null
) returns boolean
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  update legwork.schedule_definitions d
  set upcoming = d.upcoming || put_plan.times, is_complete = d.is_complete or put_plan.is_complete,
    planned_to = greatest(d.planned_to, put_plan.planned_to), sentence = coalesce(put_plan.sentence, d.sentence),
    problem = case when d.failed_at is null then put_plan.problem else coalesce(put_plan.problem, d.problem) end,
    backlog_count = d.backlog_count + put_plan.backlog_count, backlog_from = coalesce(d.backlog_from, put_plan.backlog_from),
    backlog_to = coalesce(put_plan.backlog_to, d.backlog_to)
  where d.name = put_plan.name and d.revision = put_plan.revision and d.planned_to = put_plan.planned_from
    and (legwork.confined_tenant() is null or d.tenant = legwork.confined_tenant())
  returning true;
end;
comment on function legwork.put_plan(text, integer, timestamptz, timestamptz[], boolean, timestamptz, bigint, timestamptz, timestamptz, text, text) is
  'Adds to a schedule''s plan what comes after planned_from. planned_to: null when it is not known how far the plan reaches. Nothing happens when its times were changed since revision, or somebody has planned it meanwhile; null then.';

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
    where d.wants_plan and d.every is not null and (d.name = schedule or schedule is null and d.failed_at is null)
    order by d.name limit at_most for update skip locked
  loop
    v_k := legwork.interval_index(v_schedule.anchor, v_schedule.every, v_schedule.timezone, v_schedule.planned_to) + 1;
    -- Near the last time that there is, a schedule without an end has a last occurrence too.
    v_last := case when v_schedule.ends_at is not null or greatest(v_schedule.planned_to, as_of) + 500 * least(v_schedule.every, interval '100 years') > legwork.last_time()
      then legwork.interval_index(v_schedule.anchor, v_schedule.every, v_schedule.timezone, least(v_schedule.ends_at, legwork.last_time())) end;
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
  'Fills the plans that run short of schedules with an interval, at most at_most of them, and returns how many there were. Leaves out those that failed when they were fired.';
revoke execute on function legwork.put_plan(text, integer, timestamptz, timestamptz[], boolean, timestamptz, bigint, timestamptz, timestamptz, text, text),
  legwork.plans_wanted(timestamptz, text, integer), legwork.plan_intervals(timestamptz, integer, text) from public;
