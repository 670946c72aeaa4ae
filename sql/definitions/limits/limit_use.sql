-- How much of the limits of a queue or task is in use, by the values of their keys, with the longest lines first.
--
-- Slots are rows of legwork_private.slots. The slots of a limit are one range in the index on their gates, and at most 100,000 are counted. Takes
-- no locks.
create or replace function legwork.limit_use(
  scope text, name text, at_most integer default 20,
  out kind text, out key text, out value text, out in_use bigint, out waiting bigint, out frees_at timestamptz, out key_values bigint, out is_partial boolean
) returns setof record
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  v_tenant text := legwork_private.confined_tenant();
begin
  perform legwork_private.assert_role('viewer');
  if scope is null or scope not in ('queue', 'task') then
    raise exception '''%'' is not a valid scope.', coalesce(scope, 'null') using errcode = 'LW400', hint = 'Use queue or task.';
  elsif at_most is null or at_most not between 1 and 1000 then
    raise exception 'at_most is %; it must be between 1 and 1000.', coalesce(at_most::text, 'null') using errcode = 'LW400', hint = 'It is the number of key values to show for each limit.';
  end if;
  perform legwork_private.assert_target(limit_use.scope, limit_use.name);
  return query
  with limits as materialized (
    select l.id, l.kind, l.key, legwork_private.is_key_secret(l.scope, l.name, l.key) as is_secret
    from legwork_private.limits l
    where l.scope = limit_use.scope and l.name = limit_use.name and l.max_count is not null
  ), taken as materialized (
    select l.id, s.gate, s.free_at
    from limits l
    join legwork_private.slots s on s.gate >= l.id || ':' and s.gate < l.id || ';'
    where (s.free_at is null or s.free_at > clock_timestamp())
      -- A rate limit's slots outlive their jobs.
      and (v_tenant is null
        or exists (select from legwork_private.graphile_jobs j where j.id = s.job_id and legwork_private.flag_value(j.flags, 'tenant') = v_tenant)
        or exists (select from legwork_private.finished_jobs f where f.id = s.job_id and f.tenant = v_tenant))
    limit 100000
  ), in_line as materialized (
    -- By their lines: the waiting room may hold a million jobs of other tasks.
    select n.gates
    from legwork_private.lines n
    cross join lateral (
      select from legwork_private.waiting_jobs w
      where w.line = n.line and w.held is null and (v_tenant is null or exists (
        select from legwork_private.graphile_jobs j where j.id = w.job_id and legwork_private.flag_value(j.flags, 'tenant') = v_tenant))
      limit 100000
    ) w
    where exists (select from unnest(n.gates) as g (gate) join limits l on l.id = legwork_private.gate_limit(g.gate))
    limit 100000
  ), used as (
    select x.id, x.gate, sum(x.in_use)::bigint as in_use, sum(x.waiting)::bigint as waiting, min(x.free_at) as free_at
    from (
      select t.id, t.gate, 1 as in_use, 0 as waiting, t.free_at from taken t
      union all
      select l.id, g.gate, 0, 1, null
      from in_line i
      cross join lateral unnest(i.gates) as g (gate)
      join limits l on l.id = legwork_private.gate_limit(g.gate)
    ) x
    group by x.id, x.gate
  ), ranked as (
    select u.*, row_number() over (partition by u.id order by u.waiting desc, u.in_use desc, u.gate) as place, count(*) over (partition by u.id) as gates
    from used u
  )
  select l.kind, nullif(array_to_string(l.key, '.'), ''),
    case when l.key <> '{}' then case when l.is_secret then '[redacted]' else legwork_private.gate_key(r.gate) end end,
    r.in_use, r.waiting, r.free_at, r.gates,
    (select count(*) from taken) = 100000 or (select count(*) from in_line) = 100000
  from ranked r
  join limits l on l.id = r.id
  where r.place <= at_most
  order by l.id, r.place;
end $$;
comment on function legwork.limit_use(text, text, integer) is
  'How much of the limits of a queue or task is in use, by the values of their keys, with the longest lines first, at_most (20) for each limit. kind and key: the limit. value: the key''s value, null for '
  'a limit without a key, [redacted] if one of the tasks redacts it. in_use: slots taken. waiting: jobs in line that have to pass this gate. frees_at: when the next slot of a rate limit becomes free, if that '
  'is known. key_values: the total number of values. is_partial: whether there was more to count than 100,000 rows. A session confined to a tenant sees only that tenant''s jobs. Raises LW404 for an unknown queue or task.';
revoke execute on function legwork.limit_use(text, text, integer) from public;
