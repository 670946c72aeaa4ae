comment on table legwork_private.limit_changes is 'Recent changes of limits and pauses. Older transactions may still enqueue or end jobs without seeing them.';
comment on column legwork_private.limit_changes.id is 'A sequence number that gives the order of the changes.';
comment on column legwork_private.limit_changes.task_ids is 'The affected tasks.';
comment on column legwork_private.limit_changes.xid is 'The transaction that made the change.';
comment on column legwork_private.limit_changes.since is 'The oldest transaction that was open at that time: only it and later transactions can have written jobs without seeing the change. Null if any transaction can.';
comment on column legwork_private.limit_changes.changed_at is 'When the change was made.';
comment on column legwork_private.limit_changes.looked_at is 'Approximately when such jobs were last searched for.';

-- With the owner's rights, like describe_limits: views call it for roles that cannot read the tables.
create or replace function legwork_private.known_queues() returns text[]
language sql stable security definer set search_path = pg_catalog, pg_temp
return array(
  select 'default' union select d.queue from legwork_private.task_definitions d
  union select l.name from legwork_private.limits l where l.scope = 'queue'
  union select p.name from legwork_private.pauses p where p.scope = 'queue');
comment on function legwork_private.known_queues() is 'All known queues: those with a task, a limit or a pause, and default.';
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
    raise exception 'There is no queue named ''%''.', name using
      errcode = 'LW404',
      detail = '{"do": "list_queues"}',
      hint = coalesce('Did you mean ''' || legwork_private.nearest_name(name, v_queues) || '''? ', '')
        || case when legwork_private.confined_tenant() is null and exists (select from legwork_private.graphile_job_queues q where q.queue_name = assert_target.name)
          then format('%L is a serial key, which graphile-worker calls queue_name: its jobs already run one at a time. A queue in Legwork is a group of tasks. To limit a single '
            'task, name the task instead of a queue. ', assert_target.name) else '' end
        || 'A queue exists once a task belongs to it; `select name from legwork.queues` lists them.';
  end if;
end $$;
comment on function legwork_private.assert_target(text, text) is 'Does nothing for a known queue or task. Raises LW404 for an unknown one, suggesting the most similar name.';

create or replace function legwork_private.scope_of(queue text, task text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if (queue is null) = (task is null) then
    raise exception 'Name a queue or a task%.', case when queue is null then '' else ', not both' end using
      errcode = 'LW400', hint = 'For example queue ''mail'', or task ''notify/email''.';
  end if;
  return case when queue is not null then 'queue' else 'task' end;
end $$;
comment on function legwork_private.scope_of(text, text) is 'Returns queue or task, depending on which is given. Raises LW400 unless exactly one is.';

create or replace function legwork_private.describe_limits(scope text, name text) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
return (
  select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
      'kind', l.kind, 'max', l.max_count, 'per', l.per, 'key', nullif(array_to_string(l.key, '.'), ''))) order by l.id)
  from legwork_private.limits l
  where l.scope = describe_limits.scope and l.name = describe_limits.name and l.max_count is not null);
comment on function legwork_private.describe_limits(text, text) is 'The limits of a queue or task, as an array of {kind, max, per, key}. Null if it has none.';
revoke execute on function legwork_private.describe_limits(text, text) from public;

create or replace function legwork_private.tasks_in(scope text, name text) returns integer[]
language sql stable
return array(
  select r.task_id from legwork_private.task_limits r
  where tasks_in.scope = 'all' or (tasks_in.scope = 'queue' and r.queue = tasks_in.name) or (tasks_in.scope = 'task' and r.task = tasks_in.name));
comment on function legwork_private.tasks_in(text, text) is 'graphile-worker''s ids of the tasks to which a limit or a pause of this scope applies.';

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
      -- A frozen row may look younger than it is, which costs only an unnecessary check.
      and (since is null or age(j.xid) <= v_age and j.xid <> all (v_by))
      and case
        when w.job_id is not null then
          -- Limits and pauses are checked when the last dependency has ended.
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
  'Jobs of these tasks that have not started and do not match the current limits and pauses: waiting jobs that have other gates, are in the wrong line or no longer have a '
  'reason to wait, and jobs that are free to start although they are paused or under a new limit. With since, only rows written by that transaction or a later one, except those in by.';
revoke execute on function legwork_private.jobs_against_limits(integer[], bigint, bigint[]) from public;

-- This function and the next one have no planner settings of their own: apply_limits_and_pauses sets them.
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
  'Updates those of these jobs that are in the waiting room: sets the gates from the current limits of their tasks, releases jobs to which no limit or pause applies anymore, and puts the others in a '
  'line, unless they are paused. The caller has locked their rows.';

create or replace function legwork_private.give_slots_to_running_jobs(task_ids integer[]) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  -- Running jobs count against a new limit.
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
comment on function legwork_private.give_slots_to_running_jobs(integer[]) is 'Gives running jobs of these tasks the slots that they do not have yet, even if none is free.';

create or replace function legwork_private.apply_limits_and_pauses(task_ids integer[], since bigint default null, by bigint[] default '{}') returns boolean
language plpgsql volatile security definer
-- There may be one job or a million, and a plan for both would be wrong for one of them. New rows that are not in the statistics must not
-- lead to a nested loop over all pairs.
set search_path = pg_catalog, pg_temp set jit = off set plan_cache_mode = force_custom_plan set enable_nestloop = off as $$
declare
  v_is_settling boolean := by <> '{}';
  v_since bigint;
  v_concerned bigint[];
  v_ids bigint[];
begin
  if not v_is_settling then
    -- Otherwise two transactions that change limits at once could each find nothing to do for a job to which both limits apply.
    perform pg_advisory_xact_lock(legwork_private.limit_changes_lock());
    -- Determined before the jobs are read, because rows of open transactions are not visible. A transaction with an old
    -- snapshot may also miss another one's change.
    v_since := case when current_setting('transaction_isolation') = 'read committed' then pg_snapshot_xmin(pg_current_snapshot())::text::bigint end;
  end if;
  v_concerned := legwork_private.jobs_against_limits(task_ids, since, by);
  -- Every change of a job locks the job's row first and its row in the waiting room second, so that there are no deadlocks.
  -- This waits for jobs that are being fetched, because they are then running and must be counted. Settling skips them and repeats instead, because
  -- an open transaction must not block the waiting room.
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
    -- Slots of removed limits have no effect. They are not deleted in the transaction that removes the limit, because jobs that
    -- have them could not end while it is open.
    delete from legwork_private.slots s
    where not exists (select from legwork_private.limits l where l.id = legwork_private.gate_limit(s.gate) and l.max_count is not null);
  else
    insert into legwork_private.limit_changes (task_ids, since) values (apply_limits_and_pauses.task_ids, v_since);
    -- Makes workers reload the pauses.
    perform pg_notify('legwork', '{"limits":true}');
  end if;
  return cardinality(v_ids) = cardinality(v_concerned) or not exists (
    select from (select unnest(v_concerned) except select unnest(v_ids)) as passed (id)
    join legwork_private.graphile_jobs j on j.id = passed.id
    where j.locked_at is null and j.attempts < j.max_attempts);
end $$;
comment on function legwork_private.apply_limits_and_pauses(integer[], bigint, bigint[]) is
  'Applies the limits and pauses of these tasks to existing jobs. With by, the transactions that changed them, it only settles the changes: it checks the rows written since then '
  'and skips jobs whose rows other sessions have locked. Returns false if it skipped any.';
revoke execute on function legwork_private.apply_limits_and_pauses(integer[], bigint, bigint[]) from public;

create or replace function legwork_private.settle_limit_changes() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_settled bigint[];
  v_tasks integer[];
  v_since bigint;
  v_by bigint[];
  -- A repeatable read transaction keeps the snapshot from its beginning, and does not appear in other snapshots until it writes.
  v_oldest integer := coalesce((
    select max(age(a.backend_xmin)) from pg_stat_activity a
    where a.datname = current_database() and a.pid <> pg_backend_pid()), -1);
begin
  -- Checked often at first, then occasionally, and once more when all transactions that began before the change must have ended. That is only known
  -- for the whole server: a long transaction in another database can delay it.
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
    -- Also the tasks that have limits or pauses now: the change could not see a task that an open transaction was just registering.
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
comment on function legwork_private.settle_limit_changes() is 'Applies limits and pauses to jobs that were enqueued by transactions that had not seen them.';
revoke execute on function legwork_private.settle_limit_changes() from public;
