-- Why is a job not running? Every reason there is, in the order in which they hold it back, each with what to do about it.
create or replace function legwork_private.in_words(duration interval) returns text
language sql immutable parallel safe strict
return coalesce(nullif(concat_ws(' ',
  extract(year from duration) || case extract(year from duration) when 0 then null when 1 then ' year' else ' years' end,
  extract(month from duration) || case extract(month from duration) when 0 then null when 1 then ' month' else ' months' end,
  extract(day from duration) || case extract(day from duration) when 0 then null when 1 then ' day' else ' days' end,
  extract(hour from duration) || case extract(hour from duration) when 0 then null when 1 then ' hour' else ' hours' end,
  extract(minute from duration) || case extract(minute from duration) when 0 then null when 1 then ' minute' else ' minutes' end,
  trim_scale(extract(second from duration)) || case extract(second from duration) when 0 then null when 1 then ' second' else ' seconds' end), ''), '0 seconds');
comment on function legwork_private.in_words(interval) is 'An interval as one says it: 2 hours 1 minute.';

create or replace function legwork_private.period_in_words(period interval) returns text
language sql immutable parallel safe strict
return regexp_replace(legwork_private.in_words(period), '^1 (\w+)$', '\1');
comment on function legwork_private.period_in_words(interval) is 'An interval as one says it after per or every: hour, 2 hours.';

create or replace function legwork_private.time_ahead(at timestamptz) returns text
language sql stable
return case when time_ahead.at > legwork_private.last_time() then 'the year ' || extract(year from time_ahead.at)
  else format('%s (in %s)', to_char(time_ahead.at, 'YYYY-MM-DD HH24:MI:SS TZ'),
    legwork_private.in_words(date_trunc('second', legwork_private.elapsed(clock_timestamp(), time_ahead.at)))) end;
comment on function legwork_private.time_ahead(timestamptz) is 'A time that is ahead as one says it: 2027-01-01 10:00:00 UTC (in 2 hours), or the year 290000.';
