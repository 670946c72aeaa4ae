create or replace function legwork_private.redact_path(value json, path text[]) returns json
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  if cardinality(path) = 0 then
    return '"[redacted]"';
  end if;
  case json_typeof(value)
    when 'object' then
      return coalesce((
        select json_object_agg(e.key, case when path[1] in ('*', e.key) then legwork_private.redact_path(e.value, path[2:]) else e.value end order by e.n)
        from json_each(value) with ordinality as e (key, value, n)), value);
    when 'array' then
      return coalesce((
        select json_agg(case when path[1] in ('*', (e.n - 1)::text) then legwork_private.redact_path(e.value, path[2:]) else e.value end order by e.n)
        from json_array_elements(value) with ordinality as e (value, n)), value);
    else
      return value;
  end case;
end $$;
comment on function legwork_private.redact_path(json, text[]) is 'The value with the part at one path, given as an array of keys, replaced. See legwork.redact.';

create or replace function legwork.redact(value json, paths text[]) returns json
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_redacted json := value;
  v_path text;
begin
  if value is null or paths is null then
    return value;
  end if;
  v_redacted := legwork_private.readable_json(value);
  if v_redacted is null then
    -- The secrets in such a value cannot be located.
    return '"[redacted]"';
  end if;
  foreach v_path in array paths loop
    v_redacted := legwork_private.redact_path(v_redacted, string_to_array(v_path, '.'));
  end loop;
  return v_redacted;
end $$;
comment on function legwork.redact(json, text[]) is
  'Replaces the values at the paths with "[redacted]". Paths are like email, user.phone or cards.*.number: their parts are keys of '
  'objects or positions in arrays, and * stands for all of them. Keys keep their order. A path that does not exist changes nothing, and without paths nothing changes. '
  'A value with more than 1,000 levels becomes "[redacted]" as a whole.';

create or replace function legwork.redact(value jsonb, paths text[]) returns jsonb
language sql immutable parallel safe
return case when paths is null then value else legwork.redact(value::json, paths)::jsonb end;
comment on function legwork.redact(jsonb, text[]) is 'Like legwork.redact(json, text[]).';

create or replace function legwork_private.redacted_values(payload json, paths text[]) returns setof text
language sql immutable parallel safe
begin atomic
  with recursive found (value, path) as (
    select legwork_private.readable_json(payload), string_to_array(p.path, '.') from unnest(paths) as p (path)
    union all
    -- At the end of a path, the search includes all values below it.
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
  -- Longest first, because one secret may be part of another.
  select s.secret from secrets s where length(s.secret) >= 4 order by length(s.secret) desc, s.secret;
end;
comment on function legwork_private.redacted_values(json, text[]) is
  'The strings and numbers at or below these paths in a payload, as text, longest first. Values with fewer than four characters are '
  'left out, because they could occur in any text.';

create or replace function legwork.redact_text(value text, payload json, paths text[]) returns text
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_text text := value;
  v_secret text;
begin
  if value is null or payload is null or paths is null then
    return value;
  end if;
  if legwork_private.readable_json(payload) is null then
    return '[redacted]';
  end if;
  for v_secret in select s from legwork_private.redacted_values(payload, paths) as s loop
    -- Replaces the secret both in plain form and as it is escaped in JSON.
    v_text := replace(v_text, v_secret, '[redacted]');
    v_text := replace(v_text, substr(to_json(v_secret)::text, 2, length(to_json(v_secret)::text) - 2), '[redacted]');
  end loop;
  return v_text;
end $$;
comment on function legwork.redact_text(text, json, text[]) is
  'Replaces every value at the paths of a payload (legwork_private.redacted_values) with [redacted] in a text, such as an error message. '
  'Returns only [redacted] if the payload has more than 1,000 levels.';

create or replace function legwork_private.has_redacted(payload json) returns boolean
language sql immutable parallel safe
-- Checks the text, because not every payload can be cast to jsonb. A quote within a string has a backslash before it, and a key has a colon after it.
return payload is not null and payload::text ~ '"\[redacted\]"(?!\s*:)';
comment on function legwork_private.has_redacted(json) is 'Whether a payload contains redacted values (legwork.redact).';

create or replace function legwork_private.restore_redacted(given json, original json) returns json
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  if given is null or original is null then
    return given;
  end if;
  if json_typeof(given) = 'string' and given #>> '{}' = '[redacted]' then
    return original;
  end if;
  if json_typeof(given) = 'object' and json_typeof(original) = 'object' then
    return coalesce((
      select json_object_agg(e.key, legwork_private.restore_redacted(e.value, original -> e.key) order by e.n)
      from json_each(given) with ordinality as e (key, value, n)), given);
  end if;
  if json_typeof(given) = 'array' and json_typeof(original) = 'array' then
    return coalesce((
      select json_agg(legwork_private.restore_redacted(e.value, original -> (e.n - 1)::integer) order by e.n)
      from json_array_elements(given) with ordinality as e (value, n)), given);
  end if;
  return given;
end $$;
comment on function legwork_private.restore_redacted(json, json) is
  'Replaces each "[redacted]" in a payload with the original''s value at the same place, if it has one.';
