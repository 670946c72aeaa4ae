-- Limits and pauses: which jobs may start now. Decided by the database, so that it holds for every worker.
--
-- A job whose queue or task is paused or limited goes to the waiting room as it is made: graphile-worker's row gets the run_at
-- 'infinity', which no worker fetches and which leaves job keys working, and legwork.waiting_jobs keeps its true run_at. A job
-- passes every gate of its limits (a limit and a key) by taking a slot at each. A slot belongs to the job and not to a worker,
-- so no crash can leak one.
--
-- Why limits are exact: slots are given in legwork.admit_waiting() only, under one advisory lock (legwork.admission_lock()),
-- by a statement that begins after the lock was got and so sees every slot that was ever given. Giving slots back needs no lock: not
-- seeing it yet only means waiting a moment longer.
-- Why nobody waits for long: the lock is taken at the end of a transaction, by a deferred trigger, never in its middle; who holds
-- it steps over rows that others have locked. So a transaction that stays open for an hour holds up nobody.
-- Why nothing is forgotten: whatever may let a job start (a slot given back, a new job, a changed rule) leaves a row in
-- legwork.wakeups in its own transaction, which goes only when it has been looked at. legwork.tick() looks again.
-- Locks: SHARE ROW EXCLUSIVE on graphile_worker._private_jobs while the triggers are made.

create table legwork.limits (
  id integer generated always as identity primary key,
  scope text not null check (scope in ('queue', 'task')),
  name text not null,
  kind text not null check (kind in ('concurrency', 'rate')),
  key text[] not null default '{}',
  max_count integer check (max_count >= 1),
  per interval check (per > interval '0'),
  declared_max integer,
  declared_per interval,
  is_overridden boolean not null default false,
  unique (scope, name, kind, key)
);
comment on table legwork.limits is 'Concurrency and rate limits of queues and tasks. Change them with limit_concurrency, limit_rate and drop_limit.';
comment on column legwork.limits.id is 'Names the limit''s gates.';
comment on column legwork.limits.scope is 'queue or task: what is limited.';
comment on column legwork.limits.name is 'The queue or the task.';
comment on column legwork.limits.kind is 'concurrency: jobs that run at a time; rate: jobs that start within any span of the length per.';
comment on column legwork.limits.key is 'Where in the payload the key is; each key has the limit for itself. Empty: one limit for all.';
comment on column legwork.limits.max_count is 'How many; null when somebody has lifted a limit that the task''s definition declares.';
comment on column legwork.limits.per is 'The length of a rate limit''s window; null for concurrency.';
comment on column legwork.limits.declared_max is 'What the task''s definition says; null when the limit was made by hand.';
comment on column legwork.limits.declared_per is 'What the task''s definition says of the window.';
comment on column legwork.limits.is_overridden is 'Whether somebody has changed what the definition declares; starting workers leave such a limit alone.';
alter table legwork.limits enable row level security;

create table legwork.pauses (
  scope text not null check (scope in ('all', 'queue', 'task')),
  name text not null,
  reason text,
  paused_by text not null default session_user,
  paused_at timestamptz not null default clock_timestamp(),
  primary key (scope, name)
);
comment on table legwork.pauses is 'What is paused: queues, tasks, or everything. Change it with pause_queue, resume_queue and their like.';
comment on column legwork.pauses.scope is 'all, queue or task.';
comment on column legwork.pauses.name is 'The queue or the task; empty for all.';
comment on column legwork.pauses.reason is 'Why, in the words of who paused it.';
comment on column legwork.pauses.paused_by is 'Who paused it: the database role, or whom the server acted for.';
comment on column legwork.pauses.paused_at is 'Since when.';
alter table legwork.pauses enable row level security;

create table legwork.waiting_jobs (
  job_id bigint primary key,
  task_id integer not null,
  lane uuid not null,
  gates text[] not null,
  priority smallint not null,
  run_at timestamptz not null,
  held text check (held in ('paused', 'run_at', 'dependency')),
  delay interval
);
comment on table legwork.waiting_jobs is 'The waiting room: jobs that may not start yet. In graphile-worker''s table their run_at is infinity.';
comment on column legwork.waiting_jobs.job_id is 'The job.';
comment on column legwork.waiting_jobs.task_id is 'graphile-worker''s id of its task.';
comment on column legwork.waiting_jobs.lane is 'Jobs with the same gates and tenant stand in one line, by priority, run_at and id. Lines take turns.';
comment on column legwork.waiting_jobs.gates is 'The gates it has to pass, each a limit and a key: 7:acme.';
comment on column legwork.waiting_jobs.priority is 'As the job''s.';
comment on column legwork.waiting_jobs.run_at is 'When it may start at the earliest.';
comment on column legwork.waiting_jobs.held is 'Why it does not even stand in line: paused, run_at is ahead, or a dependency is open (legwork.dependencies). Null while it stands in line.';
comment on column legwork.waiting_jobs.delay is 'How long after its last dependency has ended it may start; null for at once.';
alter table legwork.waiting_jobs enable row level security;
create index waiting_jobs_lane on legwork.waiting_jobs (lane, priority, run_at, job_id) where held is null;
create index waiting_jobs_due on legwork.waiting_jobs (run_at) where held = 'run_at';

create table legwork.slots (
  gate text not null,
  job_id bigint not null,
  per interval,
  free_at timestamptz
);
comment on table legwork.slots is 'Who has passed which gate: a row per job and gate, from when it may start until another may in its place.';
comment on column legwork.slots.gate is 'The gate.';
comment on column legwork.slots.job_id is 'The job.';
comment on column legwork.slots.per is 'The window of a rate limit; null for concurrency, whose slots go when the attempt ends.';
comment on column legwork.slots.free_at is 'When a rate limit''s slot becomes free: a window after its job is known to have started. Null until then.';
alter table legwork.slots enable row level security;
alter table legwork.slots replica identity full;
create index slots_gate on legwork.slots (gate);
create index slots_job_id on legwork.slots (job_id);

create table legwork.lanes (
  lane uuid primary key,
  gates text[] not null,
  waits_at text not null,
  turn bigint not null
);
comment on table legwork.lanes is 'Lines of waiting jobs, each noted at one gate that was full when it was looked at last.';
comment on column legwork.lanes.lane is 'As in legwork.waiting_jobs.';
comment on column legwork.lanes.gates is 'The gates its jobs have to pass.';
comment on column legwork.lanes.waits_at is 'The gate whose next free slot lets it move.';
comment on column legwork.lanes.turn is 'Lines at a gate take turns, smallest first.';
alter table legwork.lanes enable row level security;
create index lanes_waits_at on legwork.lanes (waits_at, turn);
-- Whether there are any: where every job has one gate, letting them go is simpler.
create index lanes_many on legwork.lanes (waits_at) where cardinality(gates) > 1;
create sequence legwork.lane_turns;
comment on sequence legwork.lane_turns is 'The turns of legwork.lanes.';

create table legwork.wakeups (
  id bigint generated always as identity primary key,
  freed text[],
  lane uuid,
  gates text[],
  at_commit text check (at_commit in ('wait', 'try')),
  unblocked bigint[],
  advanced bigint[]
);
comment on table legwork.wakeups is 'What may let a job start and has not been looked at: a gate with a free slot, a line with a new job, or a dependency that has ended.';
comment on column legwork.wakeups.id is 'In the order they came.';
comment on column legwork.wakeups.freed is 'Gates that may have room.';
comment on column legwork.wakeups.lane is 'The line that may move.';
comment on column legwork.wakeups.gates is 'The gates of that line.';
comment on column legwork.wakeups.at_commit is 'Has it looked at when its transaction commits: wait for the lock, or only try. Null: with another row of the transaction.';
comment on column legwork.wakeups.unblocked is 'Jobs of which a dependency has ended; such a row has nothing else but advanced.';
comment on column legwork.wakeups.advanced is 'Workflows and batches of which a job has ended.';
alter table legwork.wakeups enable row level security;
create index wakeups_unblocked on legwork.wakeups (id) where unblocked is not null;

create table legwork.gate_alarms (
  gate text primary key,
  ring_at timestamptz not null
);
comment on table legwork.gate_alarms is 'When to look at a gate again because a rate limit''s slot becomes free by itself.';
comment on column legwork.gate_alarms.gate is 'The gate.';
comment on column legwork.gate_alarms.ring_at is 'When.';
alter table legwork.gate_alarms enable row level security;
create index gate_alarms_ring_at on legwork.gate_alarms (ring_at);

create function legwork.admission_lock() returns bigint
language sql immutable parallel safe
-- The bytes of "legwork", so that nobody else hits it by chance.
return x'6c6567776f726b'::bigint;
comment on function legwork.admission_lock() is 'The key of the advisory lock under which slots are given.';

create table legwork.admission_passes (
  pass text primary key default gen_random_uuid()::text
);
comment on table legwork.admission_passes is 'One row: the secret by which the trigger on changed jobs knows changes that admission itself makes.';
comment on column legwork.admission_passes.pass is 'The secret.';
alter table legwork.admission_passes enable row level security;
insert into legwork.admission_passes default values;

create function legwork.admission_pass() returns text
language sql stable
return (select p.pass from legwork.admission_passes p limit 1);
comment on function legwork.admission_pass() is
  'What the setting legwork.admitting is while jobs are admitted. A secret, because whoever enqueues may make settings, and a job must not pass its limits by that.';
revoke execute on function legwork.admission_pass() from public;

create function legwork.gate_value(key text[], payload json) returns text
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_payload json := legwork.readable_json(payload);
  v_value text;
begin
  if v_payload is null then
    return md5(payload::text);
  end if;
  v_value := v_payload #>> key;
  return case when length(v_value) > 200 then md5(v_value) else coalesce(v_value, '') end;
end $$;
comment on function legwork.gate_value(text[], json) is
  'What legwork.gate has of a payload that may be one that Postgres cannot read. Of one with more than 1,000 levels it is the hash of all of it.';

create function legwork.gate(limit_id integer, key text[], payload json) returns text
language sql immutable parallel safe
-- The cast makes it immutable, so that it is inlined.
return limit_id::text || ':' || case
  when key = '{}' then ''
  -- Nothing here may raise, or one payload would keep its neighbours, its limit and starting workers from going on.
  when strpos(payload::text, '\u') > 0 or octet_length(payload::text) >= 2000 then legwork.gate_value(key, payload)
  when length(payload #>> key) > 200 then md5(payload #>> key)
  else coalesce(payload #>> key, '')
end;
comment on function legwork.gate(integer, text[], json) is
  'The gate of a limit that a payload has to pass: 7:acme. A value of more than 200 characters counts by its hash; a payload that has no value there, by the empty one. '
  'No payload makes it raise an error.';

create function legwork.lane(gates text[], tenant text) returns uuid
language sql immutable parallel safe
return md5(gates::text || coalesce(' ' || tenant, ''))::uuid;
comment on function legwork.lane(text[], text) is 'The line in which jobs of these gates and this tenant stand.';

create view legwork.task_rules as
select
  t.id as task_id, t.identifier as task, coalesce(d.queue, 'default') as queue,
  exists (
    select from legwork.pauses p
    where p.scope = 'all' or (p.scope = 'queue' and p.name = coalesce(d.queue, 'default')) or (p.scope = 'task' and p.name = t.identifier)
  ) as is_paused,
  array(
    select l.id from legwork.limits l
    where l.max_count is not null
      and (l.scope = 'queue' and l.name = coalesce(d.queue, 'default') or l.scope = 'task' and l.name = t.identifier)
    order by l.id
  ) as limits
from graphile_worker._private_tasks t
left join legwork.task_definitions d on d.name = t.identifier;
comment on view legwork.task_rules is 'For every task its queue, whether it is paused and the limits that it has to keep.';
comment on column legwork.task_rules.task_id is 'graphile-worker''s id of the task.';
comment on column legwork.task_rules.task is 'The task.';
comment on column legwork.task_rules.queue is 'Its queue.';
comment on column legwork.task_rules.is_paused is 'Whether it, its queue or everything is paused.';
comment on column legwork.task_rules.limits is 'The limits its jobs have to keep, its queue''s among them.';

create function legwork.has_rules() returns boolean
language sql stable
return exists (select from legwork.limits) or exists (select from legwork.pauses);
comment on function legwork.has_rules() is 'Whether anything at all is limited or paused. Where nothing is, nothing of this costs anything.';

create function legwork.make_wait(job_ids bigint[], at_commit text default 'try') returns integer
language plpgsql volatile set search_path = pg_catalog, pg_temp
-- One plan for one job and for many, which takes each by its id, whatever its caller prefers.
set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off set enable_nestloop = on as $$
declare
  v_count integer;
begin
  with rules as materialized (
    select r.* from legwork.task_rules r where r.is_paused or r.limits <> '{}'
  ), entering as materialized (
    select
      j.id, j.task_id, j.priority, j.run_at, r.is_paused,
      array(select legwork.gate(l.id, l.key, j.payload) from legwork.limits l where l.id = any (r.limits) order by l.id) as gates,
      case when j.flags is not null then legwork.flag_value(j.flags, 'tenant') end as tenant
    from graphile_worker._private_jobs j
    join rules r on r.task_id = j.task_id
    where j.id = any (job_ids) and j.locked_at is null and j.attempts < j.max_attempts
  ), waiting as (
    insert into legwork.waiting_jobs as w (job_id, task_id, lane, gates, priority, run_at, held)
    select e.id, e.task_id, legwork.lane(e.gates, e.tenant), e.gates, e.priority, e.run_at,
      case when e.is_paused then 'paused' when e.run_at > clock_timestamp() then 'run_at' end
    from entering e
    on conflict (job_id) do update set
      task_id = excluded.task_id, lane = excluded.lane, gates = excluded.gates, priority = excluded.priority,
      -- A job whose run_at is preserved has infinity there; here is the true one.
      run_at = case when excluded.run_at = 'infinity' then w.run_at else excluded.run_at end,
      held = case
        -- Only legwork.settle_dependants() ends that.
        when w.held = 'dependency' then w.held
        when excluded.held = 'paused' then 'paused'
        when case when excluded.run_at = 'infinity' then w.run_at else excluded.run_at end > clock_timestamp() then 'run_at'
      end
    returning w.job_id, w.lane, w.gates, w.held
  ), put_aside as (
    update graphile_worker._private_jobs j set run_at = 'infinity'
    from waiting w where j.id = w.job_id and j.run_at <> 'infinity'
  ), unused as (
    -- What it had been given and has not used. A rate limit's slot that was used stays until its time.
    delete from legwork.slots s using waiting w where s.job_id = w.job_id and (s.per is null or s.free_at is null)
    returning s.gate
  ), news as (
    select null::text[] as freed, w.lane, w.gates from waiting w where w.held is null group by w.lane, w.gates
    union all
    select array_agg(distinct u.gate), null::uuid, null::text[] from unused u having count(*) > 0
  ), woken as (
    insert into legwork.wakeups (freed, lane, gates, at_commit)
    select n.freed, n.lane, n.gates, case when row_number() over () = 1 then make_wait.at_commit end from news n
  )
  select count(*) into v_count from waiting;
  return v_count;
end $$;
comment on function legwork.make_wait(bigint[], text) is
  'Sends those of these jobs that a rule concerns to the waiting room, from where they are let go at once if there is room. Returns how many went.';

create function legwork.rooms(gates text[], at timestamptz) returns table (gate text, room integer)
language sql stable
as $$
  select g.gate, coalesce((select l.max_count from legwork.limits l where l.id = split_part(g.gate, ':', 1)::integer), 1000000) - (
    select count(*)::integer from legwork.slots s where s.gate = g.gate and (s.free_at is null or s.free_at > at))
  from unnest(gates) as g (gate)
$$;
comment on function legwork.rooms(text[], timestamptz) is 'How many more jobs may pass each gate now; below zero after a limit was lowered.';

create function legwork.admit_lines(freed text[], at timestamptz, out granted integer, out more text[], out short uuid[])
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  with rooms as materialized (
    -- All of them here: a condition on what is computed would compute it twice.
    select r.gate, r.room from legwork.rooms(freed, at) r
  ), lines as (
    select r.gate, r.room, l.lane, l.turn, count(*) over (partition by r.gate) as lines
    from rooms r
    cross join lateral (
      select x.lane, x.turn from legwork.lanes x where x.waits_at = r.gate order by x.turn limit greatest(r.room, 0)
    ) l
    where r.room > 0
  ), asked as materialized (
    select l.gate, l.room, l.lane, l.turn, l.lines, (l.room + l.lines - 1) / l.lines as wanted from lines l
  ), heads as materialized (
    -- Who is locked, by a transaction that changes or removes the job, is passed over: that transaction wakes us again. Whoever
    -- changes a job's row in the waiting room has locked its row here before, so deleting there never waits.
    select a.gate, a.room, a.lane, a.turn, h.job_id, h.run_at,
      row_number() over (partition by a.lane order by h.priority, h.run_at, h.job_id) as place
    from asked a
    cross join lateral (
      select w.job_id, w.run_at, w.priority
      from legwork.waiting_jobs w
      join graphile_worker._private_jobs j on j.id = w.job_id
      where w.lane = a.lane and w.held is null and j.locked_at is null
      order by w.priority, w.run_at, w.job_id
      limit a.wanted
      for update of j skip locked
    ) h
  ), granted as materialized (
    -- Lines take turns: first everybody's first, then everybody's second.
    select x.gate, x.lane, x.job_id, x.run_at
    from (select h.*, row_number() over (partition by h.gate order by h.place, h.turn) as rank from heads h) x
    where x.rank <= x.room
  ), gone as (
    delete from legwork.waiting_jobs w using granted g where w.job_id = g.job_id
  ), given as (
    insert into legwork.slots (gate, job_id, per)
    select g.gate, g.job_id, l.per
    from granted g
    left join legwork.limits l on l.id = split_part(g.gate, ':', 1)::integer
  ), started as (
    update graphile_worker._private_jobs j set run_at = g.run_at from granted g where j.id = g.job_id
  ), turned as (
    update legwork.lanes l set turn = nextval('legwork.lane_turns')
    from asked a
    where l.lane = a.lane and a.lane in (select g.lane from granted g)
      and (a.lines > 1 or exists (select from legwork.lanes o where o.waits_at = a.gate and o.lane <> a.lane))
  ), counts as materialized (
    select a.gate, a.lane, a.room, a.wanted, count(h.job_id) as found
    from asked a left join heads h on h.lane = a.lane
    group by a.gate, a.lane, a.room, a.wanted
  )
  select (select count(*) from granted),
    array(select c.gate from counts c group by c.gate, c.room having bool_or(c.found = c.wanted) and sum(c.found) < c.room),
    array(select c.lane from counts c where c.found < c.wanted)
  into granted, more, short;
end $$;
comment on function legwork.admit_lines(text[], timestamptz) is
  'Lets jobs start whose one gate is among these: as many as there is room. Returns how many, the gates where more may go, and the lines that had fewer jobs than were asked of them.';

create function legwork.admit_crossing(lanes uuid[], freed text[], at timestamptz, out granted integer, out open uuid[], out filled text[])
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_looked uuid[];
  v_served uuid[];
begin
  with candidates as materialized (
    select l.lane, l.gates, l.turn from legwork.lanes l where l.lane = any (lanes)
    union
    select l.lane, l.gates, l.turn
    from legwork.rooms(freed, at) r
    cross join lateral (
      select x.lane, x.gates, x.turn from legwork.lanes x where x.waits_at = r.gate order by x.turn limit greatest(r.room, 0)
    ) l
  ), crossed as materialized (
    select c.lane, g.gate from candidates c cross join lateral unnest(c.gates) as g (gate)
  ), rooms as materialized (
    select r.gate, r.room from legwork.rooms(array(select distinct x.gate from crossed x), at) r
  ), asked as materialized (
    select c.lane, c.gates, c.turn, m.room, count(*) over () as lines
    from candidates c
    join (select x.lane, min(r.room) as room from crossed x join rooms r on r.gate = x.gate group by x.lane) m on m.lane = c.lane
    where m.room > 0
  ), heads as materialized (
    -- Passing over locked rows as in admit_lines.
    select a.lane, a.gates, a.turn, h.job_id, h.run_at,
      row_number() over (partition by a.lane order by h.priority, h.run_at, h.job_id) as place
    from asked a
    cross join lateral (
      select w.job_id, w.run_at, w.priority
      from legwork.waiting_jobs w
      join graphile_worker._private_jobs j on j.id = w.job_id
      where w.lane = a.lane and w.held is null and j.locked_at is null
      order by w.priority, w.run_at, w.job_id
      limit (a.room + a.lines - 1) / a.lines
      for update of j skip locked
    ) h
  ), ranks as (
    -- Whoever is within the room of each of its gates may go.
    select h.job_id, row_number() over (partition by g.gate order by h.place, h.turn) <= r.room as fits
    from heads h
    cross join lateral unnest(h.gates) as g (gate)
    join rooms r on r.gate = g.gate
  ), granted as materialized (
    select h.job_id, h.lane, h.gates, h.run_at
    from heads h
    where h.job_id in (select r.job_id from ranks r group by r.job_id having bool_and(r.fits))
  ), gone as (
    delete from legwork.waiting_jobs w using granted g where w.job_id = g.job_id
  ), given as (
    insert into legwork.slots (gate, job_id, per)
    select x.gate, g.job_id, l.per
    from granted g
    cross join lateral unnest(g.gates) as x (gate)
    left join legwork.limits l on l.id = split_part(x.gate, ':', 1)::integer
  ), started as (
    update graphile_worker._private_jobs j set run_at = g.run_at from granted g where j.id = g.job_id
  )
  select array(select c.lane from candidates c), array(select distinct g.lane from granted g), (select count(*) from granted)
  into v_looked, v_served, granted;

  -- Each line that was looked at is noted at a gate that is full; one without a job goes; one that has been served goes to the
  -- end of those that wait with it.
  with looked as materialized (
    select l.lane, l.gates, exists (select from legwork.waiting_jobs w where w.lane = l.lane and w.held is null) as has_jobs
    from legwork.lanes l where l.lane = any (v_looked)
  ), crossed as materialized (
    select k.lane, g.gate, g.n from looked k cross join lateral unnest(k.gates) with ordinality as g (gate, n) where k.has_jobs
  ), rooms as materialized (
    select r.gate, r.room from legwork.rooms(array(select distinct x.gate from crossed x), at) r
  ), placed as materialized (
    select k.lane, k.has_jobs, f.gate as full_gate
    from looked k
    left join (
      select distinct on (x.lane) x.lane, x.gate from crossed x join rooms r on r.gate = x.gate where r.room <= 0 order by x.lane, x.n
    ) f on f.lane = k.lane
  ), emptied as (
    delete from legwork.lanes l using placed p where l.lane = p.lane and not p.has_jobs
  ), moved as (
    update legwork.lanes l set waits_at = coalesce(p.full_gate, l.waits_at),
      turn = case when l.lane = any (v_served) then nextval('legwork.lane_turns') else l.turn end
    from placed p
    where l.lane = p.lane and p.has_jobs
  )
  select array(select p.lane from placed p where p.has_jobs and p.full_gate is null), array(select distinct p.full_gate from placed p where p.full_gate is not null)
  into open, filled;
end $$;
comment on function legwork.admit_crossing(uuid[], text[], timestamptz) is
  'The same for jobs with several gates, each of which has to have room: looks at these lines and those noted at these gates, and notes each at a gate that is full. '
  'Returns how many jobs may start, the lines that may move again, and the gates that are full.';

create function legwork.admit_waiting(at_most integer default 1000) returns integer
language plpgsql volatile security definer
-- The tables are small and change all the time, so that statistics say little: always by index.
set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  v_now timestamptz := clock_timestamp();
  v_freed text[];
  v_lanes uuid[];
  v_gates text[];
  v_crossing text[] := '{}';
  v_rates boolean := exists (select from legwork.limits l where l.kind = 'rate');
  v_round record;
  v_total integer := 0;
  v_unblocked integer := 0;
begin
  -- First, because those whose dependencies have ended may stand in line now.
  if exists (select from legwork.wakeups w where w.unblocked is not null) then
    v_unblocked := legwork.settle_dependants();
  end if;
  with taken as (
    delete from legwork.wakeups w
    where w.id in (select x.id from legwork.wakeups x where x.unblocked is null order by x.id limit at_most)
    returning w.freed, w.lane, w.gates
  ), arrived as (
    insert into legwork.lanes (lane, gates, waits_at, turn)
    select t.lane, t.gates, t.gates[1], nextval('legwork.lane_turns')
    from (select distinct on (t.lane) t.lane, t.gates from taken t where t.lane is not null and t.gates <> '{}') t
    on conflict (lane) do nothing
  )
  select array(select distinct f from taken t, unnest(t.freed) f union select distinct t.gates[1] from taken t where cardinality(t.gates) = 1),
    array(select distinct t.lane from taken t where cardinality(t.gates) > 1)
  into v_gates, v_lanes;
  if v_gates = '{}' and v_lanes = '{}' then
    return v_unblocked;
  end if;
  if v_rates then
    delete from legwork.slots s
    where s.ctid = any (array(
      select x.ctid from legwork.slots x where x.gate = any (v_gates) and x.free_at <= v_now for update skip locked));
  end if;
  v_freed := v_gates;
  if v_lanes <> '{}' or exists (select from legwork.lanes l where cardinality(l.gates) > 1) then
    v_crossing := array(
      select g from unnest(v_gates) g
      where exists (select from legwork.lanes l where l.waits_at = g and cardinality(l.gates) > 1)
        or exists (select from legwork.lanes l where l.lane = any (v_lanes) and g = any (l.gates)));
    v_gates := array(select g from unnest(v_gates) g where g <> all (v_crossing));
  end if;

  -- The trigger _legwork_record_change lets these changes pass.
  perform set_config('legwork.admitting', legwork.admission_pass(), true);
  -- In rounds, because a line that turns out to be short leaves room for the others. What is left after the last round is looked
  -- at again.
  for v_n in 1..20 loop
    exit when v_gates = '{}';
    v_round := legwork.admit_lines(v_gates, v_now);
    v_total := v_total + v_round.granted;
    v_gates := v_round.more;
    if v_round.short <> '{}' then
      delete from legwork.lanes l
      where l.lane = any (v_round.short) and not exists (select from legwork.waiting_jobs w where w.lane = l.lane and w.held is null);
      -- A job that somebody has locked: it is not sure that the other transaction will change anything.
      insert into legwork.wakeups (lane, gates) select l.lane, l.gates from legwork.lanes l where l.lane = any (v_round.short);
    end if;
  end loop;
  for v_n in 1..20 loop
    exit when v_lanes = '{}' and v_crossing = '{}';
    v_round := legwork.admit_crossing(v_lanes, v_crossing, v_now);
    v_total := v_total + v_round.granted;
    v_lanes := v_round.open;
    v_freed := v_freed || v_round.filled;
    -- A line that has moved on to another gate may have left room for those behind it.
    v_crossing := array(
      select r.gate from legwork.rooms(v_crossing, v_now) r
      where r.room > 0 and exists (select from legwork.lanes l where l.waits_at = r.gate and l.lane <> all (v_lanes)));
    exit when v_round.granted = 0 and v_crossing = '{}';
  end loop;
  perform set_config('legwork.admitting', '', true);

  if v_gates <> '{}' or v_crossing <> '{}' then
    insert into legwork.wakeups (freed) values (v_gates || v_crossing);
  end if;
  insert into legwork.wakeups (lane, gates) select l.lane, l.gates from legwork.lanes l where l.lane = any (v_lanes);
  if v_rates then
    -- A rate limit's gate opens by itself.
    insert into legwork.gate_alarms as a (gate, ring_at)
    select g.gate, min(s.free_at)
    from (select distinct unnest(v_freed) as gate) g
    join legwork.limits l on l.id = split_part(g.gate, ':', 1)::integer and l.kind = 'rate'
    join legwork.slots s on s.gate = g.gate and s.free_at is not null
    where exists (select from legwork.lanes x where x.waits_at = g.gate)
    group by g.gate
    on conflict (gate) do update set ring_at = excluded.ring_at;
  end if;
  if v_total > 0 then
    perform legwork.wake_workers(v_total);
  end if;
  return v_total + v_unblocked;
end $$;
comment on function legwork.admit_waiting(integer) is
  'Lets waiting jobs start where there is room, as told by at most that many wakeups. Its caller must hold the advisory lock '
  'legwork.admission_lock() in a transaction that reads committed rows. Returns how many jobs may start now.';
revoke execute on function legwork.admit_waiting(integer), legwork.admit_lines(text[], timestamptz), legwork.admit_crossing(uuid[], text[], timestamptz)
  from public;

create function legwork.note_due() returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  v_now timestamptz := clock_timestamp();
begin
  with due as (
    select w.job_id from legwork.waiting_jobs w
    where w.held = 'run_at' and w.run_at <= v_now
    order by w.run_at limit 1000
    for update skip locked
  ), in_line as (
    update legwork.waiting_jobs w set held = null from due d where w.job_id = d.job_id returning w.lane, w.gates
  ), rung as (
    delete from legwork.gate_alarms a where a.ring_at <= v_now returning a.gate
  )
  insert into legwork.wakeups (lane, gates, freed)
  select i.lane, i.gates, null from in_line i group by i.lane, i.gates
  union all
  select null, null, array_agg(r.gate) from rung r having count(*) > 0;
end $$;
comment on function legwork.note_due() is
  'Leaves wakeups for waiting jobs whose time has come and for rate limits that have opened, at most a thousand jobs. Its caller must hold the advisory lock legwork.admission_lock().';
revoke execute on function legwork.note_due() from public;

create function legwork.tg_wakeups__look() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- Of thousands in one transaction the first calls have looked at all: each look passes over what the transaction has deleted by then.
  if not exists (select from legwork.wakeups w where w.id = new.id) then
    return null;
  end if;
  -- A snapshot from before the lock would miss slots. Workers come and do it.
  if current_setting('transaction_isolation') = 'read committed' then
    if new.at_commit = 'wait' then
      perform pg_advisory_xact_lock(legwork.admission_lock());
      -- Where no Legwork worker looks at the clock, whoever comes by does.
      perform legwork.note_due();
      if exists (select from legwork.dependency_checks) then
        perform legwork.check_dependencies();
      end if;
      perform legwork.admit_waiting();
    elsif pg_try_advisory_xact_lock(legwork.admission_lock()) then
      -- Whoever enqueues does not do the work of all the others.
      perform legwork.admit_waiting(100);
    elsif not exists (select from legwork.worker_processes w where w.seen_at > clock_timestamp() - legwork.worker_grace()) then
      -- Whoever has the lock may have looked already, and no Legwork worker would come and look again.
      perform pg_advisory_xact_lock(legwork.admission_lock());
      perform legwork.admit_waiting(100);
    end if;
  end if;
  if exists (select from legwork.wakeups) then
    perform pg_notify('legwork', '{"wakeups":true}');
  end if;
  return null;
end $$;
comment on function legwork.tg_wakeups__look() is 'At the end of a transaction that may let jobs start: lets them, or tells a worker to.';
revoke execute on function legwork.tg_wakeups__look() from public;

create constraint trigger _legwork_look after insert on legwork.wakeups
  deferrable initially deferred for each row when (new.at_commit is not null) execute function legwork.tg_wakeups__look();

create function legwork.tg_jobs__admit() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_ids bigint[];
begin
  if not legwork.has_rules() then
    return null;
  end if;
  select array_agg(f.id) into v_ids
  from fresh f
  where f.task_id in (select r.task_id from legwork.task_rules r where r.is_paused or r.limits <> '{}');
  if v_ids is not null then
    perform legwork.make_wait(v_ids);
  end if;
  return null;
end $$;
comment on function legwork.tg_jobs__admit() is 'Sends new jobs whose task is limited or paused to the waiting room.';

create function legwork.rate_margin() returns interval
language sql immutable parallel safe
return interval '10 milliseconds';
comment on function legwork.rate_margin() is 'Added to every window of a rate limit, because a worker knows the database''s clock only to some milliseconds.';

create function legwork.window_of(gate text, per interval) returns interval
language sql stable
return coalesce((select l.per from legwork.limits l where l.id = split_part(window_of.gate, ':', 1)::integer), window_of.per);
comment on function legwork.window_of(text, interval) is
  'The window of a rate limit''s slot as it is now; the one it was given with when the limit is gone. Looked up and not written to '
  'every slot, because no job with such a slot could end while a transaction that changes the window is open.';

create function legwork.release_slots(job_ids bigint[], starts timestamptz[]) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  v_freed text[];
  v_used text[];
begin
  with ended as (
    delete from legwork.slots s where s.job_id = any (job_ids) and s.per is null returning s.gate
  )
  select array_agg(distinct e.gate) into v_freed from ended e;
  if exists (select from legwork.limits l where l.kind = 'rate') then
    with used as (
      update legwork.slots s set free_at = legwork.later(coalesce(j.started_at, clock_timestamp()), legwork.window_of(s.gate, s.per)) + legwork.rate_margin()
      from unnest(job_ids, starts) as j (id, started_at)
      where s.job_id = j.id and s.per is not null and s.free_at is null
      returning s.gate
    )
    select array_agg(distinct u.gate) into v_used from used u;
  end if;
  if v_freed is not null or v_used is not null then
    insert into legwork.wakeups (freed, at_commit) values (coalesce(v_freed, '{}') || coalesce(v_used, '{}'), 'wait');
  end if;
end $$;
comment on function legwork.release_slots(bigint[], timestamptz[]) is
  'Gives back what jobs whose attempt has ended were given: at once for concurrency; for a rate when a window has passed since '
  'the attempt started, which counts as now where it is not known.';

create function legwork.readmit(job graphile_worker._private_jobs) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  v_waiting legwork.waiting_jobs;
begin
  if exists (select from legwork.dependencies d where d.job_id = job.id) then
    perform legwork.hold_for_dependencies(array[job.id]);
  elsif legwork.make_wait(array[job.id]) = 0 then
    -- No rule concerns it now: it may have been replaced by a job of another task.
    delete from legwork.waiting_jobs w where w.job_id = job.id and w.held is distinct from 'dependency' returning * into v_waiting;
    if v_waiting.job_id is not null and job.run_at = 'infinity' and job.locked_at is null then
      update graphile_worker._private_jobs j set run_at = v_waiting.run_at where j.id = job.id;
    end if;
    perform legwork.release_slots(array[job.id], array[null::timestamptz]);
    if exists (select from legwork.waiting_jobs w where w.job_id = job.id) then
      -- Its dependencies have ended and it is about to be let go.
      perform legwork.hold_for_dependencies(array[job.id]);
    end if;
  end if;
end $$;
comment on function legwork.readmit(graphile_worker._private_jobs) is
  'Sends a job that was replaced, rescheduled or given back unfinished to the waiting room again, because it may have other gates, another time or be paused now.';

revoke execute on function legwork.tg_jobs__admit() from public;
create trigger _legwork_admit after insert on graphile_worker._private_jobs
  referencing new table as fresh for each statement execute function legwork.tg_jobs__admit();
