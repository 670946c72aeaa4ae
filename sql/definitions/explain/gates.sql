create or replace function legwork_private.explain_pauses(queue text, task text) returns table (reason text, detail text, fix text)
language sql stable
as $$
  select
    case p.scope when 'all' then 'everything_stopped' when 'queue' then 'queue_paused' else 'task_paused' end,
    format('%1$s by %3$s at %2$s: %4$s',
      case p.scope when 'all' then 'Everything was stopped' when 'queue' then format('Queue ''%s'' was paused', p.name)
        else format('Task ''%s'' was paused', p.name) end,
      to_char(p.paused_at, 'YYYY-MM-DD HH24:MI:SS TZ'), p.paused_by, coalesce(p.reason, 'no reason was given') || '.'),
    case p.scope when 'all' then 'select legwork.resume_all();' when 'queue' then format('select legwork.resume_queue(%L);', p.name)
      else format('select legwork.resume_task(%L);', p.name) end
  from legwork_private.pauses p
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

create or replace function legwork_private.explain_gates(job_id bigint) returns table (reason text, detail text, fix text)
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
      case when w.held is null then format(' It is number %s in line.', (
        select count(*) + 1 from legwork_private.waiting_jobs o
        where o.line = w.line and o.held is null and (o.priority, o.run_at, o.job_id) < (w.priority, w.run_at, w.job_id))) end,
      ' The next job can start at ' || to_char(s.next_at, 'HH24:MI:SS') || '.'),
    format('Wait, or raise the limit: select legwork.limit_%s(%s%s, %s => %L%s);', l.kind, 2 * l.max_count,
      case when l.kind = 'rate' then format(', %L', l.per) else '' end, l.scope, l.name,
      case when l.key <> '{}' then format(', key => %L', array_to_string(l.key, '.')) else '' end)
  from legwork_private.waiting_jobs w
  cross join lateral unnest(w.gates) with ordinality as g (gate, n)
  join legwork_private.limits l on l.id = legwork_private.gate_limit(g.gate)
  cross join lateral (
    select count(*) as jobs, min(x.free_at) as next_at,
      -- A session that is confined to a tenant learns the number of jobs, not their ids.
      case when legwork_private.confined_tenant() is null then array_to_string((array_agg(x.job_id order by x.job_id))[1:5], ', ') end as some
    from legwork_private.slots x where x.gate = g.gate and (x.free_at is null or x.free_at > clock_timestamp())
  ) s
  where w.job_id = explain_gates.job_id and s.jobs >= l.max_count
  order by g.n
$$;
comment on function legwork_private.explain_gates(bigint) is 'The limits that hold back a waiting job, with the jobs that have taken their slots.';
