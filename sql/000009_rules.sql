-- What people change while jobs run: limits and pauses of queues and tasks, and the emergency stop.
--
-- A rule takes hold in the transaction that makes it, for jobs that are there already too. A transaction that enqueued before and
-- commits after has not seen the rule; legwork.tick() looks for its jobs until no such transaction can be left.

create table legwork.rule_changes (
  id bigint generated always as identity primary key,
  task_ids integer[] not null,
  xid bigint not null default pg_current_xact_id()::text::bigint,
  since bigint,
  changed_at timestamptz not null default clock_timestamp(),
  looked_at timestamptz not null default clock_timestamp()
);
comment on table legwork.rule_changes is 'Rules that were changed lately: older transactions may still enqueue, or end a job, without knowing of them.';
comment on column legwork.rule_changes.id is 'In the order they were made.';
comment on column legwork.rule_changes.task_ids is 'The tasks concerned.';
comment on column legwork.rule_changes.xid is 'The transaction that made the change.';
comment on column legwork.rule_changes.since is 'The oldest transaction that was open then: only it and later ones may have written jobs without knowing the rule. Null: any may.';
comment on column legwork.rule_changes.changed_at is 'When.';
comment on column legwork.rule_changes.looked_at is 'When such jobs were looked for last, roughly.';
alter table legwork.rule_changes enable row level security;

-- With the owner's rights, as describe_limits: views call it for readers who may not read the tables.
create function legwork.known_queues() returns text[]
language sql stable security definer set search_path = pg_catalog, pg_temp
return array(
  select 'default' union select d.queue from legwork.task_definitions d
  union select l.name from legwork.limits l where l.scope = 'queue'
  union select p.name from legwork.pauses p where p.scope = 'queue');
comment on function legwork.known_queues() is 'The queues that a task belongs to, default, and those that have a rule.';
revoke execute on function legwork.known_queues() from public;

create function legwork.assert_target(scope text, name text) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_queues text[];
begin
  if scope = 'task' then
    perform legwork.assert_task(name);
    return;
  end if;
  v_queues := legwork.known_queues();
  if name is null or name <> all (v_queues) then
    raise exception 'No queue is called ''%''.', name using
      errcode = 'LW404',
      hint = coalesce('Did you mean ''' || legwork.nearest_name(name, v_queues) || '''? ', '')
        || case when legwork.confined_tenant() is null and exists (select from graphile_worker._private_job_queues q where q.queue_name = assert_target.name)
          then format('%L is a serial key, graphile-worker''s queue_name: its jobs run one at a time already. A queue of Legwork is a group of tasks; a limit of one '
            'task is given as task => ''…''. ', assert_target.name) else '' end
        || 'A queue is known once a task belongs to it; select name from legwork.queues lists them.';
  end if;
end $$;
comment on function legwork.assert_target(text, text) is 'Does nothing for a queue or task that is known. Raises LW404 with the nearest name for an unknown one.';

create function legwork.scope_of(queue text, task text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if (queue is null) = (task is null) then
    raise exception 'Name a queue or a task%.', case when queue is null then '' else ', not both' end using
      errcode = 'LW400', hint = 'For example queue => ''mail'', or task => ''notify/email''.';
  end if;
  return case when queue is not null then 'queue' else 'task' end;
end $$;
comment on function legwork.scope_of(text, text) is 'queue or task, whichever is named. Raises LW400 unless it is exactly one.';

create function legwork.describe_limits(scope text, name text) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
return (
  select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
      'kind', l.kind, 'max', l.max_count, 'per', l.per, 'key', nullif(array_to_string(l.key, '.'), ''))) order by l.id)
  from legwork.limits l
  where l.scope = describe_limits.scope and l.name = describe_limits.name and l.max_count is not null);
comment on function legwork.describe_limits(text, text) is 'The limits of a queue or task as an array of {kind, max, per, key}; null for none.';
revoke execute on function legwork.describe_limits(text, text) from public;

create function legwork.tasks_in(scope text, name text) returns integer[]
language sql stable
return array(
  select r.task_id from legwork.task_rules r
  where tasks_in.scope = 'all' or (tasks_in.scope = 'queue' and r.queue = tasks_in.name) or (tasks_in.scope = 'task' and r.task = tasks_in.name));
comment on function legwork.tasks_in(text, text) is 'graphile-worker''s ids of the tasks that a rule of this scope concerns.';

create function legwork.rules_lock() returns bigint
language sql immutable parallel safe
return legwork.admission_lock() + 1;
comment on function legwork.rules_lock() is 'The key of the advisory lock under which rules are applied: one transaction at a time.';

create function legwork.jobs_against_rules(task_ids integer[], since bigint, by bigint[]) returns bigint[]
language plpgsql volatile set search_path = pg_catalog, pg_temp set jit = off set plan_cache_mode = force_custom_plan as $$
declare
  v_age integer := age(since::text::xid8::xid);
  v_by xid[] := by::text[]::xid8[]::xid[];
begin
  return array(
    with rules as materialized (
      select r.task_id, r.is_paused, r.limits from legwork.task_rules r where r.task_id = any (task_ids)
    )
    select j.id
    from graphile_worker._private_jobs j
    join rules r on r.task_id = j.task_id
    left join legwork.waiting_jobs w on w.job_id = j.id
    where j.locked_at is null and j.attempts < j.max_attempts
      -- A frozen row may look younger than it is, which costs a look and nothing more.
      and (since is null or age(j.xmin) <= v_age and j.xmin <> all (v_by))
      and case
        when w.job_id is not null then
          -- Rules are looked at when the last dependency has ended.
          w.held is distinct from 'dependency' and (
          r.is_paused <> coalesce(w.held = 'paused', false)
          or (r.limits = '{}' and (not r.is_paused or w.gates <> '{}'))
          or (r.limits <> '{}'
            and w.gates <> array(select legwork.gate(l.id, l.key, j.payload) from legwork.limits l where l.id = any (r.limits) order by l.id)))
        else r.is_paused or cardinality(r.limits) > (
          select count(*) from legwork.slots s
          where s.job_id = j.id and s.free_at is null and split_part(s.gate, ':', 1)::integer = any (r.limits))
      end);
end $$;
comment on function legwork.jobs_against_rules(integer[], bigint, bigint[]) is
  'Jobs of these tasks that have not started and to which the rules do something else than has been done: those that wait, for other gates, in another line or with no '
  'reason to wait any more; those that are free to start, for being paused or under a new limit. With since, only among rows that transaction or a later one wrote, except those in by.';
revoke execute on function legwork.jobs_against_rules(integer[], bigint, bigint[]) from public;

create function legwork.apply_rules(task_ids integer[], since bigint default null, by bigint[] default '{}') returns boolean
language plpgsql volatile security definer
-- One job or a million: a plan for both would be wrong for one of them, and what the statistics do not know yet must not become a
-- join of each with each.
set search_path = pg_catalog, pg_temp set jit = off set plan_cache_mode = force_custom_plan set enable_nestloop = off as $$
declare
  v_is_settling boolean := by <> '{}';
  v_since bigint;
  v_concerned bigint[];
  v_ids bigint[];
  v_let_go integer;
begin
  if not v_is_settling then
    -- Two that change rules at once would each find nothing to do for a job that both rules together concern.
    perform pg_advisory_xact_lock(legwork.rules_lock());
    -- Asked before the jobs are looked at: rows of a transaction that is not over yet are not seen. One that reads on in an old
    -- snapshot may also miss another's rule.
    v_since := case when current_setting('transaction_isolation') = 'read committed' then pg_snapshot_xmin(pg_current_snapshot())::text::bigint end;
  end if;
  v_concerned := legwork.jobs_against_rules(task_ids, since, by);
  -- Everybody who changes a job locks its row first and what is said of it in the waiting room afterwards, so that nobody deadlocks.
  -- A job that is being fetched is waited for: it runs then and must be counted. Whoever settles comes again instead, because an
  -- open transaction must not keep the waiting room from being looked after.
  if v_is_settling then
    v_ids := array(
      select j.id from graphile_worker._private_jobs j
      where j.id = any (v_concerned) and j.locked_at is null and j.attempts < j.max_attempts
      order by j.id for update skip locked);
  else
    v_ids := array(
      select j.id from graphile_worker._private_jobs j
      where j.id = any (v_concerned) and j.locked_at is null and j.attempts < j.max_attempts
      order by j.id for update);
  end if;

  if v_ids <> '{}' then
    perform set_config('legwork.admitting', legwork.admission_pass(), true);
    with rules as materialized (
      select r.* from legwork.task_rules r where r.task_id = any (task_ids)
    ), waiting as materialized (
      select w.job_id, r.is_paused, w.run_at,
        array(select legwork.gate(l.id, l.key, j.payload) from legwork.limits l where l.id = any (r.limits) order by l.id) as gates,
        case when j.flags is not null then legwork.flag_value(j.flags, 'tenant') end as tenant
      from legwork.waiting_jobs w
      join rules r on r.task_id = w.task_id
      join graphile_worker._private_jobs j on j.id = w.job_id
      where w.job_id = any (v_ids) and w.held is distinct from 'dependency'
    ), free as (
      delete from legwork.waiting_jobs w using waiting c
      where w.job_id = c.job_id and not c.is_paused and c.gates = '{}'
      returning w.job_id, w.run_at
    ), let_go as (
      update graphile_worker._private_jobs j set run_at = f.run_at
      from free f where j.id = f.job_id
      returning j.id
    ), kept as (
      update legwork.waiting_jobs w set gates = c.gates, lane = legwork.lane(c.gates, c.tenant),
        held = case when c.is_paused then 'paused' when c.run_at > clock_timestamp() then 'run_at' end
      from waiting c
      where w.job_id = c.job_id and (c.is_paused or c.gates <> '{}')
      returning w.lane, w.gates, w.held
    ), lines as (
      insert into legwork.wakeups (lane, gates, at_commit)
      select k.lane, k.gates, case when row_number() over () = 1 then 'wait' end
      from kept k where k.held is null group by k.lane, k.gates
    )
    select count(*) into v_let_go from let_go;
    perform set_config('legwork.admitting', '', true);
    if v_let_go > 0 then
      perform legwork.wake_workers(v_let_go);
    end if;

    perform legwork.make_wait(
      array(
        with rules as materialized (
          select r.task_id, r.is_paused, r.limits from legwork.task_rules r
          where r.task_id = any (task_ids) and (r.is_paused or r.limits <> '{}')
        )
        select j.id from graphile_worker._private_jobs j
        join rules r on r.task_id = j.task_id
        where j.id = any (v_ids) and not exists (select from legwork.waiting_jobs w where w.job_id = j.id)
          and (r.is_paused or cardinality(r.limits) > (
            select count(*) from legwork.slots s
            where s.job_id = j.id and s.free_at is null and split_part(s.gate, ':', 1)::integer = any (r.limits)))),
      'wait');
  end if;

  -- Jobs that run count for a limit that is new.
  with rules as materialized (
    select r.task_id, r.limits from legwork.task_rules r where r.task_id = any (task_ids) and r.limits <> '{}'
  )
  insert into legwork.slots (gate, job_id, per)
  select legwork.gate(l.id, l.key, j.payload), j.id, l.per
  from graphile_worker._private_jobs j
  join rules r on r.task_id = j.task_id
  join legwork.limits l on l.id = any (r.limits)
  where j.locked_at is not null
    and not exists (select from legwork.slots s where s.job_id = j.id and s.gate = legwork.gate(l.id, l.key, j.payload));
  if v_is_settling then
    -- Slots of limits that are gone count for nothing. Not in the transaction that drops the limit: while that is open, the jobs that
    -- have them could not end.
    delete from legwork.slots s
    where not exists (select from legwork.limits l where l.id = split_part(s.gate, ':', 1)::integer and l.max_count is not null);
  else
    insert into legwork.rule_changes (task_ids, since) values (apply_rules.task_ids, v_since);
    -- Workers read anew what is paused.
    perform pg_notify('legwork', '{"rules":true}');
  end if;
  return cardinality(v_ids) = cardinality(v_concerned) or not exists (
    select from (select unnest(v_concerned) except select unnest(v_ids)) as passed (id)
    join graphile_worker._private_jobs j on j.id = passed.id
    where j.locked_at is null and j.attempts < j.max_attempts);
end $$;
comment on function legwork.apply_rules(integer[], bigint, bigint[]) is
  'Makes the rules of these tasks hold for the jobs that are there already. With by, the transactions that changed rules, it only settles: it looks at what was written since, '
  'and passes over jobs whose rows others hold. Returns whether none was.';
revoke execute on function legwork.apply_rules(integer[], bigint, bigint[]) from public;

create function legwork.put_limit(scope text, name text, kind text, key text, max_count integer, per interval) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_id integer;
  v_key text[] := case when key is null then '{}' else string_to_array(key, '.') end;
  v_is_new boolean;
begin
  perform legwork.assert_may('operator', true);
  perform legwork.assert_target(scope, name);
  if max_count is null or max_count < 1 then
    raise exception 'A limit must be at least 1, not %.', coalesce(max_count::text, 'null') using
      errcode = 'LW400', hint = 'To let nothing start, pause the queue or the task.';
  end if;
  if kind = 'rate' and per is null then
    raise exception 'A rate limit needs a window.' using errcode = 'LW400', hint = 'For example per => ''1 minute''.';
  end if;
  perform legwork.assert_interval('per', per, '1 millisecond');
  if '' = any (v_key) then
    raise exception 'The key ''%'' has an empty part.', key using
      errcode = 'LW400', hint = 'A key says where in the payload to look, such as userId or user.id.';
  end if;
  insert into legwork.limits as l (scope, name, kind, key, max_count, per)
  values (put_limit.scope, put_limit.name, put_limit.kind, v_key, put_limit.max_count, put_limit.per)
  on conflict on constraint limits_scope_name_kind_key_key do update set
    max_count = excluded.max_count, per = excluded.per, is_overridden = l.declared_max is not null
  returning l.id, l.xmax = 0 into v_id, v_is_new;
  if not v_is_new then
    insert into legwork.wakeups (freed, at_commit)
    select array_agg(distinct l.waits_at), 'wait' from legwork.lanes l where l.waits_at like v_id || ':%' having count(*) > 0;
  end if;
  perform legwork.apply_rules(legwork.tasks_in(scope, name));
  return v_id;
end $$;
comment on function legwork.put_limit(text, text, text, text, integer, interval) is 'What limit_concurrency and limit_rate do.';
revoke execute on function legwork.put_limit(text, text, text, text, integer, interval) from public;

create function legwork.limit_concurrency(max integer, queue text default null, task text default null, key text default null) returns integer
language sql volatile
return legwork.put_limit(legwork.scope_of(queue, task), coalesce(queue, task), 'concurrency', key, max, null);
comment on function legwork.limit_concurrency(integer, text, text, text) is
  'At most max jobs of a queue or of a task run at a time, over all workers; with key, at most max for each value at that place of the '
  'payload (userId, user.id). Calling again changes max. Jobs that run already are counted and not stopped. Returns the limit''s id. '
  'Raises LW400 for a max below 1, LW404 for an unknown queue or task.';

create function legwork.limit_rate(max integer, per interval, queue text default null, task text default null, key text default null) returns integer
language sql volatile
return legwork.put_limit(legwork.scope_of(queue, task), coalesce(queue, task), 'rate', key, max, per);
comment on function legwork.limit_rate(integer, interval, text, text, text) is
  'At most max jobs of a queue or of a task start within any span of the length per; with key, for each value at that place of the '
  'payload. Calling again changes it. Returns the limit''s id. Raises LW400 for a max below 1 or a window that is none, LW404 for '
  'an unknown queue or task.';
revoke execute on function legwork.limit_concurrency(integer, text, text, text), legwork.limit_rate(integer, interval, text, text, text) from public;

create function legwork.drop_limit(kind text, queue text default null, task text default null, key text default null) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_scope text := legwork.scope_of(queue, task);
  v_name text := coalesce(queue, task);
  v_limit legwork.limits;
begin
  perform legwork.assert_may('operator', true);
  if kind is null or kind not in ('concurrency', 'rate') then
    raise exception 'There is no kind of limit ''%''.', kind using errcode = 'LW400', hint = 'Kinds are concurrency and rate.';
  end if;
  perform legwork.assert_target(v_scope, v_name);
  select * into v_limit from legwork.limits l
  where l.scope = v_scope and l.name = v_name and l.kind = drop_limit.kind and l.max_count is not null
    and l.key = case when drop_limit.key is null then '{}' else string_to_array(drop_limit.key, '.') end;
  if v_limit.id is null then
    return false;
  end if;
  if v_limit.declared_max is null then
    delete from legwork.limits l where l.id = v_limit.id;
  else
    -- Its task declares it: kept as lifted, so that the next worker to start does not bring it back.
    update legwork.limits l set max_count = null, is_overridden = true where l.id = v_limit.id;
  end if;
  perform legwork.apply_rules(legwork.tasks_in(v_scope, v_name));
  return true;
end $$;
comment on function legwork.drop_limit(text, text, text, text) is
  'Takes a limit of a queue or a task away; one that the task''s definition declares stays away until reset_limits. Returns whether there was one. '
  'Raises LW404 for an unknown queue or task.';
revoke execute on function legwork.drop_limit(text, text, text, text) from public;

create function legwork.reset_limits(task text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork.assert_may('operator', true);
  perform legwork.assert_task(task);
  delete from legwork.limits l where l.scope = 'task' and l.name = task and l.declared_max is null;
  update legwork.limits l set max_count = l.declared_max, per = l.declared_per, is_overridden = false
  where l.scope = 'task' and l.name = task;
  perform legwork.apply_rules(legwork.tasks_in('task', task));
end $$;
comment on function legwork.reset_limits(text) is 'Gives a task the limits that its definition declares, and no others. Raises LW404 for an unknown task.';
revoke execute on function legwork.reset_limits(text) from public;

create function legwork.declare_limits(task text, limits jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_changed integer;
begin
  with wanted as (
    select l.kind, coalesce(l.key, '{}') as key, l.max, l.per
    from jsonb_to_recordset(limits) as l (kind text, key text[], max integer, per interval)
  ), gone as (
    delete from legwork.limits l
    where l.scope = 'task' and l.name = task and l.declared_max is not null
      and not exists (select from wanted w where w.kind = l.kind and w.key = l.key)
    returning 1
  ), put as (
    insert into legwork.limits as l (scope, name, kind, key, max_count, per, declared_max, declared_per)
    select 'task', declare_limits.task, w.kind, w.key, w.max, w.per, w.max, w.per from wanted w
    on conflict on constraint limits_scope_name_kind_key_key do update set
      declared_max = excluded.declared_max, declared_per = excluded.declared_per,
      max_count = case when l.is_overridden then l.max_count else excluded.max_count end,
      per = case when l.is_overridden then l.per else excluded.per end
    where (l.declared_max, l.declared_per) is distinct from (excluded.declared_max, excluded.declared_per)
    returning 1
  )
  select (select count(*) from gone) + (select count(*) from put) into v_changed;
  if v_changed > 0 then
    perform legwork.apply_rules(legwork.tasks_in('task', task));
  end if;
end $$;
comment on function legwork.declare_limits(text, jsonb) is
  'The limits that a task''s definition says: an array of {kind, key, max, per}. What somebody has changed by hand stays changed.';
revoke execute on function legwork.declare_limits(text, jsonb) from public;

create function legwork.put_pause(scope text, name text, reason text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork.assert_may('operator', true);
  if scope <> 'all' then
    perform legwork.assert_target(scope, name);
  end if;
  insert into legwork.pauses as p (scope, name, reason) values (put_pause.scope, put_pause.name, put_pause.reason)
  on conflict on constraint pauses_pkey do update set
    reason = coalesce(excluded.reason, p.reason);
  perform legwork.apply_rules(legwork.tasks_in(scope, name));
end $$;
comment on function legwork.put_pause(text, text, text) is 'What pause_queue, pause_task and emergency_stop do.';

create function legwork.lift_pause(scope text, name text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork.assert_may('operator', true);
  if scope <> 'all' then
    perform legwork.assert_target(scope, name);
  end if;
  delete from legwork.pauses p where p.scope = lift_pause.scope and p.name = lift_pause.name;
  if not found then
    return false;
  end if;
  perform legwork.apply_rules(legwork.tasks_in(scope, name));
  return true;
end $$;
comment on function legwork.lift_pause(text, text) is 'What resume_queue, resume_task and resume_all do.';
revoke execute on function legwork.put_pause(text, text, text), legwork.lift_pause(text, text) from public;

create function legwork.pause_queue(queue text, reason text default null) returns void
language sql volatile return legwork.put_pause('queue', queue, reason);
comment on function legwork.pause_queue(text, text) is
  'From 300 ms after this has committed no job of the queue starts, on any worker. Jobs that run finish; nothing is lost; enqueueing goes on. '
  'Calling again changes the reason. Raises LW404 for an unknown queue.';

create function legwork.resume_queue(queue text) returns boolean
language sql volatile return legwork.lift_pause('queue', queue);
comment on function legwork.resume_queue(text) is
  'Lets the queue''s jobs start again, except those whose task or everything is paused too. Returns whether it was paused. Raises LW404 for an unknown queue.';

create function legwork.pause_task(task text, reason text default null) returns void
language sql volatile return legwork.put_pause('task', task, reason);
comment on function legwork.pause_task(text, text) is 'As pause_queue, for one task. Raises LW404 for an unknown task.';

create function legwork.resume_task(task text) returns boolean
language sql volatile return legwork.lift_pause('task', task);
comment on function legwork.resume_task(text) is
  'Lets the task''s jobs start again, except when its queue or everything is paused too. Returns whether it was paused. Raises LW404 for an unknown task.';

create function legwork.emergency_stop(reason text default null) returns void
language sql volatile return legwork.put_pause('all', '', reason);
comment on function legwork.emergency_stop(text) is 'Pauses everything, as pause_queue does a queue. Jobs that run finish. resume_all() ends it.';

create function legwork.resume_all() returns boolean
language sql volatile return legwork.lift_pause('all', '');
comment on function legwork.resume_all() is
  'Ends an emergency stop. Queues and tasks that were paused for themselves stay paused, for the reasons they were paused for. Returns whether there was a stop.';
revoke execute on function legwork.pause_queue(text, text), legwork.resume_queue(text), legwork.pause_task(text, text), legwork.resume_task(text),
  legwork.emergency_stop(text), legwork.resume_all() from public;

create function legwork.settle_rules() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_settled bigint[];
  v_tasks integer[];
  v_since bigint;
  v_by bigint[];
  -- A repeatable read transaction goes on with what it saw at its beginning, and is in no snapshot until it writes.
  v_oldest integer := coalesce((
    select max(age(a.backend_xmin)) from pg_stat_activity a
    where a.datname = current_database() and a.pid <> pg_backend_pid()), -1);
begin
  -- Often at first, then now and then, and once more when no transaction can be left that began before the change. That is known of the
  -- whole server only: a transaction of another database may put it off for as long as it likes.
  with changes as materialized (
    select c.*
    from (
      select r.*, r.xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint and age(r.xid::text::xid8::xid) > v_oldest as is_settled
      from legwork.rule_changes r for update skip locked
    ) c
    where c.is_settled or c.changed_at > clock_timestamp() - interval '5 seconds' or c.looked_at < clock_timestamp() - interval '5 seconds'
  ), noted as (
    update legwork.rule_changes r set looked_at = clock_timestamp()
    from changes c where r.id = c.id and not c.is_settled and c.looked_at < clock_timestamp() - interval '5 seconds'
  )
  select array(select c.id from changes c where c.is_settled),
    -- Those that have rules now as well: of a task that an open transaction was just making known, the change did not know.
    array(select t from changes c, unnest(c.task_ids) t union select r.task_id from legwork.task_rules r where r.is_paused or r.limits <> '{}'),
    (select case when bool_and(c.since is not null) then min(c.since) end from changes c), array(select distinct c.xid from changes c)
  into v_settled, v_tasks, v_since, v_by;
  if v_by = '{}' then
    return;
  end if;
  if legwork.apply_rules(v_tasks, v_since, v_by) and v_settled <> '{}' then
    delete from legwork.rule_changes c where c.id = any (v_settled);
    perform legwork.reconcile();
  end if;
end $$;
comment on function legwork.settle_rules() is 'Finds the jobs that were enqueued by transactions which did not see a rule yet.';
revoke execute on function legwork.settle_rules() from public;

create function legwork.reconcile() returns table (problem text, job_id bigint, gate text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork.assert_may('operator', true);
  -- Each statement sees one moment, and whoever moves a job changes its rows in one transaction: what contradicts itself in a
  -- statement's eyes is wrong, and is not just being changed.
  return query
    with leaked as (
      delete from legwork.slots s
      where s.per is null and (
        not exists (select from graphile_worker._private_jobs j
          where j.id = s.job_id and (j.locked_at is not null or j.attempts < j.max_attempts))
        or exists (select from legwork.waiting_jobs w where w.job_id = s.job_id))
      returning s.gate, s.job_id
    ), unstarted as (
      update legwork.slots s set free_at = legwork.later(clock_timestamp(), legwork.window_of(s.gate, s.per))
      where s.per is not null and s.free_at is null and (
        not exists (select from graphile_worker._private_jobs j
          where j.id = s.job_id and (j.locked_at is not null or j.attempts < j.max_attempts))
        or exists (select from legwork.waiting_jobs w where w.job_id = s.job_id))
      returning s.gate, s.job_id
    ), wrong as (
      select l.gate, l.job_id from leaked l union all select u.gate, u.job_id from unstarted u
    ), woken as (
      insert into legwork.wakeups (freed, at_commit) select array_agg(distinct x.gate), 'try' from wrong x having count(*) > 0
    )
    select 'a slot whose job does not run'::text, w.job_id, w.gate from wrong w;
  return query
    delete from legwork.waiting_jobs w
    where not exists (select from graphile_worker._private_jobs j where j.id = w.job_id and j.locked_at is null and j.attempts < j.max_attempts)
    returning 'a job in the waiting room that does not wait'::text, w.job_id, null::text;
  return query
    with rules as materialized (
      select r.task_id, r.is_paused, r.limits from legwork.task_rules r where r.is_paused or r.limits <> '{}'
    ), free as materialized (
      select j.id from graphile_worker._private_jobs j
      join rules r on r.task_id = j.task_id
      where j.locked_at is null and j.attempts < j.max_attempts and j.run_at <> 'infinity'
        and (r.is_paused or cardinality(r.limits) > (
          select count(*) from legwork.slots s
          where s.job_id = j.id and s.free_at is null and split_part(s.gate, ':', 1)::integer = any (r.limits)))
      -- One that is just being fetched runs then.
      for update of j skip locked
    ), sent as (
      select legwork.make_wait(array(select f.id from free f)) as jobs
    )
    select 'a job that was free to start without a slot'::text, f.id, null::text from free f, sent where sent.jobs > 0;
  return query
    with lost as (
      select w.lane, min(w.gates) as gates from legwork.waiting_jobs w
      where w.held is null and w.gates <> '{}' and not exists (select from legwork.lanes l where l.lane = w.lane)
        -- As long as there are wakeups nothing has been forgotten: they may be what calls it.
        and not exists (select from legwork.wakeups)
      group by w.lane
    ), ready as (
      select l.lane, l.gates from legwork.lanes l
      where exists (select from legwork.waiting_jobs w where w.lane = l.lane and w.held is null)
        and not exists (select from legwork.rooms(l.gates, clock_timestamp()) r where r.room <= 0)
        and not exists (select from legwork.wakeups)
    ), woken as (
      insert into legwork.wakeups (lane, gates, at_commit)
      select x.lane, x.gates, case when row_number() over () = 1 then 'try' end
      from (select * from lost union select * from ready) x
      returning gates
    )
    select 'a line that was not called'::text, null::bigint, w.gates[1] from woken w;
  return query select d.problem, d.job_id, null::text from legwork.reconcile_dependencies() d;
  -- Nothing wrong: slots of limits that are gone count for nothing. Not in the transaction that drops the limit: while that is
  -- open, the jobs that have them could not end.
  delete from legwork.slots s
  where s.ctid = any (array(
    select x.ctid from legwork.slots x
    where not exists (select from legwork.limits l where l.id = split_part(x.gate, ':', 1)::integer and l.max_count is not null)
    for update skip locked));
  -- Nor is this: a line whose last job was let go is kept until somebody looks at it.
  if pg_try_advisory_xact_lock(legwork.admission_lock()) then
    delete from legwork.lanes l where not exists (select from legwork.waiting_jobs w where w.lane = l.lane and w.held is null);
  end if;
end $$;
comment on function legwork.reconcile() is
  'Proves the books of the waiting room and repairs them: returns a row for each contradiction it found, and so none when all is well. '
  'Workers call it after a rule has changed and every few minutes.';
revoke execute on function legwork.reconcile() from public;

create function legwork.tick() returns timestamptz
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork.assert_may('operator', true);
  if exists (select from legwork.rule_changes) then
    perform legwork.settle_rules();
  end if;
  perform legwork.note_ids();
  perform legwork.expire_jobs();
  perform legwork.deliver_signals();
  perform legwork.expire_workflows();
  -- Somebody is at it; come again.
  if not pg_try_advisory_xact_lock(legwork.admission_lock()) then
    return clock_timestamp() + interval '50 milliseconds';
  end if;
  perform legwork.note_due();
  if exists (select from legwork.dependency_checks) then
    perform legwork.check_dependencies();
  end if;
  perform legwork.admit_waiting(2000);
  if exists (select from legwork.run_counts) then
    perform legwork.fold_run_counts();
  end if;
  if exists (select from legwork.wakeups) or exists (select from legwork.dependency_checks) then
    return clock_timestamp() + interval '50 milliseconds';
  end if;
  return least(
    (select w.run_at from legwork.waiting_jobs w where w.held = 'run_at' order by w.run_at limit 1),
    (select a.ring_at from legwork.gate_alarms a order by a.ring_at limit 1),
    (select r.deadline from legwork.workflow_runs r where r.ended_at is null and r.deadline > clock_timestamp() order by r.deadline limit 1));
end $$;
comment on function legwork.tick() is
  'Lets jobs start whose time has come or whose rate limit allows it now, whatever a wakeup was left for, and those that wait for a signal which has come; ends those that have expired. Workers call it every second, '
  'when they are told of wakeups, and at the time that it returns: when it will have something to do next, null when it cannot know. '
  'Needs a transaction that reads committed rows.';
revoke execute on function legwork.tick() from public;
