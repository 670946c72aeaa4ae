-- History: every job that ends and every attempt that fails is recorded by the database itself.
--
-- Why triggers: a job enqueued by raw SQL and run by a plain graphile-worker is recorded like any other, in the same
-- transaction that ends it. No other process is involved, and nothing can be forgotten.
-- Locks: SHARE ROW EXCLUSIVE on graphile-worker's jobs while the triggers are created (writers wait for
-- milliseconds, plus the time to copy the jobs that have already failed), and ACCESS EXCLUSIVE while its indexes change (for as long as sorting the
-- waiting jobs takes).

create or replace function legwork_private.tg_jobs__record_change() returns trigger
language plpgsql volatile security definer
-- Planning the queries again for each batch would take longer than executing them. Always uses indexes: a plan that was made while a table was empty
-- would keep reading all of it for each of a hundred thousand jobs.
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
declare
  v_attempt_ended boolean := old.locked_at is not null and new.locked_at is null and new.attempts >= old.attempts;
  v_had_failed boolean := old.locked_at is null and old.attempts >= old.max_attempts;
  v_has_failed boolean := new.locked_at is null and new.attempts >= new.max_attempts;
  -- Releasing a lock leaves run_at unchanged, or moves it to the current time at most. A failure always moves it into the future.
  v_lost boolean := v_attempt_ended and new.run_at <= now();
  -- A job that was removed or replaced while it ran has no attempts left on purpose (nothing else changes updated_at).
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
  -- 1. Changes made by Legwork itself.
  -- Any session can set this setting, but only security definer functions know the value.
  if current_setting('legwork.admitting', true) <> '' and current_setting('legwork.admitting', true) = legwork_private.admission_pass() then
    return null;
  end if;

  -- 2. The job is being retried, or was replaced by a request with its key.
  if v_had_failed and not v_has_failed then
    delete from legwork_private.finished_jobs where id = new.id;
    if found then
      -- The job had failed. A retry waits again for signals that did not arrive in time.
      delete from legwork_private.job_steps s where s.job_id = new.id and s.state = 'timed_out';
      perform legwork_private.reopen_invoked(new.id);
      delete from legwork_private.child_ends c where c.child_id = new.id;
    end if;
  end if;
  if new.revision <> old.revision and new.key is not null then
    delete from legwork_private.job_entries e where e.job_id = new.id;
    if legwork_private.restart_steps(legwork_private.as_graphile_job(new)) then
      return null;
    end if;
  end if;

  -- 3. The job was returned unfinished, replaced or rescheduled: no attempt has ended.
  if old.locked_at is not null and not v_attempt_ended then
    select c.reason into v_cancellation from legwork_private.cancellations c where c.job_id = new.id;
    if found then
      -- It was cancelled while a worker had it, and is returned unfinished.
      perform legwork_private.delete_jobs_as('cancelled', array[new.id], v_cancellation);
      return null;
    end if;
  end if;
  if not v_attempt_ended and (v_had_failed or not v_has_failed) then
    if old.locked_at is not null and not v_has_failed and new.run_at = old.run_at then
      -- A plain graphile-worker returned the job to the queue. It stays ahead of jobs that are due at the same time (see legwork_private.give_back_times). This update
      -- fires the trigger again.
      update legwork_private.graphile_jobs j set run_at = legwork_private.earlier(least(old.run_at, now()), interval '1 microsecond') where j.id = new.id;
      return null;
    end if;
    -- Replaced, rescheduled, retried or returned: it may now have to wait for something else, or still has to wait.
    if not v_has_failed and (v_has_limits or exists (select from legwork_private.waiting_jobs w where w.job_id = new.id)
      or exists (select from legwork_private.dependencies d where d.job_id = new.id))
    then
      perform legwork_private.return_to_waiting_room(legwork_private.as_graphile_job(new));
    end if;
    return null;
  end if;

  -- 4. An attempt ended, and the worker reports that it does not count.
  select * into v_failure from legwork_private.reported_failure(case when v_attempt_ended then new.id end);

  if v_failure.decision in ('put_back', 'wait') and not v_removed and not exists (select from legwork_private.cancellations c where c.job_id = new.id) then
    -- The job has not failed, and the attempt does not count: its task postponed it, it must not run now, or it waits for a signal.
    v_run_at := case when v_failure.decision = 'wait' then legwork_private.suspend_job(new.id) else v_failure.retry_at end;
    if v_has_limits and v_run_at is not null then
      perform legwork_private.release_slots(array[new.id], array[v_failure.started_at]);
    end if;
    update legwork_private.graphile_jobs j
    set attempts = greatest(0, j.attempts - 1), last_error = old.last_error, run_at = coalesce(v_run_at, old.run_at - interval '1 microsecond'),
      -- It started in time, so it no longer expires.
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

  -- 5. The data to record, redacted.
  select t.identifier, d.queue, d.redact into v_task, v_queue, v_redact
  from legwork_private.graphile_tasks t
  left join legwork_private.task_definitions d on d.name = t.identifier
  where t.id = new.task_id;
  -- graphile-worker's cleanup of unused tasks may have deleted the name.
  v_task := coalesce(v_task, 'task ' || new.task_id);
  v_queue := coalesce(v_queue, 'default');
  v_error := legwork_private.cut_error(v_error);
  v_stack := v_failure.error_stack;
  if v_attempt_ended and json_typeof(old.payload) = 'array' and (v_failure.failed_entries is not null or new.payload::text <> old.payload::text) then
    perform legwork_private.keep_entries(new.id, old.payload, v_failure.failed_entries, v_failure.entry_results::jsonb);
  end if;
  v_payload := legwork_private.first_payload(new.id, new.payload);
  if v_redact is not null then
    -- The attempt ran with the old payload: after a failed attempt, a batch job keeps only its failed entries.
    v_error := legwork.redact_text(v_error, old.payload, v_redact);
    v_stack := legwork.redact_text(v_stack, old.payload, v_redact);
    v_payload := legwork.redact(v_payload, v_redact);
  end if;

  -- 6. An attempt failed: decide whether and when there is another one, and record the failed attempt.
  if v_attempt_ended then
    if v_removed then
      v_attempt := legwork_private.true_attempt(old.id, old.attempts, old.max_attempts, old.updated_at, old.locked_at);
    else
      select * into v_policy from legwork_private.retry_policy(v_task, v_queue);
      -- 25 is the number that add_job uses if the caller does not give one.
      if new.max_attempts = 25 and v_policy.attempts is not null then
        v_max_attempts := v_policy.attempts;
      end if;
      -- A dead worker does not use up a job's last attempt. How often that may happen is limited below.
      if v_lost and new.attempts >= v_max_attempts then
        v_max_attempts := least(new.attempts + 1, 32767);
      end if;
      if v_lost and new.run_at > old.run_at then
        -- graphile-worker releases stale locks itself and would put the job behind all due jobs.
        v_retry_at := old.run_at - interval '1 microsecond';
      elsif v_failure.retry_at is not null then
        v_retry_at := v_failure.retry_at;
      elsif v_policy.backoff is not null and not v_lost then
        v_retry_at := now() + legwork_private.retry_delay(
          v_policy.backoff, v_policy.delay, v_policy.factor, v_policy.max_delay, v_policy.jitter, new.attempts);
      end if;
      -- Another attempt is pointless according to the worker, or according to the policy, because the error is not in its list.
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
        v_error := 'Quarantined: three workers died while running this job.';
      end if;
    end if;
    select c.reason into v_cancellation from legwork_private.cancellations c where c.job_id = new.id;
    if found then
      v_has_failed := true;
      v_state := 'cancelled';
    end if;

    insert into legwork_private.failed_attempts (
      job_id, attempt, task, queue, error_name, error_message, error_stack, error_code, started_at, failed_at, retry_at,
      worker, tenant, correlation_id, run_at
    ) values (
      new.id, v_attempt, v_task, v_queue,
      case when v_lost then 'WorkerLost' else v_failure.error_name end, v_error,
      v_stack, v_failure.error_code, coalesce(v_failure.started_at, old.locked_at),
      coalesce(v_failure.finished_at, clock_timestamp()),
      case when not v_has_failed then case when v_lost then greatest(v_retry_at, now()) else v_retry_at end end, old.locked_by,
      case when new.flags is not null then legwork_private.flag_value(new.flags, 'tenant') end,
      case when new.flags is not null then legwork_private.flag_value(new.flags, 'correlation') end,
      nullif(old.run_at, 'infinity')
    );
    if new.job_queue_id is not null then
      perform legwork_private.wake_workers(1);
    end if;
  end if;

  -- 7. The job has failed after its last attempt, or was cancelled: record it as a finished job.
  -- The row already exists when the update in step 9 fires the trigger again.
  if v_has_failed and not v_had_failed and not exists (select from legwork_private.finished_jobs f where f.id = new.id) then
    insert into legwork_private.finished_jobs (
      id, task, queue, state, priority, attempts, max_attempts, payload, result, error, run_at, created_at, started_at,
      finished_at, worker, job_key, serial_key, tenant, correlation_id, parent_id, fingerprint, traceparent
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
        legwork_private.fingerprint(v_task, case when v_lost then 'WorkerLost' else v_failure.error_name end, v_error) end,
      case when new.flags is not null then legwork_private.flag_value(new.flags, 'trace') end
    );
    -- Only for failed jobs: a cancelled job is deleted in step 9, and that closes its dependencies and notifies its waiters.
    if v_state = 'failed' and legwork_private.is_invoked(new.id, new.id) then
      perform legwork_private.record_child_ends(array[new.id]);
    end if;
    if v_state = 'failed' and legwork_private.is_awaited(new.id, new.id) then
      perform legwork_private.notify_waiters(array[new.id]);
    end if;
    if v_state = 'failed' and legwork_private.has_dependants(new.id, new.id) then
      perform legwork_private.close_dependencies(array[new.id], array[v_state]);
    end if;
  end if;

  -- 8. Its slots and its row in the waiting room.
  if v_has_limits and v_attempt_ended then
    perform legwork_private.release_slots(array[new.id], array[v_failure.started_at]);
  end if;
  if v_has_failed and (v_has_limits or old.run_at = 'infinity') then
    delete from legwork_private.waiting_jobs w where w.job_id = new.id returning w.run_at into v_run_at;
    -- A later retry might leave run_at as it is, so it must not stay infinite.
    if found and not v_attempt_ended and new.run_at = 'infinity' then
      update legwork_private.graphile_jobs j set run_at = v_run_at where j.id = new.id;
    end if;
  end if;

  -- 9. Write the decision to the job's row. This update fires the trigger again.
  if v_attempt_ended then
    if v_state = 'cancelled' then
      perform legwork_private.delete_jobs_as('recorded', array[new.id]);
    elsif v_has_failed then
      -- Like permanently_fail_jobs: the job is kept, is not fetched again, and a retry gets all its attempts. This cannot be done in
      -- a trigger before the update, which would lock every fetched row a second time.
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
  'Records attempts that end without completing their job, and decides by the retry policy whether and when there is another attempt. '
  'Records jobs that fail after their last attempt, and removes them from the history when they are retried.';
revoke execute on function legwork_private.tg_jobs__record_change() from public;

-- One trigger handles every kind of change to a row, because each additional trigger slows down the fetch of every job. A fetch is excluded by the
-- trigger's first condition. The function ignores changes by admit_waiting and apply_limits_and_pauses, which identify themselves in a setting.
-- send_to_waiting_room sets run_at to infinity.
comment on table legwork_private.undo_statements is 'The statements that restore graphile-worker''s own objects to their original form when Legwork is uninstalled.';
comment on column legwork_private.undo_statements.id is 'The uninstaller runs the statement with the highest id first.';
comment on column legwork_private.undo_statements.statement is 'One statement, which does nothing if its object no longer exists.';
