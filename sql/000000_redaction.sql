-- Redaction: taking out of payloads, results and errors what nobody may read. Before everything else, because the triggers that
-- write the history call it.
--
-- A job must end whatever is in its payload, so nothing here may raise: characters that Postgres cannot hold, which are fine
-- within a json, are mended before anything is taken out of it.
-- Locks: none.

create function legwork.storable_json(value json) returns json
language sql immutable parallel safe
return case
  when value::text !~* '\\u(0000|d[89a-f])' then value
  else regexp_replace(
    -- A backslash that stands for itself is written so that each of the others begins an escape.
    replace(value::text, '\\', '\u005c'),
    -- NUL, the first half of a surrogate pair without its second, and a second half without its first.
    '\\u0000|\\u[dD][89abAB][[:xdigit:]]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][[:xdigit:]]{2})\\u[dD][c-fC-F][[:xdigit:]]{2}',
    '\ufffd', 'g')::json
end;
comment on function legwork.storable_json(json) is
  'The value with what JSON knows and text does not (NUL, halves of surrogate pairs) as the replacement character.';

create function legwork.is_deep_json(value json, levels integer) returns boolean
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  -- Its brackets: without the texts, what else JSON has is digits, signs, the letters of true, false and null, commas, colons and space.
  v_brackets text := translate(regexp_replace(value::text, '"(?:[^"\\]|\\.)*"', '', 'g'), E'{}0123456789+-.eEtrufalsn,: \t\n\r', '[]');
begin
  -- What is wide is flat: its innermost levels first, ten of them.
  for v_level in 1..10 loop
    exit when v_brackets = '';
    v_brackets := replace(v_brackets, '[]', '');
  end loop;
  return v_brackets <> '' and (
    select max(d.depth) from (
      select sum(case when r.run[1] like '[%' then length(r.run[1]) else -length(r.run[1]) end) over (order by r.n) as depth
      from regexp_matches(v_brackets, '\[+|\]+', 'g') with ordinality as r (run, n)
    ) d) + 10 > levels;
end $$;
comment on function legwork.is_deep_json(json, integer) is
  'Whether a value has more levels of arrays and objects than that, which is 10 at least. Seen in its text, so that no depth is too much for it.';

create function legwork.readable_json(value json) returns json
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_text text := value::text;
begin
  -- Postgres reads JSON recursively. What was not too deep for the statement that brought it may be so in a trigger, with less of the stack left.
  -- Most long values have fewer brackets than would make them deep, which is seen sooner than their depth.
  if octet_length(v_text) >= 2000 and length(v_text) - length(translate(v_text, '[{', '')) > 1000 and legwork.is_deep_json(value, 1000) then
    return null;
  end if;
  return case when strpos(v_text, '\u') = 0 then value else legwork.storable_json(value) end;
end $$;
comment on function legwork.readable_json(json) is
  'The value as every operator on json can read it, wherever it is asked: as legwork.storable_json has it, and null when it has more than 1,000 levels.';

create function legwork.shown_json(value json) returns json
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_text text := value::text;
  v_readable json;
begin
  v_readable := legwork.readable_json(value);
  -- What numeric does not take: exponents and digits by the ten thousand.
  if v_readable is not null and v_text ~ '[0-9][eE][+-]?[0-9]{4}|[0-9]{255}' then
    v_text := regexp_replace(v_text, '"(?:[^"\\]|\\.)*"', '', 'g');
    if exists (select from regexp_matches(v_text, '[eE][+-]?0*([0-9]*)', 'g') e where length(e[1]) > 5 or ('0' || e[1])::integer > 16000)
      or exists (select from regexp_split_to_table(v_text, '[^0-9]+') d where length(d) > 16000)
    then
      v_readable := null;
    end if;
  end if;
  return coalesce(v_readable, json_build_object('legwork:text', value::text));
end $$;
comment on function legwork.shown_json(json) is
  'The value as legwork.jobs shows it: one that every operator can read and that can become a jsonb. NUL and halves of surrogate pairs are the replacement character; '
  'what has more than 1,000 levels, or a number of more than 16,000 digits, is {"legwork:text": "…"}, with its JSON as text. Null for null.';

create function legwork.redact_path(value json, path text[]) returns json
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  if cardinality(path) = 0 then
    return '"[redacted]"';
  end if;
  case json_typeof(value)
    when 'object' then
      return coalesce((
        select json_object_agg(e.key, case when path[1] in ('*', e.key) then legwork.redact_path(e.value, path[2:]) else e.value end order by e.n)
        from json_each(value) with ordinality as e (key, value, n)), value);
    when 'array' then
      return coalesce((
        select json_agg(case when path[1] in ('*', (e.n - 1)::text) then legwork.redact_path(e.value, path[2:]) else e.value end order by e.n)
        from json_array_elements(value) with ordinality as e (value, n)), value);
    else
      return value;
  end case;
end $$;
comment on function legwork.redact_path(json, text[]) is 'The value with what is at one path, given by its steps, replaced. See legwork.redact.';

create function legwork.redact(value json, paths text[]) returns json
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_redacted json := value;
  v_path text;
begin
  if value is null or paths is null then
    return value;
  end if;
  v_redacted := legwork.readable_json(value);
  if v_redacted is null then
    -- Where its secrets are cannot be seen.
    return '"[redacted]"';
  end if;
  foreach v_path in array paths loop
    v_redacted := legwork.redact_path(v_redacted, string_to_array(v_path, '.'));
  end loop;
  return v_redacted;
end $$;
comment on function legwork.redact(json, text[]) is
  'The value with "[redacted]" in place of whatever is at the paths, such as email, user.phone or cards.*.number: steps are keys of '
  'objects or positions in arrays, * is all of them. Keys keep their order; a path that leads nowhere changes nothing; no paths, no change. '
  'A value of more than 1,000 levels is "[redacted]" as a whole.';

create function legwork.redact(value jsonb, paths text[]) returns jsonb
language sql immutable parallel safe
return case when paths is null then value else legwork.redact(value::json, paths)::jsonb end;
comment on function legwork.redact(jsonb, text[]) is 'As legwork.redact(json, text[]).';

create function legwork.redacted_values(payload json, paths text[]) returns setof text
language sql immutable parallel safe
begin atomic
  with recursive found (value, path) as (
    select legwork.readable_json(payload), string_to_array(p.path, '.') from unnest(paths) as p (path)
    union all
    -- At the end of a path the search goes on into everything below it.
    select e.value, f.path[2:]
    from found f
    cross join lateral (
      select o.key, o.value from json_each(case when json_typeof(f.value) = 'object' then f.value end) as o (key, value)
      union all
      select (a.n - 1)::text, a.value
      from json_array_elements(case when json_typeof(f.value) = 'array' then f.value end) with ordinality as a (value, n)
    ) e
    where cardinality(f.path) = 0 or f.path[1] in ('*', e.key)
  ), secrets as (
    select distinct f.value #>> '{}' as secret from found f
    where cardinality(f.path) = 0 and json_typeof(f.value) in ('string', 'number')
  )
  -- The longest first, since one may be a part of another.
  select s.secret from secrets s where length(s.secret) >= 4 order by length(s.secret) desc, s.secret;
end;
comment on function legwork.redacted_values(json, text[]) is
  'The texts and numbers that are at or below the paths of a payload, as text, the longest first. Those of less than four characters are '
  'left out: they are found in any text.';

create function legwork.redact_text(value text, payload json, paths text[]) returns text
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_text text := value;
  v_secret text;
begin
  if value is null or payload is null or paths is null then
    return value;
  end if;
  if legwork.readable_json(payload) is null then
    return '[redacted]';
  end if;
  for v_secret in select s from legwork.redacted_values(payload, paths) as s loop
    -- As it is, and as it stands within JSON.
    v_text := replace(v_text, v_secret, '[redacted]');
    v_text := replace(v_text, substr(to_json(v_secret)::text, 2, length(to_json(v_secret)::text) - 2), '[redacted]');
  end loop;
  return v_text;
end $$;
comment on function legwork.redact_text(text, json, text[]) is
  'A text, such as an error''s message, with [redacted] in place of every value that is at the paths of a payload (legwork.redacted_values); '
  '[redacted] alone when the payload has more than 1,000 levels.';

-- Who asks: the tenant that a session is confined to, which views and functions of every later file go by (sql/000020_access.sql has the rest).

create table legwork.confined_logins (
  login name primary key,
  tenant text not null check (tenant <> '')
);
comment on table legwork.confined_logins is 'Database logins that see and touch one tenant''s rows only, whatever they are granted. Change it with legwork.confine_login.';
comment on column legwork.confined_logins.login is 'The login: the session_user, which no session can change for itself.';
comment on column legwork.confined_logins.tenant is 'The tenant it is confined to.';
alter table legwork.confined_logins enable row level security;
-- Each may see what concerns him: the functions below look it up with the rights of whoever asks.
grant select on legwork.confined_logins to public;
create policy own on legwork.confined_logins for select to public using (login = session_user);

create function legwork.confined_tenant() returns text
language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  return coalesce(
    (select c.tenant from legwork.confined_logins c where c.login = session_user),
    nullif(current_setting('legwork.confined_to', true), ''));
end $$;
comment on function legwork.confined_tenant() is
  'The tenant that this session is confined to: by its login (legwork.confined_logins), else by the setting legwork.confined_to. Null when it sees all.';

create function legwork.confined_to() returns text
language sql stable parallel safe
return nullif(current_setting('legwork.confined_to', true), '');
comment on function legwork.confined_to() is
  'What the setting legwork.confined_to says. Small enough to become part of a query, so that the planner knows how many rows a tenant has.';

-- Bounds: every time and number that comes in from outside is between two ends, so that arithmetic with it cannot overflow
-- and fail a statement that also handles other jobs. src/duration.ts has the same ends. What an older row or a foreign client has stored goes
-- through legwork.later and legwork.time_from_ms, which never raise.

create function legwork.first_time() returns timestamptz
language sql immutable parallel safe
return timestamptz '1970-01-01 00:00:00Z';
comment on function legwork.first_time() is 'The earliest time that anything takes.';

create function legwork.last_time() returns timestamptz
language sql immutable parallel safe
return timestamptz '9999-12-31 23:59:59.999Z';
comment on function legwork.last_time() is 'The latest time that anything takes: the last one that every client can read.';

create function legwork.is_bounded(value interval) returns boolean
language sql immutable parallel safe
-- Its parts too: 400,000 years less as many years in days add up to nothing, and still overflow when they are added to a time.
return coalesce(isfinite(value) and extract(epoch from value) between -3155760000 and 3155760000
  and extract(day from value) between -100000 and 100000 and extract(hour from value) between -2400000 and 2400000, value is null);
comment on function legwork.is_bounded(interval) is 'Whether an interval is at most 100 years long, forwards or backwards, so that it can be added to a time. True for null.';

create function legwork.later(at timestamptz, by interval) returns timestamptz
language sql immutable parallel safe
return case
  when at not between legwork.first_time() and legwork.last_time() then at
  when legwork.is_bounded(by) then at + by
  when by > interval '0' then at + interval '100 years'
  else at - interval '100 years' end;
comment on function legwork.later(timestamptz, interval) is
  'at + by for values that may have been stored without a check; never raises. An interval of more than 100 years counts as 100 years; a time that is '
  'infinite or out of bounds stays as it is. Null when either is null.';

create function legwork.earlier(at timestamptz, by interval) returns timestamptz
language sql immutable parallel safe
return case
  when at not between legwork.first_time() and legwork.last_time() then at
  when legwork.is_bounded(by) then at - by
  when by > interval '0' then at - interval '100 years'
  else at + interval '100 years' end;
comment on function legwork.earlier(timestamptz, interval) is 'As legwork.later, backwards: at - by.';

create function legwork.elapsed(since timestamptz, until timestamptz) returns interval
language sql immutable parallel safe
-- Not strict, so that it becomes part of a query.
return case when num_nulls(since, until) = 0 then
  least(greatest(until, legwork.first_time()), legwork.last_time()) - least(greatest(since, legwork.first_time()), legwork.last_time()) end;
comment on function legwork.elapsed(timestamptz, timestamptz) is
  'until - since for times that may have been stored without a check; never raises. A time that is infinite or out of bounds counts as the bound.';

create function legwork.is_systems_fault(sqlstate text) returns boolean
language sql immutable parallel safe
-- Connections, transactions, objects and rights, resources, locks, operators, the disk, internal errors.
return left(is_systems_fault.sqlstate, 2) in ('08', '25', '26', '28', '2D', '3B', '3D', '3F', '40', '42', '53', '55', '57', '58', 'F0', 'HV', 'XX');
comment on function legwork.is_systems_fault(text) is
  'Whether an error with that SQLSTATE says something of the system and not of the rows that a statement handled. Such an error is raised again, for a retry.';

create function legwork.time_from_ms(milliseconds double precision) returns timestamptz
language sql immutable parallel safe strict
-- NaN counts as larger than any number.
return to_timestamp(least(greatest(milliseconds, 0), 253402300799000) / 1000.0);
comment on function legwork.time_from_ms(double precision) is
  'The time so many milliseconds after 1970, for what a worker reports; never raises. The first or the last time for a number that is out of bounds.';

create function legwork.assert_time(
  name text, value timestamptz, low timestamptz default legwork.first_time(), high timestamptz default legwork.last_time()
) returns void
language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp set datestyle = 'ISO' as $$
begin
  if value not between low and high then
    raise exception '% is %; it must be between % and %.', name, value,
      to_char(low at time zone 'UTC', 'YYYY-MM-DD'), to_char(high at time zone 'UTC', 'YYYY-MM-DD') using
      errcode = 'LW400', hint = 'Nothing was changed. Times are written like 2027-01-01 10:00+01.';
  end if;
end $$;
comment on function legwork.assert_time(text, timestamptz, timestamptz, timestamptz) is
  'Does nothing for a time from 1970 to the end of the year 9999, or between the given ends, and for null. Raises LW400, with the name, the value and the range.';

create function legwork.assert_interval(name text, value interval, low interval default '0', high interval default '100 years') returns void
language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  if not legwork.is_bounded(value) or extract(epoch from value) < extract(epoch from low) or extract(epoch from value) > extract(epoch from high) then
    raise exception '% is %; it must be between % and %.', name, value, legwork.in_words(low), legwork.in_words(high) using
      errcode = 'LW400', hint = 'Nothing was changed. Intervals are written like 90 seconds, 2 hours or 1 month.';
  end if;
end $$;
comment on function legwork.assert_interval(text, interval, interval, interval) is
  'Does nothing for an interval from 0 to 100 years, or between the given ends, and for null. Raises LW400, with the name, the value and the range.';

create function legwork.assert_number(name text, value numeric, low numeric, high numeric) returns void
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  if value not between low and high then
    raise exception '% is %; it must be between % and %.', name, left(value::text, 40), low, high using errcode = 'LW400', hint = 'Nothing was changed.';
  end if;
end $$;
comment on function legwork.assert_number(text, numeric, numeric, numeric) is
  'Does nothing for a number between two ends, and for null. Raises LW400, with the name, the value and the range.';

create function legwork.assert_job_numbers(priority numeric, max_attempts numeric) returns void
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork.assert_number('priority', priority, -32768, 32767), legwork.assert_number('max_attempts', max_attempts, 1, 32767);
end $$;
comment on function legwork.assert_job_numbers(numeric, numeric) is
  'Does nothing for a priority and a number of attempts that a job can have (-32768 to 32767 and 1 to 32767), and for null. Raises LW400.';

-- The same for what comes as text within JSON, which may be anything. Their exception blocks are why nothing calls them for values that are plain.

create function legwork.read_time(name text, value text) returns timestamptz
language plpgsql stable as $$
declare
  v_time timestamptz;
begin
  begin
    v_time := value::timestamptz;
  exception when data_exception then
    raise exception '% is %; it must be a time between % and %.', name, left(value, 100),
      to_char(legwork.first_time() at time zone 'UTC', 'YYYY-MM-DD'), to_char(legwork.last_time() at time zone 'UTC', 'YYYY-MM-DD') using
      errcode = 'LW400', hint = 'Nothing was changed. Times are written like 2027-01-01T10:00:00Z.';
  end;
  perform legwork.assert_time(name, v_time);
  return v_time;
end $$;
comment on function legwork.read_time(text, text) is 'A time within bounds from its text; null for null. Raises LW400, with the name, the value and the range, for anything else.';

create function legwork.read_interval(name text, value text, low interval default '0', high interval default '100 years') returns interval
language plpgsql stable as $$
declare
  v_interval interval;
begin
  begin
    v_interval := value::interval;
  exception when data_exception then
    raise exception '% is %; it must be an interval between % and %.', name, left(value, 100), legwork.in_words(low), legwork.in_words(high) using
      errcode = 'LW400', hint = 'Nothing was changed. Intervals are written like 90 seconds, 2 hours or 1 month.';
  end;
  perform legwork.assert_interval(name, v_interval, low, high);
  return v_interval;
end $$;
comment on function legwork.read_interval(text, text, interval, interval) is
  'An interval within bounds from its text; null for null. Raises LW400, with the name, the value and the range, for anything else.';

create function legwork.read_number(name text, value text, low bigint, high bigint) returns bigint
language plpgsql immutable as $$
begin
  -- No digits before the cast that a numeric could not hold.
  if value !~ '^-?\d{1,30}(\.0{1,30})?$' or value::numeric not between low and high then
    raise exception '% is %; it must be a whole number between % and %.', name, left(value, 100), low, high using
      errcode = 'LW400', hint = 'Nothing was changed.';
  end if;
  return value::numeric::bigint;
end $$;
comment on function legwork.read_number(text, text, bigint, bigint) is
  'A whole number within bounds from its text; null for null. Raises LW400, with the name, the value and the range, for anything else.';
