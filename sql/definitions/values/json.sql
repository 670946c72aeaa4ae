-- Redaction: taking out of payloads, results and errors what nobody may read. Before everything else, because the triggers that
-- write the history call it.
--
-- A job must end whatever is in its payload, so nothing here may raise: characters that Postgres cannot hold, which are fine
-- within a json, are mended before anything is taken out of it.
-- Locks: none.
create or replace function legwork_private.storable_json(value json) returns json
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
comment on function legwork_private.storable_json(json) is
  'The value with what JSON knows and text does not (NUL, halves of surrogate pairs) as the replacement character.';

create or replace function legwork_private.is_deep_json(value json, levels integer) returns boolean
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
comment on function legwork_private.is_deep_json(json, integer) is
  'Whether a value has more levels of arrays and objects than that, which is 10 at least. Seen in its text, so that no depth is too much for it.';

create or replace function legwork_private.readable_json(value json) returns json
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_text text := value::text;
begin
  -- Postgres reads JSON recursively. What was not too deep for the statement that brought it may be so in a trigger, with less of the stack left.
  -- Most long values have fewer brackets than would make them deep, which is seen sooner than their depth.
  if octet_length(v_text) >= 2000 and length(v_text) - length(translate(v_text, '[{', '')) > 1000 and legwork_private.is_deep_json(value, 1000) then
    return null;
  end if;
  return case when strpos(v_text, '\u') = 0 then value else legwork_private.storable_json(value) end;
end $$;
comment on function legwork_private.readable_json(json) is
  'The value as every operator on json can read it, wherever it is asked: as legwork_private.storable_json has it, and null when it has more than 1,000 levels.';

create or replace function legwork_private.shown_json(value json) returns json
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_text text := value::text;
  v_readable json;
begin
  v_readable := legwork_private.readable_json(value);
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
comment on function legwork_private.shown_json(json) is
  'The value as legwork.jobs shows it: one that every operator can read and that can become a jsonb. NUL and halves of surrogate pairs are the replacement character; '
  'what has more than 1,000 levels, or a number of more than 16,000 digits, is {"legwork:text": "…"}, with its JSON as text. Null for null.';

create or replace function legwork.payload_text(payload json, path text[]) returns text
language sql immutable parallel safe
return legwork_private.readable_json(payload) #>> path;
comment on function legwork.payload_text(json, text[]) is 'What a payload has at a path, as text: 42 for both the number and the text. Null where it has nothing, and for a payload of more than 1,000 levels.';
