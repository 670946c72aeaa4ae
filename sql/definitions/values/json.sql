-- JSON values that Postgres can always read and store.
--
-- A job must be able to end whatever its payload contains, so these functions must not raise. Characters that are valid in a json
-- but that Postgres cannot store as text are replaced before a value is used.
-- Locks: none.
create or replace function legwork_private.storable_json(value json) returns json
language sql immutable parallel safe
return case
  when value::text !~* '\\u(0000|d[89a-f])' then value
  else regexp_replace(
    -- Rewrites escaped backslashes, so that every remaining backslash begins an escape sequence.
    replace(value::text, '\\', '\u005c'),
    -- Matches NUL, and either half of a surrogate pair without the other.
    '\\u0000|\\u[dD][89abAB][[:xdigit:]]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][[:xdigit:]]{2})\\u[dD][c-fC-F][[:xdigit:]]{2}',
    '\ufffd', 'g')::json
end;
comment on function legwork_private.storable_json(json) is
  'The value with the replacement character for everything that is valid in JSON but not in text: NUL and halves of surrogate pairs.';

create or replace function legwork_private.is_deep_json(value json, levels integer) returns boolean
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  -- Keeps only the brackets. Everything else is a string, a digit, a sign, a letter of true, false or null, a comma, a colon or white space.
  v_brackets text := translate(regexp_replace(value::text, '"(?:[^"\\]|\\.)*"', '', 'g'), E'{}0123456789+-.eEtrufalsn,: \t\n\r', '[]');
begin
  -- Most values are wide and flat, so the ten innermost levels are removed first.
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
comment on function legwork_private.is_deep_json(json, integer) is
  'Whether a value has more than this many levels of arrays and objects; levels must be at least 10. Works on the text, so it can handle a value of any depth.';

create or replace function legwork_private.readable_json(value json) returns json
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_text text := value::text;
begin
  -- Postgres parses JSON recursively. A value that was not too deep for the client's statement may be too deep in a trigger, where less of the stack
  -- is left.
  -- Most long values have too few brackets to be deep, and counting brackets is faster than computing the depth.
  if octet_length(v_text) >= 2000 and length(v_text) - length(translate(v_text, '[{', '')) > 1000 and legwork_private.is_deep_json(value, 1000) then
    return null;
  end if;
  return case when strpos(v_text, '\u') = 0 then value else legwork_private.storable_json(value) end;
end $$;
comment on function legwork_private.readable_json(json) is
  'The value in a form that every json operator can read anywhere: the result of legwork_private.storable_json, or null if the value has more than 1,000 levels.';

create or replace function legwork_private.shown_json(value json) returns json
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_text text := value::text;
  v_readable json;
begin
  v_readable := legwork_private.readable_json(value);
  -- Numbers that numeric does not accept: large exponents, and tens of thousands of digits.
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
comment on function legwork_private.shown_json(json) is
  'The value as legwork.jobs shows it: every operator can read it, and it can be cast to jsonb. NUL and halves of surrogate pairs become the replacement character. '
  'A value with more than 1,000 levels, or with a number of more than 16,000 digits, becomes {"legwork:text": "…"} with its JSON as text. Null for null.';

create or replace function legwork.payload_text(payload json, path text[]) returns text
language sql immutable parallel safe
return legwork_private.readable_json(payload) #>> path;
comment on function legwork.payload_text(json, text[]) is 'The value at a path of a payload, as text: 42 for both the number and the string. Null if there is no value, and for a payload of more than 1,000 levels.';

-- Legwork's worker cuts messages at 4,000 characters; other clients of the table do not.
create or replace function legwork_private.cut_error(error text) returns text
language sql stable parallel safe
return case when octet_length(error) > 20000 then left(error, 4000) || '… cut, ' || trim(to_char(length(error), 'FM9,999,999,999')) || ' characters' else error end;
comment on function legwork_private.cut_error(text) is 'The error message, cut at 4,000 characters if it has more than 20,000 bytes.';

-- Written in plpgsql, so that its argument, which may be a call that redacts a value, is evaluated only once.
create or replace function legwork_private.shown_json(value text) returns text
language plpgsql immutable parallel safe strict set search_path = pg_catalog, pg_temp as $$
begin
  if octet_length(value) <= 5000000 then
    return value;
  end if;
  return json_build_object('legwork:text', left(value, 1000) || '… cut, ' || legwork_private.counted(octet_length(value), 'byte'));
end $$;
comment on function legwork_private.shown_json(text) is
  'The JSON as lists and pages show it. If it has more than 5,000,000 bytes, only its first 1,000 characters and its length, as {"legwork:text": "…"}.';
