comment on table legwork_private.slots is 'The slots that jobs have taken: a row per job and gate, from when the job is admitted until another job can take its place.';
comment on column legwork_private.slots.gate is 'The gate.';
comment on column legwork_private.slots.job_id is 'The job.';
comment on column legwork_private.slots.per is 'The window of a rate limit. Null for a concurrency limit, whose slots are released when the attempt ends.';
comment on column legwork_private.slots.free_at is 'When a rate limit''s slot becomes free: one window after its job started. Null until the start is known.';
comment on table legwork_private.lines is 'The lines of waiting jobs. Each waits at one gate, which was full when the line was last checked.';
comment on column legwork_private.lines.line is 'The line''s id, as in legwork_private.waiting_jobs.';
comment on column legwork_private.lines.gates is 'The gates that its jobs have to pass.';
comment on column legwork_private.lines.waits_at is 'The gate at which the line waits for a free slot.';
comment on column legwork_private.lines.turn is 'Lines at a gate take turns; the smallest is next.';
comment on sequence legwork_private.line_turns is 'The turns of legwork_private.lines.';
comment on table legwork_private.gate_alarms is 'When to check a gate again, because a slot of its rate limit becomes free as time passes.';
comment on column legwork_private.gate_alarms.gate is 'The gate.';
comment on column legwork_private.gate_alarms.ring_at is 'When to check it.';

create or replace function legwork_private.admission_lock() returns bigint
language sql immutable parallel safe
-- The bytes of "legwork", so that other applications do not use the same key by chance.
return x'6c6567776f726b'::bigint;
comment on function legwork_private.admission_lock() is 'The key of the advisory lock under which slots are granted.';

create or replace function legwork_private.admission_pass() returns text
language sql stable
return (select p.pass from legwork_private.admission_passes p limit 1);
comment on function legwork_private.admission_pass() is
  'The value of the setting legwork.admitting while jobs are admitted. It is secret, because any client that enqueues can change settings, and must not bypass limits that way.';
revoke execute on function legwork_private.admission_pass() from public;

create or replace function legwork_private.gate_value(key text[], payload json) returns text
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_payload json := legwork_private.readable_json(payload);
  v_value text;
begin
  if v_payload is null then
    return md5(payload::text);
  end if;
  v_value := v_payload #>> key;
  return case when length(v_value) > 200 then md5(v_value) else coalesce(v_value, '') end;
end $$;
comment on function legwork_private.gate_value(text[], json) is
  'The value for legwork_private.gate from a payload that Postgres may be unable to read. For a payload of more than 1,000 levels, the hash of the whole payload.';

create or replace function legwork_private.gate(limit_id integer, key text[], payload json) returns text
language sql immutable parallel safe
-- The cast makes it immutable, so that it is inlined.
return limit_id::text || ':' || case
  when key = '{}' then ''
  -- This must not raise an error: a single payload would then block the jobs next to it, changes of its limit, and starting workers.
  when strpos(payload::text, '\u') > 0 or octet_length(payload::text) >= 2000 then legwork_private.gate_value(key, payload)
  when length(payload #>> key) > 200 then md5(payload #>> key)
  else coalesce(payload #>> key, '')
end;
comment on function legwork_private.gate(integer, text[], json) is
  'The gate of a limit that a job with this payload has to pass: 7:acme. A value of more than 200 characters is replaced by its hash, and a missing value by an empty one. '
  'Never raises an error.';

create or replace function legwork_private.gate_limit(gate text) returns integer
language sql immutable parallel safe
return split_part(gate, ':', 1)::integer;
comment on function legwork_private.gate_limit(text) is 'The id of the limit that a gate belongs to: 7 for 7:acme.';

create or replace function legwork_private.gate_key(gate text) returns text
language sql immutable parallel safe
return substr(gate, strpos(gate, ':') + 1);
comment on function legwork_private.gate_key(text) is 'The value of the limit''s key at a gate: acme for 7:acme. Empty for a limit without a key.';

create or replace function legwork_private.line_of(gates text[], tenant text) returns uuid
language sql immutable parallel safe
return md5(gates::text || coalesce(' ' || tenant, ''))::uuid;
comment on function legwork_private.line_of(text[], text) is 'The id of the line for jobs with these gates and this tenant.';

create or replace function legwork_private.has_limits_or_pauses() returns boolean
language sql stable
return exists (select from legwork_private.limits) or exists (select from legwork_private.pauses);
comment on function legwork_private.has_limits_or_pauses() is 'Whether there are any limits or pauses. Without them, admission costs nothing.';

create or replace function legwork_private.free_slots(gates text[], at timestamptz) returns table (gate text, free integer)
language sql stable
as $$
  select g.gate, coalesce((select l.max_count from legwork_private.limits l where l.id = legwork_private.gate_limit(g.gate)), 1000000) - (
    select count(*)::integer from legwork_private.slots s where s.gate = g.gate and (s.free_at is null or s.free_at > at))
  from unnest(gates) as g (gate)
$$;
comment on function legwork_private.free_slots(text[], timestamptz) is 'How many more jobs may pass each gate now. Negative after a limit was lowered.';

create or replace function legwork_private.rate_margin() returns interval
language sql immutable parallel safe
return interval '10 milliseconds';
comment on function legwork_private.rate_margin() is 'The margin added to every window of a rate limit, because workers know the database''s clock only to within a few milliseconds.';

create or replace function legwork_private.rate_window(gate text, per interval) returns interval
language sql stable
return coalesce((select l.per from legwork_private.limits l where l.id = legwork_private.gate_limit(rate_window.gate)), rate_window.per);
comment on function legwork_private.rate_window(text, interval) is
  'The current window of a rate limit''s slot, or its original one if the limit was removed. It is looked up instead of being updated in '
  'every slot, because jobs with such a slot could not end while a transaction that changes the window is open.';

create or replace function legwork_private.release_slots(job_ids bigint[], starts timestamptz[]) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  v_freed text[];
  v_used text[];
begin
  with ended as (
    delete from legwork_private.slots s where s.job_id = any (job_ids) and s.per is null returning s.gate
  )
  select array_agg(distinct e.gate) into v_freed from ended e;
  if exists (select from legwork_private.limits l where l.kind = 'rate') then
    with used as (
      update legwork_private.slots s set free_at = legwork_private.later(coalesce(j.started_at, clock_timestamp()), legwork_private.rate_window(s.gate, s.per)) + legwork_private.rate_margin()
      from unnest(job_ids, starts) as j (id, started_at)
      where s.job_id = j.id and s.per is not null and s.free_at is null
      returning s.gate
    )
    select array_agg(distinct u.gate) into v_used from used u;
  end if;
  if v_freed is not null or v_used is not null then
    insert into legwork_private.wakeups (freed, at_commit) values (coalesce(v_freed, '{}') || coalesce(v_used, '{}'), 'wait');
  end if;
end $$;
comment on function legwork_private.release_slots(bigint[], timestamptz[]) is
  'Releases the slots of jobs whose attempt has ended: immediately for a concurrency limit, and for a rate limit one window after '
  'the attempt started, or after now if the start is not known.';
