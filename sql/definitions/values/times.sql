-- Bounds: every time and number that comes from outside is checked, so that arithmetic with it cannot overflow
-- and fail a statement that also handles other jobs. src/duration.ts has the same bounds. Values stored by older versions or other clients go
-- through legwork_private.later and legwork_private.time_from_ms, which never raise.
create or replace function legwork_private.first_time() returns timestamptz
language sql immutable parallel safe
return timestamptz '1970-01-01 00:00:00Z';
comment on function legwork_private.first_time() is 'The earliest time that Legwork accepts.';

create or replace function legwork_private.last_time() returns timestamptz
language sql immutable parallel safe
return timestamptz '9999-12-31 23:59:59.999Z';
comment on function legwork_private.last_time() is 'The latest time that Legwork accepts: the last time that every client can read.';

create or replace function legwork_private.is_bounded(value interval) returns boolean
language sql immutable parallel safe
-- The parts are checked too: 400,000 years minus the same period in days add up to zero, but overflow when they are added to a time.
return coalesce(isfinite(value) and extract(epoch from value) between -3155760000 and 3155760000
  and extract(day from value) between -100000 and 100000 and extract(hour from value) between -2400000 and 2400000, value is null);
comment on function legwork_private.is_bounded(interval) is 'Whether an interval is at most 100 years long, forward or backward, so that it can be added to a time. True for null.';

create or replace function legwork_private.later(at timestamptz, by interval) returns timestamptz
language sql immutable parallel safe
return case
  when at not between legwork_private.first_time() and legwork_private.last_time() then at
  when legwork_private.is_bounded(by) then at + by
  when by > interval '0' then at + interval '100 years'
  else at - interval '100 years' end;
comment on function legwork_private.later(timestamptz, interval) is
  'at + by, for values that may have been stored without a check. Never raises. An interval of more than 100 years counts as 100 years. A time that is '
  'infinite or out of bounds is returned unchanged. Null if either is null.';

create or replace function legwork_private.earlier(at timestamptz, by interval) returns timestamptz
language sql immutable parallel safe
return case
  when at not between legwork_private.first_time() and legwork_private.last_time() then at
  when legwork_private.is_bounded(by) then at - by
  when by > interval '0' then at - interval '100 years'
  else at + interval '100 years' end;
comment on function legwork_private.earlier(timestamptz, interval) is 'Like legwork_private.later, but at - by.';

create or replace function legwork_private.elapsed(since timestamptz, until timestamptz) returns interval
language sql immutable parallel safe
-- Not strict, so that it can be inlined into a query.
return case when num_nulls(since, until) = 0 then
  least(greatest(until, legwork_private.first_time()), legwork_private.last_time()) - least(greatest(since, legwork_private.first_time()), legwork_private.last_time()) end;
comment on function legwork_private.elapsed(timestamptz, timestamptz) is
  'until - since, for times that may have been stored without a check. Never raises. A time that is infinite or out of bounds counts as the nearest bound.';

create or replace function legwork_private.is_systems_fault(sqlstate text) returns boolean
language sql immutable parallel safe
-- The classes of errors about connections, transactions, objects and privileges, resources, locks, operator intervention, the disk, and internals.
return left(is_systems_fault.sqlstate, 2) in ('08', '25', '26', '28', '2D', '3B', '3D', '3F', '40', '42', '53', '55', '57', '58', 'F0', 'HV', 'XX');
comment on function legwork_private.is_systems_fault(text) is
  'Whether an error with this SQLSTATE is caused by the system, not by the rows that a statement handled. Such an error is raised again, so that the work is retried.';

create or replace function legwork_private.time_from_ms(milliseconds double precision) returns timestamptz
language sql immutable parallel safe strict
-- Postgres treats NaN as larger than any number.
return to_timestamp(least(greatest(milliseconds, 0), 253402300799000) / 1000.0);
comment on function legwork_private.time_from_ms(double precision) is
  'The time this many milliseconds after 1970, for values that a worker reports. Never raises. The first or the last time for a number that is out of bounds.';

create or replace function legwork_private.assert_time(
  name text, value timestamptz, low timestamptz default legwork_private.first_time(), high timestamptz default legwork_private.last_time()
) returns void
language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp set datestyle = 'ISO' as $$
begin
  if value not between low and high then
    raise exception '% is %; it must be between % and %.', name, value,
      to_char(low at time zone 'UTC', 'YYYY-MM-DD'), to_char(high at time zone 'UTC', 'YYYY-MM-DD') using
      errcode = 'LW400', column = name, hint = 'Nothing was changed. Write times as ''2027-01-01 10:00+01''.';
  end if;
end $$;
comment on function legwork_private.assert_time(text, timestamptz, timestamptz, timestamptz) is
  'Does nothing for a time between 1970 and the end of the year 9999, or within the given bounds, and for null. Otherwise raises LW400, with the name, the value and the range.';

create or replace function legwork_private.assert_interval(name text, value interval, low interval default '0', high interval default '100 years') returns void
language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  if not legwork_private.is_bounded(value) or extract(epoch from value) < extract(epoch from low) or extract(epoch from value) > extract(epoch from high) then
    -- Infinite intervals cannot be put into words.
    raise exception '% is %; it must be between % and %.', name, case when isfinite(value) then legwork_private.in_all_words(value) else value::text end,
      legwork_private.in_all_words(low), legwork_private.in_all_words(high) using
      errcode = 'LW400', column = name, hint = 'Nothing was changed. Write intervals as ''90 seconds'', ''2 hours'' or ''1 month''.';
  end if;
end $$;
comment on function legwork_private.assert_interval(text, interval, interval, interval) is
  'Does nothing for an interval from 0 to 100 years, or within the given bounds, and for null. Otherwise raises LW400, with the name, the value and the range.';

create or replace function legwork_private.assert_number(name text, value numeric, low numeric, high numeric) returns void
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  if value not between low and high then
    raise exception '% is %; it must be between % and %.', name, left(value::text, 40), low, high using errcode = 'LW400', column = name, hint = 'Nothing was changed.';
  end if;
end $$;
comment on function legwork_private.assert_number(text, numeric, numeric, numeric) is
  'Does nothing for a number within the given bounds, and for null. Otherwise raises LW400, with the name, the value and the range.';

create or replace function legwork_private.assert_job_numbers(priority numeric, max_attempts numeric) returns void
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_number('priority', priority, -32768, 32767), legwork_private.assert_number('max_attempts', max_attempts, 1, 32767);
end $$;
comment on function legwork_private.assert_job_numbers(numeric, numeric) is
  'Does nothing for a valid priority (-32768 to 32767) and a valid number of attempts (1 to 32767), and for null. Otherwise raises LW400.';

-- The functions below do the same for strings from JSON, which may contain anything. Because their exception blocks are expensive, they are not
-- called for values that are obviously valid.
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
      errcode = 'LW400', column = name, hint = 'Nothing was changed. Write times as ''2027-01-01T10:00:00Z''.';
  end;
  perform legwork_private.assert_time(name, v_time);
  return v_time;
end $$;
comment on function legwork_private.read_time(text, text) is 'Parses a time, which must be within bounds. Null for null. Raises LW400, with the name, the value and the range, for anything else.';

create or replace function legwork_private.read_interval(name text, value text, low interval default '0', high interval default '100 years') returns interval
language plpgsql stable as $$
declare
  v_interval interval;
begin
  begin
    v_interval := value::interval;
  exception when data_exception then
    raise exception '% is %; it must be an interval between % and %.', name, left(value, 100), legwork_private.in_all_words(low), legwork_private.in_all_words(high) using
      errcode = 'LW400', column = name, hint = 'Nothing was changed. Write intervals as ''90 seconds'', ''2 hours'' or ''1 month''.';
  end;
  perform legwork_private.assert_interval(name, v_interval, low, high);
  return v_interval;
end $$;
comment on function legwork_private.read_interval(text, text, interval, interval) is
  'Parses an interval, which must be within bounds. Null for null. Raises LW400, with the name, the value and the range, for anything else.';

create or replace function legwork_private.read_number(name text, value text, low bigint, high bigint) returns bigint
language plpgsql immutable as $$
begin
  -- Checked before the cast, so that there are not more digits than a numeric can hold.
  if value !~ '^-?\d{1,30}(\.0{1,30})?$' or value::numeric not between low and high then
    raise exception '% is %; it must be a whole number between % and %.', name, left(value, 100), low, high using
      errcode = 'LW400', column = name, hint = 'Nothing was changed.';
  end if;
  return value::numeric::bigint;
end $$;
comment on function legwork_private.read_number(text, text, bigint, bigint) is
  'Parses a whole number, which must be within bounds. Null for null. Raises LW400, with the name, the value and the range, for anything else.';

create or replace function legwork_private.interval_setting(name text, fallback interval) returns interval
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return coalesce((
    select case when s.value::interval between interval '1 minute' and interval '1000 years' then s.value::interval else fallback end
    from legwork.settings s where s.name = interval_setting.name), fallback);
exception when others then
  return fallback;
end $$;
comment on function legwork_private.interval_setting(text, interval) is 'The value of a setting that is an interval between a minute and a thousand years. Returns the fallback if the value is not valid.';

create or replace function legwork_private.far_future() returns timestamptz
language sql immutable parallel safe
return timestamptz '9999-12-31 00:00:00+00';
comment on function legwork_private.far_future() is
  'The run_at of a job that waits for a signal without a deadline. It is not infinity, because infinity means that the actual time is in the waiting room.';
