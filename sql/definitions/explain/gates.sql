create or replace function legwork_private.explain_pauses(queue text, task text) returns table (reason text, detail text, fix text, actions jsonb)
language sql stable
as $$
  select
    case p.scope when 'all' then 'everything_stopped' when 'queue' then 'queue_paused' else 'task_paused' end,
    format('%1$s by %3$s at %2$s%5$s: %4$s',
      case p.scope when 'all' then 'Everything was stopped' when 'queue' then format('Queue ''%s'' was paused', p.name)
        else format('Task ''%s'' was paused', p.name) end,
      to_char(p.paused_at, 'YYYY-MM-DD HH24:MI:SS TZ'), p.paused_by, legwork_private.as_sentence(coalesce(p.reason, 'no reason was given')),
      case when p.reason_at is null then '' else format(', and again by %s at %s', p.reason_by, to_char(p.reason_at, 'YYYY-MM-DD HH24:MI:SS TZ')) end),
    legwork_private.suggest(case p.scope when 'all' then 'resume everything' when 'queue' then 'resume the queue' else 'resume the task' end, a.action),
    jsonb_build_array(a.action)
  from legwork_private.pauses p
  cross join lateral (
    select case p.scope when 'all' then '{"do": "resume_all"}' else jsonb_build_object('do', 'resume_' || p.scope, 'name', p.name) end
  ) a (action)
  where p.scope = 'all' or (p.scope = 'queue' and p.name = explain_pauses.queue) or (p.scope = 'task' and p.name = explain_pauses.task)
  order by p.scope = 'all' desc, p.scope = 'queue' desc
$$;
comment on function legwork_private.explain_pauses(text, text) is 'The pauses that apply to a task of a queue, the widest first.';

create or replace function legwork_private.payload_with(key text[], value text) returns jsonb
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_payload jsonb := to_jsonb(value);
begin
  for i in reverse cardinality(key)..1 loop
    v_payload := jsonb_build_object(key[i], v_payload);
  end loop;
  return v_payload;
end $$;
comment on function legwork_private.payload_with(text[], text) is 'A payload with that value at that path and nothing else.';

create or replace function legwork_private.is_key_secret(scope text, name text, key text[]) returns boolean
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select key <> '{}' and exists (
    select from legwork_private.task_definitions d
    where d.redact is not null and (is_key_secret.scope = 'task' and d.name = is_key_secret.name or is_key_secret.scope = 'queue' and d.queue = is_key_secret.name)
      and legwork.redact(legwork_private.payload_with(is_key_secret.key, 'shown'), d.redact) #>> is_key_secret.key is distinct from 'shown')
$$;
comment on function legwork_private.is_key_secret(text, text, text[]) is
  'Whether a task of that queue, or with that name, redacts the value of a limit''s key. A value that is hidden in payloads must not be shown anywhere else.';

create or replace function legwork_private.next_rate_start(gate text, max_count integer, per interval, number bigint) returns timestamptz
language sql stable set search_path = pg_catalog, pg_temp
-- Slots become free in the order of free_at, and each start takes one for a whole window. A slot without free_at belongs to a job that has been
-- admitted and has not been seen running.
return (
  with slots as (
    select coalesce(x.free_at, legwork_private.later(clock_timestamp(), next_rate_start.per)) as free_at from legwork_private.slots x
    where x.gate = next_rate_start.gate and (x.free_at is null or x.free_at > clock_timestamp())
  ), ordered as (
    -- If more slots are taken than the limit allows, because it has been lowered, the first ones that become free are not filled again.
    select o.free_at from slots o order by o.free_at desc limit next_rate_start.max_count
  )
  select legwork_private.later(o.free_at, next_rate_start.per * ((number - 1) / next_rate_start.max_count)::double precision) from ordered o order by o.free_at
  offset (number - 1) % next_rate_start.max_count limit 1);
comment on function legwork_private.next_rate_start(text, integer, interval, bigint) is
  'The earliest time at which one gate of a rate limit lets the job at this position in line start. Null if the gate has free slots.';

create or replace function legwork_private.explain_gates(job_id bigint) returns table (reason text, detail text, fix text, actions jsonb)
language sql stable
as $$
  select
    case l.kind when 'rate' then 'rate_limit' else 'concurrency_limit' end,
    format('%s of %s ''%s''%s is %s, and %s.%s%s',
      case l.kind when 'rate' then 'The rate limit' else 'The concurrency limit' end, l.scope, l.name,
      case when l.key <> '{}' then format(' for %s = %s', array_to_string(l.key, '.'), case when legwork_private.is_key_secret(l.scope, l.name, l.key) then '[redacted]'
        else coalesce(nullif(legwork_private.gate_key(g.gate), ''), 'nothing') end) else '' end,
      l.max_count || case when l.kind = 'rate' then ' per ' || legwork_private.period_in_words(l.per) else '' end,
      case l.kind when 'rate' then 'it is used up' else 'all slots are taken by ' || coalesce(case when s.jobs = 1 then 'job ' else 'jobs ' end || s.some
        || case when s.jobs > 5 then format(' and %s more', s.jobs - 5) else '' end, legwork_private.counted(s.jobs, 'job')) end,
      case when n.number > 10000 then ' More than 10,000 jobs are ahead of it in line.' else ' It is number ' || to_char(n.number, 'FM99,999') || ' in line.' end,
      case when l.kind = 'rate' then format(' This job can start at %s at the earliest.',
        legwork_private.time_ahead(legwork_private.next_rate_start(g.gate, l.max_count, l.per, coalesce(n.number, 1)))) end),
    'wait, or ' || legwork_private.suggest('raise the limit', a.action),
    jsonb_build_array(a.action)
  from legwork_private.waiting_jobs w
  cross join lateral unnest(w.gates) with ordinality as g (gate, n)
  join legwork_private.limits l on l.id = legwork_private.gate_limit(g.gate)
  cross join lateral (
    select count(*) as jobs,
      -- A session that is confined to a tenant sees the number of jobs, but not their ids.
      case when legwork_private.confined_tenant() is null then array_to_string((array_agg(x.job_id order by x.job_id))[1:5], ', ') end as some
    from legwork_private.slots x where x.gate = g.gate and (x.free_at is null or x.free_at > clock_timestamp())
  ) s
  cross join lateral (
    -- The count stops at ten thousand.
    select case when w.held is null then (
      select count(*) + 1 from (
        select from legwork_private.waiting_jobs o
        where o.line = w.line and o.held is null and (o.priority, o.run_at, o.job_id) < (w.priority, w.run_at, w.job_id) limit 10000) x) end as number
  ) n
  cross join lateral (
    select jsonb_strip_nulls(jsonb_build_object('do', 'limit_' || l.kind, 'scope', l.scope, 'name', l.name, 'max', least(2 * l.max_count::bigint, 2147483647),
      'per', legwork_private.short_duration(l.per), 'key', nullif(array_to_string(l.key, '.'), '')))
  ) a (action)
  where w.job_id = explain_gates.job_id and s.jobs >= l.max_count
  order by g.n
$$;
comment on function legwork_private.explain_gates(bigint) is 'The limits that hold back a waiting job, with the jobs that have taken their slots.';
