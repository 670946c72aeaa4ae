comment on table legwork_private.limit_changes is 'Limits and pauses that were changed lately: older transactions may still enqueue, or end a job, without knowing of them.';
comment on column legwork_private.limit_changes.id is 'In the order they were made.';
comment on column legwork_private.limit_changes.task_ids is 'The tasks concerned.';
comment on column legwork_private.limit_changes.xid is 'The transaction that made the change.';
comment on column legwork_private.limit_changes.since is 'The oldest transaction that was open then: only it and later ones may have written jobs without knowing of the change. Null: any may.';
comment on column legwork_private.limit_changes.changed_at is 'When.';
comment on column legwork_private.limit_changes.looked_at is 'When such jobs were looked for last, roughly.';

-- With the owner's rights, as describe_limits: views call it for readers who may not read the tables.
create or replace function legwork_private.known_queues() returns text[]
language sql stable security definer set search_path = pg_catalog, pg_temp
return array(
  select 'default' union select d.queue from legwork_private.task_definitions d
  union select l.name from legwork_private.limits l where l.scope = 'queue'
  union select p.name from legwork_private.pauses p where p.scope = 'queue');
comment on function legwork_private.known_queues() is 'The queues that a task belongs to, default, and those that have a limit or a pause.';
revoke execute on function legwork_private.known_queues() from public;

create or replace function legwork_private.assert_target(scope text, name text) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_queues text[];
begin
  if scope = 'task' then
    perform legwork_private.assert_task(name);
    return;
  end if;
  v_queues := legwork_private.known_queues();
  if name is null or name <> all (v_queues) then
    raise exception 'No queue is called ''%''.', name using
      errcode = 'LW404',
      hint = coalesce('Did you mean ''' || legwork_private.nearest_name(name, v_queues) || '''? ', '')
        || case when legwork_private.confined_tenant() is null and exists (select from legwork_private.graphile_job_queues q where q.queue_name = assert_target.name)
          then format('%L is a serial key, graphile-worker''s queue_name: its jobs run one at a time already. A queue of Legwork is a group of tasks; a limit of one '
            'task is given as task => ''…''. ', assert_target.name) else '' end
        || 'A queue is known once a task belongs to it; select name from legwork.queues lists them.';
  end if;
end $$;
comment on function legwork_private.assert_target(text, text) is 'Does nothing for a queue or task that is known. Raises LW404 with the nearest name for an unknown one.';

create or replace function legwork_private.scope_of(queue text, task text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if (queue is null) = (task is null) then
    raise exception 'Name a queue or a task%.', case when queue is null then '' else ', not both' end using
      errcode = 'LW400', hint = 'For example queue => ''mail'', or task => ''notify/email''.';
  end if;
  return case when queue is not null then 'queue' else 'task' end;
end $$;
comment on function legwork_private.scope_of(text, text) is 'queue or task, whichever is named. Raises LW400 unless it is exactly one.';

create or replace function legwork_private.describe_limits(scope text, name text) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
return (
  select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
      'kind', l.kind, 'max', l.max_count, 'per', l.per, 'key', nullif(array_to_string(l.key, '.'), ''))) order by l.id)
  from legwork_private.limits l
  where l.scope = describe_limits.scope and l.name = describe_limits.name and l.max_count is not null);
comment on function legwork_private.describe_limits(text, text) is 'The limits of a queue or task as an array of {kind, max, per, key}; null for none.';
revoke execute on function legwork_private.describe_limits(text, text) from public;

create or replace function legwork_private.tasks_in(scope text, name text) returns integer[]
language sql stable
return array(
  select r.task_id from legwork_private.task_limits r
  where tasks_in.scope = 'all' or (tasks_in.scope = 'queue' and r.queue = tasks_in.name) or (tasks_in.scope = 'task' and r.task = tasks_in.name));
comment on function legwork_private.tasks_in(text, text) is 'graphile-worker''s ids of the tasks that a limit or a pause of this scope concerns.';

create or replace function legwork_private.limit_changes_lock() returns bigint
language sql immutable parallel safe
return legwork_private.admission_lock() + 1;
comment on function legwork_private.limit_changes_lock() is 'The key of the advisory lock under which limits and pauses are applied: one transaction at a time.';

create or replace function legwork_private.jobs_against_limits(task_ids integer[], since bigint, by bigint[]) returns bigint[]
language plpgsql volatile set search_path = pg_catalog, pg_temp set jit = off set plan_cache_mode = force_custom_plan as $$
declare
  v_age integer := age(since::text::xid8::xid);
  v_by xid[] := by::text[]::xid8[]::xid[];
begin
  return array(
    with limited_tasks as materialized (
      select r.task_id, r.is_paused, r.limits from legwork_private.task_limits r where r.task_id = any (task_ids)
    )
    select j.id
    from legwork_private.graphile_jobs j
    join limited_tasks r on r.task_id = j.task_id
    left join legwork_private.waiting_jobs w on w.job_id = j.id
    where j.locked_at is null and j.attempts < j.max_attempts
      -- A frozen row may look younger than it is, which costs a look and nothing more.
      and (since is null or age(j.xid) <= v_age and j.xid <> all (v_by))
      and case
        when w.job_id is not null then
          -- Limits and pauses are looked at when the last dependency has ended.
          w.held is distinct from 'dependency' and (
          r.is_paused <> coalesce(w.held = 'paused', false)
          or (r.limits = '{}' and (not r.is_paused or w.gates <> '{}'))
          or (r.limits <> '{}'
            and w.gates <> array(select legwork_private.gate(l.id, l.key, j.payload) from legwork_private.limits l where l.id = any (r.limits) order by l.id)))
        else r.is_paused or cardinality(r.limits) > (
          select count(*) from legwork_private.slots s
          where s.job_id = j.id and s.free_at is null and legwork_private.gate_limit(s.gate) = any (r.limits))
      end);
end $$;
comment on function legwork_private.jobs_against_limits(integer[], bigint, bigint[]) is
  'Jobs of these tasks that have not started and to which limits and pauses do something else than has been done: those that wait, for other gates, in another line or with no '
  'reason to wait any more; those that are free to start, for being paused or under a new limit. With since, only among rows that transaction or a later one wrote, except those in by.';
revoke execute on function legwork_private.jobs_against_limits(integer[], bigint, bigint[]) from public;

-- Without settings for the planner: apply_limits_and_pauses makes those that hold for this and the next one.
create or replace function legwork_private.update_waiting_jobs(task_ids integer[], job_ids bigint[]) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_released integer;
begin
  perform set_config('legwork.admitting', legwork_private.admission_pass(), true);
  with limited_tasks as materialized (
    select r.* from legwork_private.task_limits r where r.task_id = any (task_ids)
  ), waiting as materialized (
    select w.job_id, r.is_paused, w.run_at,
      array(select legwork_private.gate(l.id, l.key, j.payload) from legwork_private.limits l where l.id = any (r.limits) order by l.id) as gates,
      case when j.flags is not null then legwork_private.flag_value(j.flags, 'tenant') end as tenant
    from legwork_private.waiting_jobs w
    join limited_tasks r on r.task_id = w.task_id
    join legwork_private.graphile_jobs j on j.id = w.job_id
    where w.job_id = any (job_ids) and w.held is distinct from 'dependency'
  ), free as (
    delete from legwork_private.waiting_jobs w using waiting c
    where w.job_id = c.job_id and not c.is_paused and c.gates = '{}'
    returning w.job_id, w.run_at
  ), released as (
    update legwork_private.graphile_jobs j set run_at = f.run_at
    from free f where j.id = f.job_id
    returning j.id
  ), kept as (
    update legwork_private.waiting_jobs w set gates = c.gates, line = legwork_private.line_of(c.gates, c.tenant),
      held = case when c.is_paused then 'paused' when c.run_at > clock_timestamp() then 'run_at' end
    from waiting c
    where w.job_id = c.job_id and (c.is_paused or c.gates <> '{}')
    returning w.line, w.gates, w.held
  ), woken as (
    insert into legwork_private.wakeups (line, gates, at_commit)
    select k.line, k.gates, case when row_number() over () = 1 then 'wait' end
    from kept k where k.held is null group by k.line, k.gates
  )
  select count(*) into v_released from released;
  perform set_config('legwork.admitting', '', true);
  if v_released > 0 then
    perform legwork_private.wake_workers(v_released);
  end if;
end $$;
comment on function legwork_private.update_waiting_jobs(integer[], bigint[]) is
  'Gives those of these jobs that are in the waiting room the gates that the limits of their tasks are now, takes out those that nothing concerns any more, and lets the others stand in '
  'line, or not while they are paused. Its caller has locked their rows.';

create or replace function legwork_private.give_slots_to_running_jobs(task_ids integer[]) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  -- Jobs that run count for a limit that is new.
  with limited_tasks as materialized (
    select r.task_id, r.limits from legwork_private.task_limits r where r.task_id = any (task_ids) and r.limits <> '{}'
  )
  insert into legwork_private.slots (gate, job_id, per)
  select legwork_private.gate(l.id, l.key, j.payload), j.id, l.per
  from legwork_private.graphile_jobs j
  join limited_tasks r on r.task_id = j.task_id
  join legwork_private.limits l on l.id = any (r.limits)
  where j.locked_at is not null
    and not exists (select from legwork_private.slots s where s.job_id = j.id and s.gate = legwork_private.gate(l.id, l.key, j.payload));
end $$;
comment on function legwork_private.give_slots_to_running_jobs(integer[]) is 'Gives jobs of these tasks that run the slots which they have not got yet, without asking whether there is one.';

create or replace function legwork_private.apply_limits_and_pauses(task_ids integer[], since bigint default null, by bigint[] default '{}') returns boolean
language plpgsql volatile security definer
-- One job or a million: a plan for both would be wrong for one of them, and what the statistics do not know yet must not become a
-- join of each with each.
set search_path = pg_catalog, pg_temp set jit = off set plan_cache_mode = force_custom_plan set enable_nestloop = off as $$
declare
  v_is_settling boolean := by <> '{}';
  v_since bigint;
  v_concerned bigint[];
  v_ids bigint[];
begin
  if not v_is_settling then
    -- Two that change limits at once would each find nothing to do for a job that both limits together concern.
    perform pg_advisory_xact_lock(legwork_private.limit_changes_lock());
    -- Asked before the jobs are looked at: rows of a transaction that is not over yet are not seen. One that reads on in an old
    -- snapshot may also miss another's change.
    v_since := case when current_setting('transaction_isolation') = 'read committed' then pg_snapshot_xmin(pg_current_snapshot())::text::bigint end;
  end if;
  v_concerned := legwork_private.jobs_against_limits(task_ids, since, by);
  -- Everybody who changes a job locks its row first and what is said of it in the waiting room afterwards, so that nobody deadlocks.
  -- A job that is being fetched is waited for: it runs then and must be counted. Whoever settles comes again instead, because an
  -- open transaction must not keep the waiting room from being looked after.
  if v_is_settling then
    v_ids := array(
      select j.id from legwork_private.graphile_jobs j
      where j.id = any (v_concerned) and j.locked_at is null and j.attempts < j.max_attempts
      order by j.id for update skip locked);
  else
    v_ids := array(
      select j.id from legwork_private.graphile_jobs j
      where j.id = any (v_concerned) and j.locked_at is null and j.attempts < j.max_attempts
      order by j.id for update);
  end if;

  if v_ids <> '{}' then
    perform legwork_private.update_waiting_jobs(task_ids, v_ids);
    perform legwork_private.send_to_waiting_room(
      array(
        with limited_tasks as materialized (
          select r.task_id, r.is_paused, r.limits from legwork_private.task_limits r
          where r.task_id = any (task_ids) and (r.is_paused or r.limits <> '{}')
        )
        select j.id from legwork_private.graphile_jobs j
        join limited_tasks r on r.task_id = j.task_id
        where j.id = any (v_ids) and not exists (select from legwork_private.waiting_jobs w where w.job_id = j.id)
          and (r.is_paused or cardinality(r.limits) > (
            select count(*) from legwork_private.slots s
            where s.job_id = j.id and s.free_at is null and legwork_private.gate_limit(s.gate) = any (r.limits)))),
      'wait');
  end if;

  perform legwork_private.give_slots_to_running_jobs(task_ids);
  if v_is_settling then
    -- Slots of limits that are gone count for nothing. Not in the transaction that drops the limit: while that is open, the jobs that
    -- have them could not end.
    delete from legwork_private.slots s
    where not exists (select from legwork_private.limits l where l.id = legwork_private.gate_limit(s.gate) and l.max_count is not null);
  else
    insert into legwork_private.limit_changes (task_ids, since) values (apply_limits_and_pauses.task_ids, v_since);
    -- Workers read anew what is paused.
    perform pg_notify('legwork', '{"limits":true}');
  end if;
  return cardinality(v_ids) = cardinality(v_concerned) or not exists (
    select from (select unnest(v_concerned) except select unnest(v_ids)) as passed (id)
    join legwork_private.graphile_jobs j on j.id = passed.id
    where j.locked_at is null and j.attempts < j.max_attempts);
end $$;
comment on function legwork_private.apply_limits_and_pauses(integer[], bigint, bigint[]) is
  'Makes the limits and pauses of these tasks hold for the jobs that are there already. With by, the transactions that changed them, it only settles: it looks at what was written since, '
  'and passes over jobs whose rows others hold. Returns whether none was.';
revoke execute on function legwork_private.apply_limits_and_pauses(integer[], bigint, bigint[]) from public;

create or replace function legwork_private.settle_limit_changes() returns void
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
      from legwork_private.limit_changes r for update skip locked
    ) c
    where c.is_settled or c.changed_at > clock_timestamp() - interval '5 seconds' or c.looked_at < clock_timestamp() - interval '5 seconds'
  ), noted as (
    update legwork_private.limit_changes r set looked_at = clock_timestamp()
    from changes c where r.id = c.id and not c.is_settled and c.looked_at < clock_timestamp() - interval '5 seconds'
  )
  select array(select c.id from changes c where c.is_settled),
    -- Those that have limits or pauses now as well: of a task that an open transaction was just making known, the change did not know.
    array(select t from changes c, unnest(c.task_ids) t union select r.task_id from legwork_private.task_limits r where r.is_paused or r.limits <> '{}'),
    (select case when bool_and(c.since is not null) then min(c.since) end from changes c), array(select distinct c.xid from changes c)
  into v_settled, v_tasks, v_since, v_by;
  if v_by = '{}' then
    return;
  end if;
  if legwork_private.apply_limits_and_pauses(v_tasks, v_since, v_by) and v_settled <> '{}' then
    delete from legwork_private.limit_changes c where c.id = any (v_settled);
    perform legwork.reconcile();
  end if;
end $$;
comment on function legwork_private.settle_limit_changes() is 'Finds the jobs that were enqueued by transactions which did not see a limit or a pause yet.';
revoke execute on function legwork_private.settle_limit_changes() from public;
