-- Bounds: every time and number that comes in from outside is between two ends, so that arithmetic with it cannot overflow
-- and fail a statement that also handles other jobs. src/duration.ts has the same ends. What an older row or a foreign client has stored goes
-- through legwork_private.later and legwork_private.time_from_ms, which never raise.
create or replace function legwork_private.first_time() returns timestamptz
language sql immutable parallel safe
return timestamptz '1970-01-01 00:00:00Z';
comment on function legwork_private.first_time() is 'The earliest time that anything takes.';

create or replace function legwork_private.last_time() returns timestamptz
language sql immutable parallel safe
return timestamptz '9999-12-31 23:59:59.999Z';
comment on function legwork_private.last_time() is 'The latest time that anything takes: the last one that every client can read.';

create or replace function legwork_private.is_bounded(value interval) returns boolean
language sql immutable parallel safe
-- Its parts too: 400,000 years less as many years in days add up to nothing, and still overflow when they are added to a time.
return coalesce(isfinite(value) and extract(epoch from value) between -3155760000 and 3155760000
  and extract(day from value) between -100000 and 100000 and extract(hour from value) between -2400000 and 2400000, value is null);
comment on function legwork_private.is_bounded(interval) is 'Whether an interval is at most 100 years long, forwards or backwards, so that it can be added to a time. True for null.';

create or replace function legwork_private.later(at timestamptz, by interval) returns timestamptz
language sql immutable parallel safe
return case
  when at not between legwork_private.first_time() and legwork_private.last_time() then at
  when legwork_private.is_bounded(by) then at + by
  when by > interval '0' then at + interval '100 years'
  else at - interval '100 years' end;
comment on function legwork_private.later(timestamptz, interval) is
  'at + by for values that may have been stored without a check; never raises. An interval of more than 100 years counts as 100 years; a time that is '
  'infinite or out of bounds stays as it is. Null when either is null.';

create or replace function legwork_private.earlier(at timestamptz, by interval) returns timestamptz
language sql immutable parallel safe
return case
  when at not between legwork_private.first_time() and legwork_private.last_time() then at
  when legwork_private.is_bounded(by) then at - by
  when by > interval '0' then at - interval '100 years'
  else at + interval '100 years' end;
comment on function legwork_private.earlier(timestamptz, interval) is 'As legwork_private.later, backwards: at - by.';

create or replace function legwork_private.elapsed(since timestamptz, until timestamptz) returns interval
language sql immutable parallel safe
-- Not strict, so that it becomes part of a query.
return case when num_nulls(since, until) = 0 then
  least(greatest(until, legwork_private.first_time()), legwork_private.last_time()) - least(greatest(since, legwork_private.first_time()), legwork_private.last_time()) end;
comment on function legwork_private.elapsed(timestamptz, timestamptz) is
  'until - since for times that may have been stored without a check; never raises. A time that is infinite or out of bounds counts as the bound.';

create or replace function legwork_private.is_systems_fault(sqlstate text) returns boolean
language sql immutable parallel safe
-- Connections, transactions, objects and rights, resources, locks, operators, the disk, internal errors.
return left(is_systems_fault.sqlstate, 2) in ('08', '25', '26', '28', '2D', '3B', '3D', '3F', '40', '42', '53', '55', '57', '58', 'F0', 'HV', 'XX');
comment on function legwork_private.is_systems_fault(text) is
  'Whether an error with that SQLSTATE says something of the system and not of the rows that a statement handled. Such an error is raised again, for a retry.';

create or replace function legwork_private.time_from_ms(milliseconds double precision) returns timestamptz
language sql immutable parallel safe strict
-- NaN counts as larger than any number.
return to_timestamp(least(greatest(milliseconds, 0), 253402300799000) / 1000.0);
comment on function legwork_private.time_from_ms(double precision) is
  'The time so many milliseconds after 1970, for what a worker reports; never raises. The first or the last time for a number that is out of bounds.';

create or replace function legwork_private.assert_time(
  name text, value timestamptz, low timestamptz default legwork_private.first_time(), high timestamptz default legwork_private.last_time()
) returns void
language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp set datestyle = 'ISO' as $$
begin
  if value not between low and high then
    raise exception '% is %; it must be between % and %.', name, value,
      to_char(low at time zone 'UTC', 'YYYY-MM-DD'), to_char(high at time zone 'UTC', 'YYYY-MM-DD') using
      errcode = 'LW400', column = name, hint = 'Nothing was changed. Times are written like 2027-01-01 10:00+01.';
  end if;
end $$;
comment on function legwork_private.assert_time(text, timestamptz, timestamptz, timestamptz) is
  'Does nothing for a time from 1970 to the end of the year 9999, or between the given ends, and for null. Raises LW400, with the name, the value and the range.';

create or replace function legwork_private.assert_interval(name text, value interval, low interval default '0', high interval default '100 years') returns void
language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  if not legwork_private.is_bounded(value) or extract(epoch from value) < extract(epoch from low) or extract(epoch from value) > extract(epoch from high) then
    raise exception '% is %; it must be between % and %.', name, value, legwork_private.in_words(low), legwork_private.in_words(high) using
      errcode = 'LW400', column = name, hint = 'Nothing was changed. Intervals are written like 90 seconds, 2 hours or 1 month.';
  end if;
end $$;
comment on function legwork_private.assert_interval(text, interval, interval, interval) is
  'Does nothing for an interval from 0 to 100 years, or between the given ends, and for null. Raises LW400, with the name, the value and the range.';

create or replace function legwork_private.assert_number(name text, value numeric, low numeric, high numeric) returns void
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  if value not between low and high then
    raise exception '% is %; it must be between % and %.', name, left(value::text, 40), low, high using errcode = 'LW400', column = name, hint = 'Nothing was changed.';
  end if;
end $$;
comment on function legwork_private.assert_number(text, numeric, numeric, numeric) is
  'Does nothing for a number between two ends, and for null. Raises LW400, with the name, the value and the range.';

create or replace function legwork_private.assert_job_numbers(priority numeric, max_attempts numeric) returns void
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_number('priority', priority, -32768, 32767), legwork_private.assert_number('max_attempts', max_attempts, 1, 32767);
end $$;
comment on function legwork_private.assert_job_numbers(numeric, numeric) is
  'Does nothing for a priority and a number of attempts that a job can have (-32768 to 32767 and 1 to 32767), and for null. Raises LW400.';

-- The same for what comes as text within JSON, which may be anything. Their exception blocks are why nothing calls them for values that are plain.
create or replace function legwork_private.read_time(name text, value text) returns timestamptz
language plpgsql stable as $$
declare
  v_time timestamptz;
begin
  begin
    v_time := value::timestamptz;
  exception when data_exception then
    raise exception '% is %; it must be a time between % and %.', name, left(value, 100),
      to_char(legwork_private.first_time() at time zone 'UTC', 'YYYY-MM-DD'), to_char(legwork_private.last_time() at time zone 'UTC', 'YYYY-MM-DD') using
      errcode = 'LW400', column = name, hint = 'Nothing was changed. Times are written like 2027-01-01T10:00:00Z.';
  end;
  perform legwork_private.assert_time(name, v_time);
  return v_time;
end $$;
comment on function legwork_private.read_time(text, text) is 'A time within bounds from its text; null for null. Raises LW400, with the name, the value and the range, for anything else.';

create or replace function legwork_private.read_interval(name text, value text, low interval default '0', high interval default '100 years') returns interval
language plpgsql stable as $$
declare
  v_interval interval;
begin
  begin
    v_interval := value::interval;
  exception when data_exception then
    raise exception '% is %; it must be an interval between % and %.', name, left(value, 100), legwork_private.in_words(low), legwork_private.in_words(high) using
      errcode = 'LW400', column = name, hint = 'Nothing was changed. Intervals are written like 90 seconds, 2 hours or 1 month.';
  end;
  perform legwork_private.assert_interval(name, v_interval, low, high);
  return v_interval;
end $$;
comment on function legwork_private.read_interval(text, text, interval, interval) is
  'An interval within bounds from its text; null for null. Raises LW400, with the name, the value and the range, for anything else.';

create or replace function legwork_private.read_number(name text, value text, low bigint, high bigint) returns bigint
language plpgsql immutable as $$
begin
  -- No digits before the cast that a numeric could not hold.
  if value !~ '^-?\d{1,30}(\.0{1,30})?$' or value::numeric not between low and high then
    raise exception '% is %; it must be a whole number between % and %.', name, left(value, 100), low, high using
      errcode = 'LW400', column = name, hint = 'Nothing was changed.';
  end if;
  return value::numeric::bigint;
end $$;
comment on function legwork_private.read_number(text, text, bigint, bigint) is
  'A whole number within bounds from its text; null for null. Raises LW400, with the name, the value and the range, for anything else.';

create or replace function legwork_private.interval_setting(name text, fallback interval) returns interval
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return coalesce((
    select case when s.value::interval between interval '1 minute' and interval '1000 years' then s.value::interval else fallback end
    from legwork.settings s where s.name = interval_setting.name), fallback);
exception when others then
  return fallback;
end $$;
comment on function legwork_private.interval_setting(text, interval) is 'A setting that is an interval, between a minute and a thousand years; the fallback when it cannot be read as one.';

create or replace function legwork_private.far_future() returns timestamptz
language sql immutable parallel safe
return timestamptz '9999-12-31 00:00:00+00';
comment on function legwork_private.far_future() is
  'The run_at of a job that waits for a signal without a deadline. Not infinity, which says that the waiting room knows the true time.';
