-- How messages write numbers, plurals, durations and times. Every message uses these functions.
create or replace function legwork_private.counted(count bigint, noun text, plural text default null) returns text
language sql immutable parallel safe
return trim(to_char(counted.count, 'FM9,999,999,999,999,999,999')) || ' '
  || case counted.count when 1 then counted.noun else coalesce(counted.plural, counted.noun || 's') end;
comment on function legwork_private.counted(bigint, text, text) is
  'A number with its noun: 1 job, 1,000 jobs, 2 retries. plural: the noun with an s by default. Null if the number is null.';

create or replace function legwork_private.in_all_words(duration interval) returns text
language sql immutable parallel safe strict
return case when duration > interval '0' and duration < interval '1 second' then trim_scale(extract(epoch from duration) * 1000) || ' ms'
  else coalesce(nullif(concat_ws(' ',
  nullif(legwork_private.counted(extract(year from duration)::bigint, 'year'), '0 years'),
  nullif(legwork_private.counted(extract(month from duration)::bigint, 'month'), '0 months'),
  nullif(legwork_private.counted(extract(day from duration)::bigint, 'day'), '0 days'),
  nullif(legwork_private.counted(extract(hour from duration)::bigint, 'hour'), '0 hours'),
  nullif(legwork_private.counted(extract(minute from duration)::bigint, 'minute'), '0 minutes'),
  trim_scale(extract(second from duration)) || case extract(second from duration) when 0 then null when 1 then ' second' else ' seconds' end), ''), '0 seconds') end;
comment on function legwork_private.in_all_words(interval) is 'A duration in words with all its units, for settings and limits: 3 days 1 hour 2.5 seconds.';

create or replace function legwork_private.in_words(duration interval) returns text
language sql immutable parallel safe strict
-- Smaller units are dropped: 14 days 9 hours, not 14 days 9 hours 44 minutes 41 seconds; and 1 day, not 1 day 3 seconds.
return legwork_private.in_all_words(case
  when duration < interval '1 minute' then duration
  when extract(year from duration) <> 0 then make_interval(years => extract(year from duration)::integer, months => extract(month from duration)::integer)
  when extract(month from duration) <> 0 then make_interval(months => extract(month from duration)::integer, days => extract(day from duration)::integer)
  when extract(day from duration) <> 0 then date_trunc('hour', duration)
  when extract(hour from duration) <> 0 then date_trunc('minute', duration)
  else date_trunc('second', duration) end);
comment on function legwork_private.in_words(interval) is 'A duration in words, with its largest unit and the next one: 14 days 9 hours, 2 hours 1 minute, 250 ms.';

create or replace function legwork_private.period_in_words(period interval) returns text
language sql immutable parallel safe strict
return regexp_replace(legwork_private.in_all_words(period), '^1 (\w+)$', '\1');
comment on function legwork_private.period_in_words(interval) is 'A duration in words, as it follows "per" or "every": hour, 2 hours.';

create or replace function legwork_private.short_duration(duration interval) returns text
language sql immutable parallel safe strict
return (
  select coalesce((
    select round(ms / u.size) || u.unit from (values (1, 'd', 86400000), (2, 'h', 3600000), (3, 'm', 60000), (4, 's', 1000), (5, 'ms', 1)) as u (n, unit, size)
    where ms % u.size = 0 and extract(year from short_duration.duration) = 0 and extract(month from short_duration.duration) = 0 order by u.n limit 1), short_duration.duration::text)
  from (select extract(epoch from short_duration.duration) * 1000) as m (ms));
comment on function legwork_private.short_duration(interval) is 'A duration as all interfaces accept it: 90m, 1d, 250ms. Months and fractions of a millisecond are written as in SQL.';

create or replace function legwork_private.time_ahead(at timestamptz) returns text
language sql stable
return case when time_ahead.at > legwork_private.last_time() then 'the year ' || extract(year from time_ahead.at)
  else format('%s (in %s)', to_char(time_ahead.at, 'YYYY-MM-DD HH24:MI:SS TZ'),
    legwork_private.in_words(date_trunc('second', legwork_private.elapsed(clock_timestamp(), time_ahead.at)))) end;
comment on function legwork_private.time_ahead(timestamptz) is 'A future time and how far away it is: 2027-01-01 10:00:00 UTC (in 2 hours). For a time after the year 9999, only the year.';
