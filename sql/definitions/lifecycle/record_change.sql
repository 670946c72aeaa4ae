-- History: every job that ends and every attempt that fails is recorded by the database itself.
--
-- Why triggers: a job enqueued by raw SQL and run by a plain graphile-worker is recorded like any other, in the very
-- transaction that ends it; nothing has to be awaited and nothing can be forgotten.
-- Locks: SHARE ROW EXCLUSIVE on graphile-worker's jobs while the triggers are made (writers wait, for
-- milliseconds plus the copy of jobs that have already failed), and ACCESS EXCLUSIVE while its indexes change (as long as it takes to sort the jobs that wait).

create or replace function legwork_private.tg_jobs__record_change() returns trigger
language plpgsql volatile security definer
-- Planning anew for each batch would take longer than the batch. Always by index: a plan that was made while a table was empty would go on reading
-- all of it for each of a hundred thousand jobs.
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
declare
  v_attempt_ended boolean := old.locked_at is not null and new.locked_at is null and new.attempts >= old.attempts;
  v_had_failed boolean := old.locked_at is null and old.attempts >= old.max_attempts;
  v_has_failed boolean := new.locked_at is null and new.attempts >= new.max_attempts;
  -- Releasing a lock leaves run_at where it is or moves it to now at most; failing always moves it ahead.
  v_lost boolean := v_attempt_ended and new.run_at <= now();
  -- A job that was removed or replaced while it ran has no attempt left on purpose (only that touches updated_at).
  v_removed boolean := v_attempt_ended and old.attempts >= old.max_attempts and old.updated_at > old.locked_at;
  v_attempt smallint := old.attempts;
  v_has_limits boolean := exists (select from legwork_private.limits) or exists (select from legwork_private.pauses);
  v_state legwork.job_state := 'failed';
  v_error text := new.last_error;
  v_max_attempts smallint := new.max_attempts;
  v_retry_at timestamptz := new.run_at;
  v_run_at timestamptz;
  v_task text;
  v_queue text;
  v_redact text[];
  v_failure record;
  v_policy record;
  v_cancellation text;
  v_payload json;
  v_stack text;
begin
  -- 1. What Legwork changes itself.
  -- Anybody may make the setting; only the definers know what to make it.
  if current_setting('legwork.admitting', true) <> '' and current_setting('legwork.admitting', true) = legwork_private.admission_pass() then
    return null;
  end if;

  -- 2. It was given another chance, or replaced by a request with its key.
  if v_had_failed and not v_has_failed then
    delete from legwork_private.finished_jobs where id = new.id;
    if found then
      -- It had failed, and not only used its last attempt: another chance is one to wait again for what did not come in time.
      delete from legwork_private.job_steps s where s.job_id = new.id and s.state = 'timed_out';
    end if;
  end if;
  if new.revision <> old.revision and new.key is not null then
    delete from legwork_private.job_entries e where e.job_id = new.id;
    if legwork_private.restart_steps(legwork_private.as_graphile_job(new)) then
      return null;
    end if;
  end if;

  -- 3. It was given back unfinished, replaced or rescheduled: no attempt has ended.
  if old.locked_at is not null and not v_attempt_ended then
    select c.reason into v_cancellation from legwork_private.cancellations c where c.job_id = new.id;
    if found then
      -- It was cancelled while a worker had it, and is given back unfinished.
      perform legwork_private.delete_jobs_as('cancelled', array[new.id], v_cancellation);
      return null;
    end if;
  end if;
  if not v_attempt_ended and (v_had_failed or not v_has_failed) then
    if old.locked_at is not null and not v_has_failed and new.run_at = old.run_at then
      -- A plain graphile-worker gave it back. It keeps its place ahead of those that are due at the same time (see legwork_private.give_back_times). The change comes by here again.
      update legwork_private.graphile_jobs j set run_at = legwork_private.earlier(least(old.run_at, now()), interval '1 microsecond') where j.id = new.id;
      return null;
    end if;
    -- Replaced, rescheduled, revived or given back: it may have to wait for something else now, or still.
    if not v_has_failed and (v_has_limits or exists (select from legwork_private.waiting_jobs w where w.job_id = new.id)
      or exists (select from legwork_private.dependencies d where d.job_id = new.id))
    then
      perform legwork_private.return_to_waiting_room(legwork_private.as_graphile_job(new));
    end if;
    return null;
  end if;

  -- 4. An attempt ended, and the worker says that it does not count.
  select * into v_failure from legwork_private.reported_failures() f where f.id = new.id and v_attempt_ended;

  if v_failure.decision in ('put_back', 'wait') and not v_removed and not exists (select from legwork_private.cancellations c where c.job_id = new.id) then
    -- It has not failed, and the attempt does not count: it was put off by its task, must not run now, or waits for a signal.
    v_run_at := case when v_failure.decision = 'wait' then legwork_private.suspend_job(new.id) else v_failure.retry_at end;
    if v_has_limits and v_run_at is not null then
      perform legwork_private.release_slots(array[new.id], array[v_failure.started_at]);
    end if;
    update legwork_private.graphile_jobs j
    set attempts = greatest(0, j.attempts - 1), last_error = old.last_error, run_at = coalesce(v_run_at, old.run_at - interval '1 microsecond'),
      -- It has started in time.
      flags = case when v_failure.decision = 'wait' then legwork_private.without_expiry(j.flags) else j.flags end
    where j.id = new.id;
    if v_run_at <= clock_timestamp() then
      perform legwork_private.wake_workers(1);
    end if;
    if new.job_queue_id is not null then
      perform legwork_private.wake_workers(1);
    end if;
    return null;
  end if;

  -- 5. What is recorded of it, without what must not be read.
  select t.identifier, d.queue, d.redact into v_task, v_queue, v_redact
  from legwork_private.graphile_tasks t
  left join legwork_private.task_definitions d on d.name = t.identifier
  where t.id = new.task_id;
  -- graphile-worker's clean-up of unused tasks may have taken the name.
  v_task := coalesce(v_task, 'task ' || new.task_id);
  v_queue := coalesce(v_queue, 'default');
  v_stack := v_failure.error_stack;
  if v_attempt_ended and json_typeof(old.payload) = 'array' and (v_failure.failed_entries is not null or new.payload::text <> old.payload::text) then
    perform legwork_private.keep_entries(new.id, old.payload, v_failure.failed_entries, v_failure.entry_results::jsonb);
  end if;
  v_payload := legwork_private.first_payload(new.id, new.payload);
  if v_redact is not null then
    -- What ran is what the job had before: of a batch that failed, only the entries that did are kept.
    v_error := legwork.redact_text(v_error, old.payload, v_redact);
    v_stack := legwork.redact_text(v_stack, old.payload, v_redact);
    v_payload := legwork.redact(v_payload, v_redact);
  end if;

  -- 6. An attempt failed: whether there is another one, and when. Recorded as a failed attempt.
  if v_attempt_ended then
    if v_removed then
      v_attempt := legwork_private.true_attempt(old.id, old.attempts, old.max_attempts, old.updated_at, old.locked_at);
    else
      select * into v_policy from legwork_private.retry_policy(v_task, v_queue);
      -- 25 is what add_job gives a job of which nobody has said how many attempts it has.
      if new.max_attempts = 25 and v_policy.attempts is not null then
        v_max_attempts := v_policy.attempts;
      end if;
      -- A job is run until it ends: that a worker died does not use up its last attempt. How often that may happen is said below.
      if v_lost and new.attempts >= v_max_attempts then
        v_max_attempts := least(new.attempts + 1, 32767);
      end if;
      if v_lost and new.run_at > old.run_at then
        -- graphile-worker releases a stale lock by itself and would send the job behind all that are due.
        v_retry_at := old.run_at - interval '1 microsecond';
      elsif v_failure.retry_at is not null then
        v_retry_at := v_failure.retry_at;
      elsif v_policy.backoff is not null and not v_lost then
        v_retry_at := now() + legwork_private.retry_delay(
          v_policy.backoff, v_policy.delay, v_policy.factor, v_policy.max_delay, v_policy.jitter, new.attempts);
      end if;
      -- The worker says that another attempt is pointless, or the policy does: an error that is not in its list.
      v_has_failed := new.attempts >= v_max_attempts or coalesce(v_failure.decision = 'discard', false)
        or coalesce(not v_failure.labels && v_policy.retry_on, false);
    end if;
    if v_lost then
      v_error := 'The worker did not finish this attempt and its lock was released.';
      if not v_has_failed and 2 <= (
        select count(*) from legwork_private.failed_attempts f
        where f.job_id = new.id and f.error_name = 'WorkerLost' and f.failed_at > new.updated_at
      ) then
        v_has_failed := true;
        v_error := 'Quarantined: three workers died while they ran this job.';
      end if;
    end if;
    select c.reason into v_cancellation from legwork_private.cancellations c where c.job_id = new.id;
    if found then
      v_has_failed := true;
      v_state := 'cancelled';
    end if;

    insert into legwork_private.failed_attempts (
      job_id, attempt, task, queue, error_name, error_message, error_stack, error_code, started_at, failed_at, retry_at,
      worker, tenant, correlation_id
    ) values (
      new.id, v_attempt, v_task, v_queue,
      case when v_lost then 'WorkerLost' else v_failure.error_name end, v_error,
      v_stack, v_failure.error_code, coalesce(v_failure.started_at, old.locked_at),
      coalesce(v_failure.finished_at, clock_timestamp()),
      case when not v_has_failed then case when v_lost then greatest(v_retry_at, now()) else v_retry_at end end, old.locked_by,
      case when new.flags is not null then legwork_private.flag_value(new.flags, 'tenant') end,
      case when new.flags is not null then legwork_private.flag_value(new.flags, 'correlation') end
    );
    if new.job_queue_id is not null then
      perform legwork_private.wake_workers(1);
    end if;
  end if;

  -- 7. It has failed, or was cancelled, for good: recorded as a finished job.
  -- An attempt that ended for good has written this row before it makes the update below, which comes by here again.
  if v_has_failed and not v_had_failed and not exists (select from legwork_private.finished_jobs f where f.id = new.id) then
    insert into legwork_private.finished_jobs (
      id, task, queue, state, priority, attempts, max_attempts, payload, result, error, run_at, created_at, started_at,
      finished_at, worker, job_key, serial_key, tenant, correlation_id, parent_id, fingerprint
    ) values (
      new.id, v_task, v_queue, v_state, new.priority, case when v_attempt_ended then v_attempt else new.attempts end, v_max_attempts, v_payload,
      legwork.redact(legwork_private.all_results(new.id, null), v_redact), coalesce(v_cancellation, v_error),
      case when old.run_at = 'infinity' then coalesce((select w.run_at from legwork_private.waiting_jobs w where w.job_id = new.id), old.run_at)
        else old.run_at end,
      new.created_at, coalesce(v_failure.started_at, old.locked_at),
      coalesce(v_failure.finished_at, clock_timestamp()), old.locked_by, legwork.given_key(new.key),
      (select q.queue_name from legwork_private.graphile_job_queues q where q.id = new.job_queue_id),
      case when new.flags is not null then legwork_private.flag_value(new.flags, 'tenant') end,
      case when new.flags is not null then legwork_private.flag_value(new.flags, 'correlation') end,
      case when new.flags is not null then legwork_private.parent_of(new.flags) end,
      case when v_state = 'failed' then
        legwork_private.fingerprint(v_task, case when v_lost then 'WorkerLost' else v_failure.error_name end, v_error) end
    );
    -- One that was cancelled is deleted below, which closes them.
    if v_state = 'failed' and legwork_private.has_dependants(new.id, new.id) then
      perform legwork_private.close_dependencies(array[new.id], array[v_state]);
    end if;
  end if;

  -- 8. Its slots, and its place in the waiting room.
  if v_has_limits and v_attempt_ended then
    perform legwork_private.release_slots(array[new.id], array[v_failure.started_at]);
  end if;
  if v_has_failed and (v_has_limits or old.run_at = 'infinity') then
    delete from legwork_private.waiting_jobs w where w.job_id = new.id returning w.run_at into v_run_at;
    -- Whoever gives it another chance may not say when.
    if found and not v_attempt_ended and new.run_at = 'infinity' then
      update legwork_private.graphile_jobs j set run_at = v_run_at where j.id = new.id;
    end if;
  end if;

  -- 9. What was decided is written to its row; the update comes by here again.
  if v_attempt_ended then
    if v_state = 'cancelled' then
      perform legwork_private.delete_jobs_as('recorded', array[new.id]);
    elsif v_has_failed then
      -- As permanently_fail_jobs does it: the job is kept, is not fetched again, and all its attempts are there for a retry. Not in
      -- a trigger before the update: that would lock every row that is fetched a second time.
      if new.attempts < new.max_attempts or v_error is distinct from new.last_error or v_max_attempts <> new.max_attempts then
        update legwork_private.graphile_jobs j
        set max_attempts = v_max_attempts, attempts = v_max_attempts, last_error = v_error where j.id = new.id;
      end if;
    elsif v_retry_at <> new.run_at or v_max_attempts <> new.max_attempts then
      update legwork_private.graphile_jobs j set max_attempts = v_max_attempts, run_at = v_retry_at where j.id = new.id;
    end if;
    if v_has_limits and not v_has_failed then
      perform legwork_private.send_to_waiting_room(array[new.id]);
    end if;
  end if;
  return null;
end $$;
comment on function legwork_private.tg_jobs__record_change() is
  'Records an attempt that ended without completing its job, decides by the retry policy when the next one is due or that there is none, and '
  'records a job that has failed for good and the return of one that was given another chance.';
revoke execute on function legwork_private.tg_jobs__record_change() from public;

-- One trigger for all that a change of a row may mean, because each costs every job that is fetched. Fetching falls out at the
-- first condition. What admit_waiting and apply_limits_and_pauses do themselves, who say so in a setting, is let pass by the function; send_to_waiting_room sets infinity.
comment on table legwork_private.undo_statements is 'The statements with which uninstalling gives graphile-worker''s own objects the form back that they had before Legwork.';
comment on column legwork_private.undo_statements.id is 'The last one is run first.';
comment on column legwork_private.undo_statements.statement is 'One statement; it does nothing where its object is gone.';
