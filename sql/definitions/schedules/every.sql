-- Occurrences of every. The k-th is anchor + k * every. Adding every to the previous occurrence instead would turn January 31 into the 28th
-- permanently.
create or replace function legwork_private.interval_time(anchor timestamptz, every interval, timezone text, k bigint) returns timestamptz
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
  -- Postgres resolves an ambiguous local time to the second of its two instants. Schedules use the first one. Clocks go back by 30 minutes
  -- (Australia/Lord_Howe) to 3 hours (Antarctica/Casey).
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
comment on function legwork_private.interval_time(timestamptz, interval, text, bigint) is
  'The k-th occurrence of an interval. Seconds, minutes and hours count as elapsed time; days and months are calendar steps in the time zone.';

create or replace function legwork_private.interval_index(anchor timestamptz, every interval, timezone text, upto timestamptz) returns bigint
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_k bigint := floor((extract(epoch from upto) - extract(epoch from anchor)) / extract(epoch from every));
begin
  -- This is only an estimate for months, which differ in length, and exact otherwise.
  while legwork_private.interval_time(anchor, every, timezone, v_k + 1) <= upto loop
    v_k := v_k + 1;
  end loop;
  while legwork_private.interval_time(anchor, every, timezone, v_k) > upto loop
    v_k := v_k - 1;
  end loop;
  return v_k;
end $$;
comment on function legwork_private.interval_index(timestamptz, interval, text, timestamptz) is 'The index k of the last occurrence of an interval up to a time.';

create or replace function legwork_private.describe_interval(every interval) returns text
language sql stable
return 'Every ' || legwork_private.period_in_words(every);
comment on function legwork_private.describe_interval(interval) is 'An interval in words: Every 2 hours 30 minutes.';

create or replace function legwork_private.assert_every(every interval) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_interval('every', every, '1 second');
  if extract(year from every) < 0 or extract(month from every) < 0 or extract(day from every) < 0 or extract(hour from every) < 0 or extract(minute from every) < 0
    or extract(second from every) < 0
  then
    raise exception 'every is %; none of its parts may be negative.', legwork_private.in_all_words(every) using errcode = 'LW400', hint = 'Nothing was changed. Write intervals as ''90 seconds'', ''2 hours'' or ''1 month''.';
  end if;
end $$;
comment on function legwork_private.assert_every(interval) is
  'Does nothing for an interval that a schedule can have, 1 second to 100 years, and for null. Raises LW400, with the value and the range.';
