comment on table legwork_private.pauses is 'Paused queues and tasks, and the emergency stop. Change them with pause_queue, resume_queue and the similar functions.';
comment on column legwork_private.pauses.scope is 'all, queue or task.';
comment on column legwork_private.pauses.name is 'The queue or the task. Empty for all.';
comment on column legwork_private.pauses.reason is 'The reason, as the operator gave it.';
comment on column legwork_private.pauses.paused_by is 'The actor who paused it, as in the audit log.';
comment on column legwork_private.pauses.paused_at is 'When it was paused.';
comment on column legwork_private.pauses.reason_by is 'The actor who paused it again with another reason; null if it is still the first reason.';
comment on column legwork_private.pauses.reason_at is 'When it was last paused again; null if it was paused once.';

create or replace function legwork_private.put_pause(scope text, name text, reason text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_role('operator', true);
  if scope <> 'all' then
    perform legwork_private.assert_target(scope, name);
  end if;
  insert into legwork_private.pauses as p (scope, name, reason) values (put_pause.scope, put_pause.name, put_pause.reason)
  on conflict on constraint pauses_pkey do update set
    reason = excluded.reason, reason_by = excluded.paused_by, reason_at = excluded.paused_at
  where excluded.reason is not null and (excluded.reason, excluded.paused_by) is distinct from (p.reason, coalesce(p.reason_by, p.paused_by));
  perform legwork_private.apply_limits_and_pauses(legwork_private.tasks_in(scope, name));
end $$;
comment on function legwork_private.put_pause(text, text, text) is 'Adds a pause, for pause_queue, pause_task and emergency_stop.';
revoke execute on function legwork_private.put_pause(text, text, text) from public;

create or replace function legwork_private.lift_pause(scope text, name text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_role('operator', true);
  if scope <> 'all' then
    perform legwork_private.assert_target(scope, name);
  end if;
  delete from legwork_private.pauses p where p.scope = lift_pause.scope and p.name = lift_pause.name;
  if not found then
    return false;
  end if;
  perform legwork_private.apply_limits_and_pauses(legwork_private.tasks_in(scope, name));
  return true;
end $$;
comment on function legwork_private.lift_pause(text, text) is 'Removes a pause, for resume_queue, resume_task and resume_all.';
revoke execute on function legwork_private.lift_pause(text, text) from public;

create or replace function legwork.pause_queue(queue text, reason text default null) returns void
language sql volatile return legwork_private.put_pause('queue', queue, reason);
comment on function legwork.pause_queue(text, text) is
  'Pauses a queue: from 300 ms after the commit, no worker starts any of its jobs. Running jobs finish, no job is lost, and enqueueing continues. '
  'Calling it again with another reason replaces the reason and the actor, but not the time of the pause; without a reason, it changes nothing. Raises LW404 for an unknown queue.';
revoke execute on function legwork.pause_queue(text, text) from public;

create or replace function legwork.resume_queue(queue text) returns boolean
language sql volatile return legwork_private.lift_pause('queue', queue);
comment on function legwork.resume_queue(text) is
  'Resumes a queue: its jobs start again, unless their task is paused too or there is an emergency stop. Returns whether it was paused. Raises LW404 for an unknown queue.';
revoke execute on function legwork.resume_queue(text) from public;

create or replace function legwork.pause_task(task text, reason text default null) returns void
language sql volatile return legwork_private.put_pause('task', task, reason);
comment on function legwork.pause_task(text, text) is 'Pauses a task, like pause_queue. Raises LW404 for an unknown task.';
revoke execute on function legwork.pause_task(text, text) from public;

create or replace function legwork.resume_task(task text) returns boolean
language sql volatile return legwork_private.lift_pause('task', task);
comment on function legwork.resume_task(text) is
  'Resumes a task: its jobs start again, unless its queue is paused too or there is an emergency stop. Returns whether it was paused. Raises LW404 for an unknown task.';
revoke execute on function legwork.resume_task(text) from public;

create or replace function legwork.emergency_stop(reason text default null) returns void
language sql volatile return legwork_private.put_pause('all', '', reason);
comment on function legwork.emergency_stop(text) is 'Pauses everything, like pause_queue for every queue. Running jobs finish. resume_all() ends the stop.';
revoke execute on function legwork.emergency_stop(text) from public;

create or replace function legwork.resume_all() returns boolean
language sql volatile return legwork_private.lift_pause('all', '');
comment on function legwork.resume_all() is
  'Ends an emergency stop. Queues and tasks that were paused individually stay paused, with their reasons. Returns whether there was a stop.';
revoke execute on function legwork.resume_all() from public;

create or replace function legwork_private.emergency_stop_details() returns table (stopped_at timestamptz, stopped_by text, stop_reason text)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select p.paused_at, coalesce(p.reason_by, p.paused_by), p.reason from legwork_private.pauses p where p.scope = 'all';
end;
comment on function legwork_private.emergency_stop_details() is 'The emergency stop, with its actor and reason. Returns no row if nothing is stopped.';
revoke execute on function legwork_private.emergency_stop_details() from public;
