create or replace function legwork_private.tg_jobs__record_finished() returns trigger
language plpgsql volatile security definer
-- Planning the queries again for each batch would take longer than executing them.
set search_path = pg_catalog, pg_temp set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  v_context text;
  v_unheld bigint;
  v_stale bigint;
  v_serial bigint;
  v_waiting bigint;
  v_first bigint;
  v_last bigint;
  v_has_entries boolean;
  -- The state of a job that no worker held: it was removed, unless complete_jobs or the setting legwork.ended_as says otherwise.
  v_end legwork.job_state := 'cancelled';
  v_is_removed_by_key boolean := false;
  v_ended_as text := nullif(current_setting('legwork.ended_as', true), '');
begin
  -- 1. What the batch contains, so that the later steps run only if they are needed.
  select count(*) filter (where g.locked_at is null), count(*) filter (where g.locked_at < now() - interval '4 hours'),
    count(g.job_queue_id), count(*) filter (where g.run_at = 'infinity'), min(g.id), max(g.id)
  into v_unheld, v_stale, v_serial, v_waiting, v_first, v_last
  from gone g;
  if v_first is null then
    return null;
  end if;
  v_has_entries := exists (select from legwork_private.job_entries);

  -- 2. The state of jobs that no worker reports on.
  -- graphile-worker's own functions change a job only if it is not locked or its lock is older than four hours.
  if v_ended_as in ('cancelled', 'expired') then
    v_end := v_ended_as::legwork.job_state;
  elsif v_ended_as = 'dependency' then
    v_end := 'cancelled';
  elsif v_unheld > 0 or v_stale > 0 then
    get diagnostics v_context = pg_context;
    -- Matches lines of the call stack in any language of server messages: SQL function "complete_jobs" statement 1.
    v_is_removed_by_key := v_context ~ '(?n)^PL/pgSQL\S* .*\mremove_job\(text\)';
    if v_context ~ '(?n)^\S*SQL\S*( \S+)? ["«»„“]complete_jobs["«»“”]' then
      v_end := 'completed';
    elsif not v_is_removed_by_key and v_unheld = 0 then
      -- Completed by a plain worker that took more than four hours.
      v_end := 'completed';
    end if;
  end if;
  if v_unheld > 0 or v_stale > 0 then
    -- A failed job is already in the history. It stays there as failed if it is discarded, but not if it turns
    -- out to have completed after all.
    delete from legwork_private.finished_jobs f
    using gone g
    where f.id = g.id and g.locked_at is null and g.attempts >= g.max_attempts
      and (v_end = 'completed' or exists (select from legwork_private.reported_completions() o where o.id = g.id));
  end if;

  -- 3. The history.
  if v_ended_as is distinct from 'recorded' then
    insert into legwork_private.finished_jobs (
      id, task, queue, state, priority, attempts, max_attempts, payload, result, error, run_at, created_at, started_at,
      finished_at, worker, job_key, serial_key, tenant, correlation_id, parent_id, traceparent
    )
    select
      g.id, coalesce(t.identifier, 'task ' || g.task_id), coalesce(d.queue, 'default'),
      case when o.id is not null or g.locked_at >= now() - interval '4 hours' then 'completed' else v_end end,
      g.priority,
      case when g.attempts >= g.max_attempts and g.updated_at > g.locked_at
        then legwork_private.true_attempt(g.id, g.attempts, g.max_attempts, g.updated_at, g.locked_at) else g.attempts end,
      g.max_attempts,
      -- Redacted values never get here. Most tasks redact nothing, which costs only a check for null.
      case when v_has_entries and g.last_error is not null then legwork.redact(legwork_private.first_payload(g.id, g.payload), d.redact)
        when d.redact is null then g.payload else legwork.redact(g.payload, d.redact) end,
      case when v_has_entries and g.last_error is not null then legwork.redact(legwork_private.all_results(g.id, o.result), d.redact)
        when d.redact is null then o.result else legwork.redact(o.result, d.redact) end,
      -- Failures before the completion are recorded as attempts.
      case when o.id is not null or g.locked_at >= now() - interval '4 hours' or v_end = 'completed' then null
        when v_end = 'expired' and g.locked_at is null then
          'It had not started by ' || to_char(legwork_private.expiry_of(g.flags) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC.'
        when v_ended_as = 'dependency' then legwork_private.dependency_failure(g.id)
        when v_ended_as is not null and current_setting('legwork.end_reason', true) <> '' then current_setting('legwork.end_reason', true)
        when v_ended_as is null then format('Removed by %s with %s.', legwork_private.current_actor(),
          case when v_is_removed_by_key then 'graphile_worker.remove_job' else 'a statement that deleted its row' end)
        when d.redact is null then g.last_error else legwork.redact_text(g.last_error, g.payload, d.redact) end,
      -- The waiting room has the actual run_at of a job that waited there.
      case when g.run_at = 'infinity' then coalesce((select w.run_at from legwork_private.waiting_jobs w where w.job_id = g.id), g.run_at)
        else g.run_at end,
      g.created_at, coalesce(o.started_at, g.locked_at), coalesce(o.finished_at, clock_timestamp()), g.locked_by, legwork.given_key(g.key),
      case when g.job_queue_id is not null then
        (select q.queue_name from legwork_private.graphile_job_queues q where q.id = g.job_queue_id)
      end,
      case when g.flags is not null then legwork_private.flag_value(g.flags, 'tenant') end,
      case when g.flags is not null then legwork_private.flag_value(g.flags, 'correlation') end,
      case when g.flags is not null then legwork_private.parent_of(g.flags) end,
      case when g.flags is not null then legwork_private.flag_value(g.flags, 'trace') end
    -- A full join, which Postgres cannot execute as a nested loop: the plan is made once per connection, and a plan made for a first batch of a
    -- single job would scan all reported rows for each of five hundred jobs. Reported jobs that were not deleted are excluded below, with a condition
    -- that does not turn it into a left join.
    from gone g
    full join legwork_private.reported_completions() o on o.id = g.id
    left join legwork_private.graphile_tasks t on t.id = g.task_id
    left join legwork_private.task_definitions d on d.name = t.identifier
    where coalesce(g.id, 0) <> 0
      and (g.locked_at is not null or g.attempts < g.max_attempts or v_end = 'completed' or o.id is not null);
  end if;

  -- 4. Other rows of these jobs, the jobs that wait for them, and their slots.
  if v_waiting > 0 then
    delete from legwork_private.waiting_jobs w using gone g where w.job_id = g.id;
  end if;
  if v_has_entries then
    delete from legwork_private.job_entries e using gone g where e.job_id = g.id;
  end if;
  if exists (select from legwork_private.step_secrets) then
    delete from legwork_private.step_secrets x using gone g where x.job_id = g.id;
  end if;
  -- If no job waits for another, this only checks an empty table. Otherwise it is one index lookup for the whole batch.
  if (exists (select from legwork_private.dependencies) or current_setting('transaction_isolation') <> 'read committed')
    and legwork_private.has_dependants(v_first, v_last)
  then
    perform legwork_private.close_dependencies(array_agg(g.id),
      array_agg(case when o.id is not null and v_ended_as is distinct from 'recorded' or g.locked_at >= now() - interval '4 hours'
        then 'completed' else v_end end),
      v_ended_as is not distinct from 'dependency')
    from gone g
    full join legwork_private.reported_completions() o on o.id = g.id
    -- A job that had failed ended earlier and is now being discarded.
    where coalesce(g.id, 0) <> 0 and (g.locked_at is not null or g.attempts < g.max_attempts or v_ended_as = 'recorded');
  end if;
  if legwork_private.is_invoked(v_first, v_last) then
    perform legwork_private.record_child_ends(array_agg(g.id))
    from gone g
    -- A job that had failed ended earlier and is now being discarded.
    where g.locked_at is not null or g.attempts < g.max_attempts or v_ended_as = 'recorded';
  end if;
  if v_end = 'cancelled' and (v_ended_as is not null or v_unheld > 0) and exists (select from legwork_private.job_steps s where s.child_id is not null) then
    perform legwork_private.cancel_children(array_agg(g.id))
    from gone g
    where exists (select from legwork_private.finished_jobs f where f.id = g.id and f.state = 'cancelled')
    having count(*) > 0;
  end if;
  if legwork_private.is_awaited(v_first, v_last) then
    perform legwork_private.notify_waiters(array_agg(g.id)) from gone g;
  end if;
  if exists (select from legwork_private.limits) then
    perform legwork_private.release_slots(array_agg(g.id), array_agg(o.started_at))
    from gone g
    full join legwork_private.reported_completions() o on o.id = g.id
    where coalesce(g.id, 0) <> 0 and g.task_id in (select r.task_id from legwork_private.task_limits r where r.limits <> '{}')
    having count(*) > 0;
  end if;

  -- The next job with the same serial key is now ready to run. A worker that fetches ahead looked before this commit and found the key
  -- taken. Without a notification it would check again only after its poll interval.
  if v_serial > 0 then
    perform legwork_private.wake_workers(v_serial::integer);
  end if;
  return null;
end $$;
comment on function legwork_private.tg_jobs__record_finished() is
  'Writes jobs that were deleted from graphile-worker''s job table to legwork_private.finished_jobs: as completed if a worker or complete_jobs deleted them, and as cancelled otherwise. '
  'The setting legwork.ended_as overrides this: cancelled or expired, with legwork.end_reason as the error; dependency, for cancelled because of a dependency; or recorded, for jobs already in the history.';

-- Otherwise any role that can create a table could write history with the owner's rights, through a trigger on that table.
revoke execute on function legwork_private.tg_jobs__record_finished() from public;
