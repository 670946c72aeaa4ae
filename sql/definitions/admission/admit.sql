-- Limits and pauses: which jobs are ready to run. The database decides, so that the decision applies to every worker.
--
-- A job whose queue or task is paused or limited enters the waiting room when it is created: graphile-worker's row gets the run_at
-- 'infinity', so that no worker fetches it and job keys still work, and legwork_private.waiting_jobs stores its actual run_at. A job
-- passes every gate of its limits (a limit and a key) by taking a slot at each. A slot belongs to the job, not to a worker,
-- so that a crash cannot leak it.
--
-- Why limits are exact: slots are granted only in legwork_private.admit_waiting(), under one advisory lock (legwork_private.admission_lock()),
-- by a statement that begins after the lock was acquired and so sees every slot that was ever granted. Releasing slots needs no lock: if a release
-- is not visible yet, a job only waits a moment longer.
-- Why no session waits for a long time: a deferred trigger takes the lock at the end of a transaction, never in its middle, and the session that
-- holds it skips rows that other sessions have locked. So a transaction that stays open for an hour delays no other session.
-- Why no job is forgotten: every event that may let a job start (a released slot, a new job, a changed limit) adds a row to
-- legwork_private.wakeups in its own transaction, and the row is deleted only when it has been processed. legwork.tick() processes the remaining
-- rows.
-- Locks: SHARE ROW EXCLUSIVE on graphile-worker's jobs while the triggers are created.

comment on table legwork_private.limits is 'Concurrency and rate limits of queues and tasks. Change them with limit_concurrency, limit_rate and drop_limit.';
comment on column legwork_private.limits.id is 'The limit''s id, which its gates contain.';
comment on column legwork_private.limits.scope is 'queue or task.';
comment on column legwork_private.limits.name is 'The queue or the task.';
comment on column legwork_private.limits.kind is 'concurrency: jobs that run at a time; rate: jobs that start within any period of the length per.';
comment on column legwork_private.limits.key is 'The path of the key in the payload; the limit applies to each value separately. Empty for a single limit on all jobs.';
comment on column legwork_private.limits.max_count is 'The maximum number of jobs. Null if an operator has removed a limit that the task''s definition declares.';
comment on column legwork_private.limits.per is 'The length of a rate limit''s window. Null for a concurrency limit.';
comment on column legwork_private.limits.declared_max is 'The maximum from the task''s definition. Null if the limit was set manually.';
comment on column legwork_private.limits.declared_per is 'The window from the task''s definition.';
comment on column legwork_private.limits.is_overridden is 'Whether an operator has changed the limit from the definition. Starting workers do not change such a limit.';
comment on table legwork_private.admission_passes is 'One row: the secret by which the trigger on changed jobs recognizes changes made by admission itself.';
comment on column legwork_private.admission_passes.pass is 'The secret.';

create or replace function legwork_private.admit_lines(freed text[], at timestamptz, out granted integer, out more text[], out short uuid[])
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  with free_slots as materialized (
    -- There is no condition here, because a condition on the computed value would compute it twice.
    select r.gate, r.free from legwork_private.free_slots(freed, at) r
  ), lines as (
    select r.gate, r.free, l.line, l.turn, count(*) over (partition by r.gate) as lines
    from free_slots r
    cross join lateral (
      select x.line, x.turn from legwork_private.lines x where x.waits_at = r.gate order by x.turn limit greatest(r.free, 0)
    ) l
    where r.free > 0
  ), asked as materialized (
    select l.gate, l.free, l.line, l.turn, l.lines, (l.free + l.lines - 1) / l.lines as wanted from lines l
  ), heads as materialized (
    -- Jobs that are locked, by a transaction that changes or removes them, are skipped: that transaction adds another wakeup. A session that
    -- changes a job's row in the waiting room has locked the job's row here first, so deleting there never waits.
    select a.gate, a.free, a.line, a.turn, h.job_id, h.run_at,
      row_number() over (partition by a.line order by h.priority, h.run_at, h.job_id) as place
    from asked a
    cross join lateral (
      select w.job_id, w.run_at, w.priority
      from legwork_private.waiting_jobs w
      join legwork_private.graphile_jobs j on j.id = w.job_id
      where w.line = a.line and w.held is null and j.locked_at is null
      order by w.priority, w.run_at, w.job_id
      limit a.wanted
      for update of j skip locked
    ) h
  ), granted as materialized (
    -- Lines take turns: first the first job of every line, then the second.
    select x.gate, x.line, x.job_id, x.run_at
    from (select h.*, row_number() over (partition by h.gate order by h.place, h.turn) as rank from heads h) x
    where x.rank <= x.free
  ), batch as materialized (
    select array_agg(g.job_id) as job_ids, array_agg(g.run_at) as run_ats from granted g
  ), gone as (
    delete from legwork_private.waiting_jobs w where w.job_id = any ((select b.job_ids from batch b)::bigint[])
  ), given as (
    insert into legwork_private.slots (gate, job_id, per)
    select g.gate, g.job_id, l.per
    from granted g
    left join legwork_private.limits l on l.id = legwork_private.gate_limit(g.gate)
  ), started as (
    update legwork_private.graphile_jobs j set run_at = g.run_at
    from batch b cross join lateral unnest(b.job_ids, b.run_ats) as g (job_id, run_at)
    where j.id = g.job_id
  ), turned as (
    update legwork_private.lines l set turn = nextval('legwork_private.line_turns')
    from asked a
    where l.line = a.line and a.line in (select g.line from granted g)
      and (a.lines > 1 or exists (select from legwork_private.lines o where o.waits_at = a.gate and o.line <> a.line))
  ), counts as materialized (
    select a.gate, a.line, a.free, a.wanted, count(h.job_id) as found
    from asked a left join heads h on h.line = a.line
    group by a.gate, a.line, a.free, a.wanted
  )
  select (select count(*) from granted),
    array(select c.gate from counts c group by c.gate, c.free having bool_or(c.found = c.wanted) and sum(c.found) < c.free),
    array(select c.line from counts c where c.found < c.wanted)
  into granted, more, short;
end $$;
comment on function legwork_private.admit_lines(text[], timestamptz) is
  'Lets jobs whose only gate is one of these start as long as slots are free. Returns the number of these jobs, the gates that may admit more jobs, and the lines that had fewer jobs than requested.';
revoke execute on function legwork_private.admit_lines(text[], timestamptz) from public;

create or replace function legwork_private.admit_crossing(lines uuid[], freed text[], at timestamptz, out granted integer, out open uuid[], out filled text[])
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_looked uuid[];
  v_served uuid[];
begin
  with candidates as materialized (
    select l.line, l.gates, l.turn from legwork_private.lines l where l.line = any (lines)
    union
    select l.line, l.gates, l.turn
    from legwork_private.free_slots(freed, at) r
    cross join lateral (
      select x.line, x.gates, x.turn from legwork_private.lines x where x.waits_at = r.gate order by x.turn limit greatest(r.free, 0)
    ) l
  ), crossed as materialized (
    select c.line, g.gate from candidates c cross join lateral unnest(c.gates) as g (gate)
  ), free_slots as materialized (
    select r.gate, r.free from legwork_private.free_slots(array(select distinct x.gate from crossed x), at) r
  ), asked as materialized (
    select c.line, c.gates, c.turn, m.free, count(*) over () as lines
    from candidates c
    join (select x.line, min(r.free) as free from crossed x join free_slots r on r.gate = x.gate group by x.line) m on m.line = c.line
    where m.free > 0
  ), heads as materialized (
    -- Locked rows are skipped, as in admit_lines.
    select a.line, a.gates, a.turn, h.job_id, h.run_at,
      row_number() over (partition by a.line order by h.priority, h.run_at, h.job_id) as place
    from asked a
    cross join lateral (
      select w.job_id, w.run_at, w.priority
      from legwork_private.waiting_jobs w
      join legwork_private.graphile_jobs j on j.id = w.job_id
      where w.line = a.line and w.held is null and j.locked_at is null
      order by w.priority, w.run_at, w.job_id
      limit (a.free + a.lines - 1) / a.lines
      for update of j skip locked
    ) h
  ), ranks as (
    -- A job may start if it is within the free slots of each of its gates.
    select h.job_id, row_number() over (partition by g.gate order by h.place, h.turn) <= r.free as fits
    from heads h
    cross join lateral unnest(h.gates) as g (gate)
    join free_slots r on r.gate = g.gate
  ), granted as materialized (
    select h.job_id, h.line, h.gates, h.run_at
    from heads h
    where h.job_id in (select r.job_id from ranks r group by r.job_id having bool_and(r.fits))
  ), batch as materialized (
    select array_agg(g.job_id) as job_ids, array_agg(g.run_at) as run_ats from granted g
  ), gone as (
    delete from legwork_private.waiting_jobs w where w.job_id = any ((select b.job_ids from batch b)::bigint[])
  ), given as (
    insert into legwork_private.slots (gate, job_id, per)
    select x.gate, g.job_id, l.per
    from granted g
    cross join lateral unnest(g.gates) as x (gate)
    left join legwork_private.limits l on l.id = legwork_private.gate_limit(x.gate)
  ), started as (
    update legwork_private.graphile_jobs j set run_at = g.run_at
    from batch b cross join lateral unnest(b.job_ids, b.run_ats) as g (job_id, run_at)
    where j.id = g.job_id
  )
  select array(select c.line from candidates c), array(select distinct g.line from granted g), (select count(*) from granted)
  into v_looked, v_served, granted;

  -- Each line that was checked waits at a full gate from now on. A line without jobs is deleted. A line that was served moves to the
  -- end of the lines at its gate.
  with looked as materialized (
    select l.line, l.gates, exists (select from legwork_private.waiting_jobs w where w.line = l.line and w.held is null) as has_jobs
    from legwork_private.lines l where l.line = any (v_looked)
  ), crossed as materialized (
    select k.line, g.gate, g.n from looked k cross join lateral unnest(k.gates) with ordinality as g (gate, n) where k.has_jobs
  ), free_slots as materialized (
    select r.gate, r.free from legwork_private.free_slots(array(select distinct x.gate from crossed x), at) r
  ), placed as materialized (
    select k.line, k.has_jobs, f.gate as full_gate
    from looked k
    left join (
      select distinct on (x.line) x.line, x.gate from crossed x join free_slots r on r.gate = x.gate where r.free <= 0 order by x.line, x.n
    ) f on f.line = k.line
  ), emptied as (
    delete from legwork_private.lines l using placed p where l.line = p.line and not p.has_jobs
  ), moved as (
    update legwork_private.lines l set waits_at = coalesce(p.full_gate, l.waits_at),
      turn = case when l.line = any (v_served) then nextval('legwork_private.line_turns') else l.turn end
    from placed p
    where l.line = p.line and p.has_jobs
  )
  select array(select p.line from placed p where p.has_jobs and p.full_gate is null), array(select distinct p.full_gate from placed p where p.full_gate is not null)
  into open, filled;
end $$;
comment on function legwork_private.admit_crossing(uuid[], text[], timestamptz) is
  'Like legwork_private.admit_lines, but for jobs with several gates, which need a free slot at each gate. Checks these lines and those that wait at these gates, and records for each line a full gate at which it waits. '
  'Returns how many jobs are ready to run, the lines that may move again, and the gates that are full.';
revoke execute on function legwork_private.admit_crossing(uuid[], text[], timestamptz) from public;

create or replace function legwork_private.admit_waiting(at_most integer default 1000) returns integer
language plpgsql volatile security definer
-- Always uses indexes, because the tables are small and change all the time, so that statistics are of little use.
set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  v_now timestamptz := clock_timestamp();
  v_freed text[];
  v_lines uuid[];
  v_gates text[];
  v_crossing text[] := '{}';
  v_rates boolean := exists (select from legwork_private.limits l where l.kind = 'rate');
  v_round record;
  v_total integer := 0;
  v_unblocked integer := 0;
begin
  -- 1. Jobs whose dependencies have ended. They come first, because they may join a line now.
  if exists (select from legwork_private.wakeups w where w.unblocked is not null) then
    v_unblocked := legwork_private.settle_dependants();
  end if;

  -- 2. The gates and lines that the wakeups name.
  with taken as (
    delete from legwork_private.wakeups w
    where w.id in (select x.id from legwork_private.wakeups x where x.unblocked is null order by x.id limit at_most)
    returning w.freed, w.line, w.gates
  ), arrived as (
    insert into legwork_private.lines (line, gates, waits_at, turn)
    select t.line, t.gates, t.gates[1], nextval('legwork_private.line_turns')
    from (select distinct on (t.line) t.line, t.gates from taken t where t.line is not null and t.gates <> '{}') t
    on conflict (line) do nothing
  )
  select array(select distinct f from taken t, unnest(t.freed) f union select distinct t.gates[1] from taken t where cardinality(t.gates) = 1),
    array(select distinct t.line from taken t where cardinality(t.gates) > 1)
  into v_gates, v_lines;
  if v_gates = '{}' and v_lines = '{}' then
    return v_unblocked;
  end if;

  -- 3. Free slots of rate limits are deleted, and gates used by lines with several gates are determined.
  if v_rates then
    delete from legwork_private.slots s
    where s.ctid = any (array(
      select x.ctid from legwork_private.slots x where x.gate = any (v_gates) and x.free_at <= v_now for update skip locked));
  end if;
  v_freed := v_gates;
  if v_lines <> '{}' or exists (select from legwork_private.lines l where cardinality(l.gates) > 1) then
    v_crossing := array(
      select g from unnest(v_gates) g
      where exists (select from legwork_private.lines l where l.waits_at = g and cardinality(l.gates) > 1)
        or exists (select from legwork_private.lines l where l.line = any (v_lines) and g = any (l.gates)));
    v_gates := array(select g from unnest(v_gates) g where g <> all (v_crossing));
  end if;

  -- 4. Lines with one gate, then those with several. The trigger _legwork_record_change ignores these changes.
  perform set_config('legwork.admitting', legwork_private.admission_pass(), true);
  -- In rounds, because a line that turns out to be short leaves slots for the others. Gates that are left after the last round get another
  -- wakeup.
  for v_n in 1..20 loop
    exit when v_gates = '{}';
    v_round := legwork_private.admit_lines(v_gates, v_now);
    v_total := v_total + v_round.granted;
    v_gates := v_round.more;
    if v_round.short <> '{}' then
      delete from legwork_private.lines l
      where l.line = any (v_round.short) and not exists (select from legwork_private.waiting_jobs w where w.line = l.line and w.held is null);
      -- Another session has locked a job of the line, and its transaction might not change anything.
      insert into legwork_private.wakeups (line, gates) select l.line, l.gates from legwork_private.lines l where l.line = any (v_round.short);
    end if;
  end loop;
  for v_n in 1..20 loop
    exit when v_lines = '{}' and v_crossing = '{}';
    v_round := legwork_private.admit_crossing(v_lines, v_crossing, v_now);
    v_total := v_total + v_round.granted;
    v_lines := v_round.open;
    v_freed := v_freed || v_round.filled;
    -- A line that has moved to another gate may have left slots for the lines behind it.
    v_crossing := array(
      select r.gate from legwork_private.free_slots(v_crossing, v_now) r
      where r.free > 0 and exists (select from legwork_private.lines l where l.waits_at = r.gate and l.line <> all (v_lines)));
    exit when v_round.granted = 0 and v_crossing = '{}';
  end loop;
  perform set_config('legwork.admitting', '', true);

  -- 5. Remaining gates and lines are checked again later, and rate limits when their next slot becomes free.
  if v_gates <> '{}' or v_crossing <> '{}' then
    insert into legwork_private.wakeups (freed) values (v_gates || v_crossing);
  end if;
  insert into legwork_private.wakeups (line, gates) select l.line, l.gates from legwork_private.lines l where l.line = any (v_lines);
  if v_rates then
    -- A rate limit's gate opens as time passes.
    insert into legwork_private.gate_alarms as a (gate, ring_at)
    select g.gate, min(s.free_at)
    from (select distinct unnest(v_freed) as gate) g
    join legwork_private.limits l on l.id = legwork_private.gate_limit(g.gate) and l.kind = 'rate'
    join legwork_private.slots s on s.gate = g.gate and s.free_at is not null
    where exists (select from legwork_private.lines x where x.waits_at = g.gate)
    group by g.gate
    on conflict (gate) do update set ring_at = excluded.ring_at;
  end if;
  if v_total > 0 then
    perform legwork_private.wake_workers(v_total);
  end if;
  return v_total + v_unblocked;
end $$;
comment on function legwork_private.admit_waiting(integer) is
  'Lets waiting jobs start if slots are free, processing at most at_most wakeups. The caller must hold the advisory lock '
  'legwork_private.admission_lock() in a read committed transaction. Returns how many jobs are now ready to run.';
revoke execute on function legwork_private.admit_waiting(integer) from public;

create or replace function legwork_private.tg_jobs__admit() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_ids bigint[];
begin
  if not legwork_private.has_limits_or_pauses() then
    return null;
  end if;
  select array_agg(f.id) into v_ids
  from fresh f
  where f.task_id in (select r.task_id from legwork_private.task_limits r where r.is_paused or r.limits <> '{}');
  if v_ids is not null then
    perform legwork_private.send_to_waiting_room(v_ids);
  end if;
  return null;
end $$;
comment on function legwork_private.tg_jobs__admit() is 'Sends new jobs whose task is limited or paused to the waiting room.';
revoke execute on function legwork_private.tg_jobs__admit() from public;
