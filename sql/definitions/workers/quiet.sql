-- Quieting and draining workers: a worker that is about to be replaced, or whose host has problems, takes no new jobs and finishes those it runs.
--
-- The response to the worker's next heartbeat tells it to stop taking jobs. A notification makes it send that heartbeat at once.

create or replace function legwork_private.set_worker_state(worker text, state text) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_worker legwork_private.worker_processes;
  v_others text;
begin
  perform legwork_private.assert_role('operator', true);
  select * into v_worker from legwork_private.worker_processes w
  where w.id = worker or w.host || ':' || w.pid = worker
  order by w.id = worker desc, w.started_at desc limit 1 for update;
  if v_worker.id is null then
    select string_agg(w.host || ':' || w.pid, ', ') into v_others
    from (select x.host, x.pid from legwork_private.worker_processes x order by x.started_at limit 5) w;
    raise exception 'There is no running worker named ''%''.', coalesce(worker, 'null') using
      errcode = 'LW404', detail = jsonb_build_object('do', 'list_workers')::text,
      hint = case when v_others is null then 'No Legwork worker is running.'
        else 'A worker is named by its id or by host:pid, for example ' || v_others || '. `select id, name from legwork.workers` lists them.' end;
  end if;
  if v_worker.state = set_worker_state.state then
    return v_worker.state;
  end if;
  update legwork_private.worker_processes w set
    state = set_worker_state.state,
    quiet_since = case when set_worker_state.state <> 'active' then coalesce(w.quiet_since, clock_timestamp()) end,
    quiet_by = case when set_worker_state.state <> 'active' then legwork_private.current_actor() end
  where w.id = v_worker.id;
  perform legwork_private.audit(
    case set_worker_state.state when 'quiet' then 'quiet_worker' when 'draining' then 'drain_worker' else 'resume_worker' end,
    'worker', v_worker.id, jsonb_build_object('state', v_worker.state),
    jsonb_build_object('state', set_worker_state.state, 'host', v_worker.host, 'pid', v_worker.pid));
  perform pg_notify('legwork', json_build_object('worker', v_worker.id)::text);
  return v_worker.state;
end $$;
comment on function legwork_private.set_worker_state(text, text) is
  'Sets a worker''s state to active, quiet or draining, for quiet_worker, resume_worker and drain_worker. Returns its previous state.';
revoke execute on function legwork_private.set_worker_state(text, text) from public;

create or replace function legwork.quiet_worker(worker text) returns void
language sql volatile
begin atomic
  select legwork_private.set_worker_state(quiet_worker.worker, 'quiet');
end;
comment on function legwork.quiet_worker(text) is
  'Makes a worker quiet: from a second after the commit it takes no new jobs, returns those that it has only fetched to the queue, and keeps running the others, until resume_worker. '
  'It keeps doing its share of regular work, such as firing schedules. The worker is named by its id or by host:pid. A process that is started again is not quiet. '
  'Raises LW404 for a worker that is not running. Example: select legwork.quiet_worker(''mail-1:4211'')';
revoke execute on function legwork.quiet_worker(text) from public;

create or replace function legwork.drain_worker(worker text) returns void
language sql volatile
begin atomic
  select legwork_private.set_worker_state(drain_worker.worker, 'draining');
end;
comment on function legwork.drain_worker(text) is
  'Makes a worker quiet, and stops it when the last of its running jobs has ended: the process of `legwork worker` then exits with code 0. '
  'Until then, resume_worker undoes this. Raises LW404 for a worker that is not running.';
revoke execute on function legwork.drain_worker(text) from public;

create or replace function legwork.resume_worker(worker text) returns boolean
language sql volatile
begin atomic
  select legwork_private.set_worker_state(resume_worker.worker, 'active') <> 'active';
end;
comment on function legwork.resume_worker(text) is
  'Makes a quiet or draining worker take jobs again, within about a second. Returns whether it was quiet or draining. Raises LW404 for a worker that is not running.';
revoke execute on function legwork.resume_worker(text) from public;
