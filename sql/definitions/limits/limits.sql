-- Settings that operators change while jobs run: limits and pauses of queues and tasks, and the emergency stop.
--
-- A limit or a pause takes effect in the transaction that creates it, for existing jobs too. A transaction that enqueued before and
-- commits after it has not seen it. legwork.tick() checks for such jobs until no such transaction can be left.

create or replace function legwork_private.put_limit(scope text, name text, kind text, key text, max_count integer, per interval) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_id integer;
  v_key text[] := case when key is null then '{}' else string_to_array(key, '.') end;
  v_is_new boolean;
begin
  perform legwork_private.assert_role('operator', true);
  perform legwork_private.assert_target(scope, name);
  if max_count is null or max_count < 1 then
    raise exception 'A limit must be at least 1; got %.', coalesce(max_count::text, 'null') using
      errcode = 'LW400', hint = 'To keep jobs from starting, pause the queue or the task.';
  end if;
  if kind = 'rate' and per is null then
    raise exception 'A rate limit needs a period.' using errcode = 'LW400', hint = 'For example, ''1 minute''.';
  end if;
  perform legwork_private.assert_interval('per', per, '1 millisecond');
  if '' = any (v_key) then
    raise exception 'The key ''%'' has an empty part.', key using
      errcode = 'LW400', hint = 'A key is a path in the payload, such as userId or user.id.';
  end if;
  insert into legwork_private.limits as l (scope, name, kind, key, max_count, per)
  values (put_limit.scope, put_limit.name, put_limit.kind, v_key, put_limit.max_count, put_limit.per)
  on conflict on constraint limits_scope_name_kind_key_key do update set
    max_count = excluded.max_count, per = excluded.per, is_overridden = l.declared_max is not null
  returning l.id, l.xmax = 0 into v_id, v_is_new;
  if not v_is_new then
    insert into legwork_private.wakeups (freed, at_commit)
    select array_agg(distinct l.waits_at), 'wait' from legwork_private.lines l where l.waits_at like v_id || ':%' having count(*) > 0;
  end if;
  perform legwork_private.apply_limits_and_pauses(legwork_private.tasks_in(scope, name));
  return v_id;
end $$;
comment on function legwork_private.put_limit(text, text, text, text, integer, interval) is 'Sets a limit, for limit_concurrency and limit_rate.';
revoke execute on function legwork_private.put_limit(text, text, text, text, integer, interval) from public;

create or replace function legwork.limit_concurrency(max integer, queue text default null, task text default null, key text default null) returns integer
language sql volatile
return legwork_private.put_limit(legwork_private.scope_of(queue, task), coalesce(queue, task), 'concurrency', key, max, null);
comment on function legwork.limit_concurrency(integer, text, text, text) is
  'Lets at most max jobs of a queue or task run at a time, across all workers. With key, at most max for each value at that path in the '
  'payload (userId, user.id). Calling it again changes max. Jobs that are already running are counted and not stopped. Returns the limit''s id. '
  'Raises LW400 for a max below 1, and LW404 for an unknown queue or task.';
revoke execute on function legwork.limit_concurrency(integer, text, text, text) from public;

create or replace function legwork.limit_rate(max integer, per interval, queue text default null, task text default null, key text default null) returns integer
language sql volatile
return legwork_private.put_limit(legwork_private.scope_of(queue, task), coalesce(queue, task), 'rate', key, max, per);
comment on function legwork.limit_rate(integer, interval, text, text, text) is
  'Lets at most max jobs of a queue or task start within any period of the length per. With key, at most max for each value at that path in the '
  'payload. Calling it again changes the limit. Returns the limit''s id. Raises LW400 for a max below 1 or an invalid per, and LW404 for '
  'an unknown queue or task.';
revoke execute on function legwork.limit_rate(integer, interval, text, text, text) from public;

create or replace function legwork.drop_limit(kind text, queue text default null, task text default null, key text default null) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_scope text := legwork_private.scope_of(queue, task);
  v_name text := coalesce(queue, task);
  v_limit legwork_private.limits;
begin
  perform legwork_private.assert_role('operator', true);
  if kind is null or kind not in ('concurrency', 'rate') then
    raise exception '''%'' is not a valid kind of limit.', coalesce(kind, 'null') using errcode = 'LW400', hint = 'Use concurrency or rate.';
  end if;
  perform legwork_private.assert_target(v_scope, v_name);
  select * into v_limit from legwork_private.limits l
  where l.scope = v_scope and l.name = v_name and l.kind = drop_limit.kind and l.max_count is not null
    and l.key = case when drop_limit.key is null then '{}' else string_to_array(drop_limit.key, '.') end;
  if v_limit.id is null then
    return false;
  end if;
  if v_limit.declared_max is null then
    delete from legwork_private.limits l where l.id = v_limit.id;
  else
    -- The task's definition declares this limit. It is kept but marked as removed, so that the next worker to start does not restore it.
    update legwork_private.limits l set max_count = null, is_overridden = true where l.id = v_limit.id;
  end if;
  perform legwork_private.apply_limits_and_pauses(legwork_private.tasks_in(v_scope, v_name));
  return true;
end $$;
comment on function legwork.drop_limit(text, text, text, text) is
  'Removes a limit of a queue or task. A limit that the task''s definition declares stays removed until reset_limits is called. Returns whether there was one. '
  'Raises LW404 for an unknown queue or task.';
revoke execute on function legwork.drop_limit(text, text, text, text) from public;

create or replace function legwork.reset_limits(task text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_role('operator', true);
  perform legwork_private.assert_task(task);
  delete from legwork_private.limits l where l.scope = 'task' and l.name = task and l.declared_max is null;
  update legwork_private.limits l set max_count = l.declared_max, per = l.declared_per, is_overridden = false
  where l.scope = 'task' and l.name = task;
  perform legwork_private.apply_limits_and_pauses(legwork_private.tasks_in('task', task));
end $$;
comment on function legwork.reset_limits(text) is 'Resets a task''s limits to those that its definition declares. Raises LW404 for an unknown task.';
revoke execute on function legwork.reset_limits(text) from public;

create or replace function legwork_private.declare_limits(task text, limits jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_changed integer;
begin
  with wanted as (
    select l.kind, coalesce(l.key, '{}') as key, l.max, l.per
    from jsonb_to_recordset(limits) as l (kind text, key text[], max integer, per interval)
  ), gone as (
    delete from legwork_private.limits l
    where l.scope = 'task' and l.name = task and l.declared_max is not null
      and not exists (select from wanted w where w.kind = l.kind and w.key = l.key)
    returning 1
  ), put as (
    insert into legwork_private.limits as l (scope, name, kind, key, max_count, per, declared_max, declared_per)
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
    perform legwork_private.apply_limits_and_pauses(legwork_private.tasks_in('task', task));
  end if;
end $$;
comment on function legwork_private.declare_limits(text, jsonb) is
  'Sets the limits from a task''s definition: an array of {kind, key, max, per}. Limits that were changed manually stay as they are.';
revoke execute on function legwork_private.declare_limits(text, jsonb) from public;
