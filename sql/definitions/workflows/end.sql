comment on table legwork_private.workflow_step_ends is
  'The ends of workflow steps whose jobs are no longer in the history. Rows are added just before history is deleted and are kept as long as the workflow. Read them through legwork_private.workflow_step_end.';
comment on column legwork_private.workflow_step_ends.job_id is 'The job of a workflow step, or of its compensation.';
comment on column legwork_private.workflow_step_ends.workflow_id is 'The workflow. This row is deleted with it.';
comment on column legwork_private.workflow_step_ends.state is 'The state in which the job ended.';
comment on column legwork_private.workflow_step_ends.attempts is 'Attempts used.';
comment on column legwork_private.workflow_step_ends.result is 'The result that its task returned, redacted as in the history.';
comment on column legwork_private.workflow_step_ends.error is 'The message of the last error.';
comment on column legwork_private.workflow_step_ends.started_at is 'When its last attempt started.';
comment on column legwork_private.workflow_step_ends.finished_at is 'When the job ended.';

create or replace function legwork_private.workflow_step_end(job_id bigint) returns table (
  state legwork.job_state, attempts smallint, result jsonb, error text, started_at timestamptz, finished_at timestamptz
)
-- Has no set clauses, so that it can be inlined into the query.
language sql stable as $$
  select f.state, f.attempts, f.result, f.error, f.started_at, f.finished_at from legwork_private.finished_jobs f where f.id = workflow_step_end.job_id
  union all
  select k.state, k.attempts, k.result, k.error, k.started_at, k.finished_at from legwork_private.workflow_step_ends k
  where k.job_id = workflow_step_end.job_id and not exists (select from legwork_private.finished_jobs f where f.id = workflow_step_end.job_id)
  limit 1
$$;
comment on function legwork_private.workflow_step_end(bigint) is
  'How the job of a workflow step ended, whether or not it is still in the history. Returns no row while the job has not ended.';

create or replace function legwork_private.keep_workflow_step_ends(history regclass, before timestamptz) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  -- Workflows are deleted a full retention period after their end, so few of the workflows that began before that time still exist.
  execute format('
    insert into legwork_private.workflow_step_ends as k (job_id, workflow_id, state, attempts, result, error, started_at, finished_at)
    select distinct on (f.id) f.id, s.workflow_id, f.state, f.attempts, f.result, f.error, f.started_at, f.finished_at
    from legwork_private.workflow_runs r
    join legwork_private.workflow_run_steps s on s.workflow_id = r.id
    cross join lateral unnest(array[s.job_id, s.compensation_job_id]) as m (job_id)
    join only %s f on f.id = m.job_id
    where r.created_at < $1 + interval ''1 minute'' and f.finished_at < $1
    on conflict (job_id) do update set
      state = excluded.state, attempts = excluded.attempts, result = excluded.result, error = excluded.error, started_at = excluded.started_at,
      finished_at = excluded.finished_at', history)
  using before;
end $$;
comment on function legwork_private.keep_workflow_step_ends(regclass, timestamptz) is
  'Saves the ends of steps whose workflows are still kept, from a partition of the history whose rows from before the given time are about to be deleted. Called by legwork.maintain_history.';

create or replace function legwork_private.compensate_workflow(workflow_id bigint) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_run legwork_private.workflow_runs;
  v_count integer;
begin
  select * into v_run from legwork_private.workflow_runs r where r.id = compensate_workflow.workflow_id;
  -- In reverse order of the dependencies, one at a time: each starts when the one before it has ended.
  with undone as materialized (
    select s.name, s.compensate, legwork_private.next_job_id() as id
    from (
      select o.* from legwork_private.workflow_run_steps o
      where o.workflow_id = compensate_workflow.workflow_id and o.compensate is not null and o.compensation_job_id is null
        and exists (select from legwork_private.workflow_step_end(o.job_id) f where f.state = 'completed')
      order by o.position desc
    ) s
  ), known as (
    insert into legwork_private.graphile_tasks (identifier)
    select distinct u.compensate ->> 'task' from undone u
    where not exists (select from legwork_private.graphile_tasks t where t.identifier = u.compensate ->> 'task')
    on conflict do nothing
  ), noted as (
    update legwork_private.workflow_run_steps s set compensation_job_id = u.id
    from undone u where s.workflow_id = compensate_workflow.workflow_id and s.name = u.name
    returning 1
  )
  select count(*) into v_count from noted;
  if v_count = 0 then
    return false;
  end if;
  with chain as materialized (
    select s.name, s.compensate, s.compensation_job_id as id, t.id as task_id,
      lag(s.compensation_job_id) over (order by s.compensation_job_id) as before,
      lead(s.compensation_job_id) over (order by s.compensation_job_id) as after
    from legwork_private.workflow_run_steps s
    join legwork_private.graphile_tasks t on t.identifier = s.compensate ->> 'task'
    where s.workflow_id = compensate_workflow.workflow_id and s.compensation_job_id is not null
  ), closing as (
    insert into legwork_private.dependencies (depends_on, job_id, run_id, on_failure) select c.id, c.after, v_run.id, 'run' from chain c
  ), held as (
    insert into legwork_private.waiting_jobs (job_id, task_id, line, gates, priority, run_at, held)
    select c.id, c.task_id, legwork_private.line_of('{}', null), '{}', 0, now(), 'dependency' from chain c where c.before is not null
  )
  insert into legwork_private.graphile_jobs (id, task_id, payload, run_at, flags)
  overriding system value
  select c.id, c.task_id, coalesce(nullif(c.compensate -> 'payload', 'null'), '{}')::json, case when c.before is null then now() else 'infinity' end,
    legwork_private.workflow_flags(v_run) || jsonb_build_object('step:' || c.name, true, 'compensates:' || c.name, true)
  from chain c order by c.id;
  perform legwork_private.wake_workers(1);
  return true;
end $$;
comment on function legwork_private.compensate_workflow(bigint) is 'Creates the jobs that undo the completed steps of a workflow, the last step first. Returns whether there are any.';

create or replace function legwork_private.end_workflow(workflow_id bigint) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_run legwork_private.workflow_runs;
  v_counts record;
  v_state text;
  v_reason text;
  v_compensates boolean;
begin
  -- Another session that has locked the row is cancelling or retrying the workflow.
  select * into v_run from legwork_private.workflow_runs r where r.id = end_workflow.workflow_id for update skip locked;
  if v_run.id is null then
    return not exists (select from legwork_private.workflow_runs r where r.id = end_workflow.workflow_id);
  elsif v_run.ended_at is not null or exists (select from legwork_private.dependencies d where d.run_id = v_run.id and d.ended_as is null) then
    return true;
  end if;
  select * into v_counts from legwork_private.run_counts_so_far(v_run.id);
  delete from legwork_private.run_counts c where c.run_id = v_run.id;
  if v_run.state = 'compensating' or v_run.ending is not null and exists (
    select from legwork_private.workflow_run_steps s where s.workflow_id = v_run.id and s.compensation_job_id is not null)
  then
    -- These counts are of compensation jobs. The workflow steps were counted earlier.
    v_state := coalesce(v_run.ending, 'failed');
    v_reason := v_run.reason;
  else
    v_run.completed := v_run.completed + v_counts.completed;
    v_run.failed := v_run.failed + v_counts.failed;
    v_run.cancelled := v_run.cancelled + v_counts.cancelled;
    v_run.expired := v_run.expired + v_counts.expired;
    v_state := v_run.ending;
    v_reason := v_run.reason;
    if v_state is null and v_run.completed = v_run.total then
      v_state := 'completed';
    elsif v_state is null then
      with steps as materialized (
        select s.name, s.position, s.effect, s.waits_for, coalesce(f.state, 'cancelled') as state, f.error, f.finished_at
        from legwork_private.workflow_run_steps s
        left join lateral legwork_private.workflow_step_end(s.job_id) f on true
        where s.workflow_id = v_run.id and s.position is not null
      ), bad as materialized (
        select s.* from steps s where s.state <> 'completed'
      ), causes as (
        -- Leaves out the steps that were cancelled because another step failed.
        select b.* from bad b
        where b.effect <> 'continue' and (b.state <> 'cancelled' or not b.waits_for && array(select o.position from bad o))
      )
      select case when exists (select from bad b where b.effect <> 'continue') then 'failed' else 'completed' end,
        (select format('Step ''%s'' %s%s', c.name, case c.state when 'cancelled' then 'was cancelled' else c.state::text end, coalesce(': ' || c.error, '.'))
         from causes c order by c.finished_at, c.position limit 1),
        exists (select from causes c where c.effect = 'compensate')
      into v_state, v_reason, v_compensates;
      if v_compensates then
        -- Invalid data in the workflow must not fail the transaction that ends its last step, because it may also end unrelated jobs.
        begin
          if legwork_private.compensate_workflow(v_run.id) then
            v_state := 'compensating';
          end if;
        exception when data_exception or integrity_constraint_violation or program_limit_exceeded or raise_exception then
          v_reason := concat_ws(' ', v_reason, format('Its compensation could not start: %s.', sqlerrm));
        end;
      end if;
    end if;
  end if;
  update legwork_private.workflow_runs r set
    state = v_state, reason = v_reason, completed = v_run.completed, failed = v_run.failed, cancelled = v_run.cancelled, expired = v_run.expired,
    ended_at = case when v_state <> 'compensating' then clock_timestamp() end
  where r.id = v_run.id;
  if v_state = 'completed' and exists (select from legwork_private.task_definitions d where d.redact is not null) then
    -- Payloads are kept only for retries, and a completed workflow is never retried.
    update legwork_private.workflow_run_steps s set payload = null, compensate = null
    where s.workflow_id = v_run.id and exists (
      select from legwork_private.workflow_run_steps o
      join legwork_private.task_definitions d on d.name = o.task or d.name = o.compensate ->> 'task'
      where o.workflow_id = v_run.id and d.redact is not null);
  end if;
  return true;
end $$;
comment on function legwork_private.end_workflow(bigint) is
  'Ends a workflow that has no open jobs, or begins to undo it. The caller must hold the advisory lock legwork_private.admission_lock() or a lock on the workflow''s row. Returns false if another '
  'session has locked the row.';

create or replace function legwork_private.end_run(run_id bigint) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from legwork_private.workflow_runs r where r.id = end_run.run_id) then
    return legwork_private.end_workflow(run_id);
  end if;
  return legwork_private.end_batch(run_id);
end $$;
comment on function legwork_private.end_run(bigint) is 'Ends a workflow or batch that has no open jobs. Returns false if another session has locked its row.';

create or replace function legwork_private.cancel_workflow_steps(workflow_id bigint, reason text, waits boolean) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_ids bigint[] := array(select d.depends_on from legwork_private.dependencies d where d.run_id = cancel_workflow_steps.workflow_id and d.ended_as is null);
  v_waiting bigint[];
  v_told bigint[];
begin
  -- The lock on a job's row decides between this call and a worker that is fetching the job.
  if waits then
    v_waiting := array(
      select j.id from legwork_private.graphile_jobs j where j.id = any (v_ids) order by j.id for update);
  else
    v_waiting := array(
      select j.id from legwork_private.graphile_jobs j where j.id = any (v_ids) order by j.id for update skip locked);
  end if;
  perform legwork_private.delete_jobs_as('cancelled', array(
    select j.id from legwork_private.graphile_jobs j where j.id = any (v_waiting) and j.locked_at is null and j.attempts < j.max_attempts), reason);
  with told as (
    insert into legwork_private.cancellations (job_id, reason)
    select j.id, cancel_workflow_steps.reason from legwork_private.graphile_jobs j where j.id = any (v_waiting) and j.locked_at is not null
    on conflict do nothing
    returning cancellations.job_id
  )
  select array_agg(t.job_id) into v_told from told t;
  perform pg_notify('legwork', json_build_object('cancelled', x::text)::text) from unnest(v_told) x;
end $$;
comment on function legwork_private.cancel_workflow_steps(bigint, text, boolean) is 'Cancels the open jobs of a workflow; running jobs are signaled to stop. waits: whether to wait for rows that other sessions have locked instead of skipping them.';

create or replace function legwork_private.lock_workflow(workflow_id bigint) returns legwork_private.workflow_runs
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_run legwork_private.workflow_runs;
begin
  perform legwork_private.assert_role('operator');
  select * into v_run from legwork_private.workflow_runs r
  where r.id = lock_workflow.workflow_id and (legwork_private.confined_tenant() is null or r.tenant = legwork_private.confined_tenant()) for update;
  if v_run.id is null then
    raise exception 'No workflow has id %.', coalesce(workflow_id::text, 'null') using
      errcode = 'LW404', detail = '{"do": "list_workflows"}',
      hint = 'Ended workflows are kept for the period set in history_retention; `select id, name from legwork.workflows` lists them.';
  end if;
  return v_run;
end $$;
comment on function legwork_private.lock_workflow(bigint) is
  'Locks a workflow''s row and returns it, for an operator who is about to change it. Raises LW404 for an unknown workflow and for another tenant''s, and LW403 without the role operator.';

create or replace function legwork.cancel_workflow(workflow_id bigint, reason text default null) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_run legwork_private.workflow_runs := legwork_private.lock_workflow(workflow_id);
  v_reason text := 'Cancelled by ' || legwork_private.current_actor() || coalesce(': ' || nullif(reason, ''), '.');
begin
  if v_run.state = 'cancelled' then
    return v_run.state;
  elsif v_run.ended_at is not null then
    raise exception 'Workflow % has already ended: it is %.', workflow_id, v_run.state using errcode = 'LW409', hint = 'A workflow that has ended cannot be cancelled.';
  end if;
  perform legwork_private.audit('cancel_workflow', 'workflow', v_run.id::text, jsonb_build_object('state', v_run.state),
    jsonb_build_object('state', 'cancelled', 'reason', v_reason), v_run.tenant);
  update legwork_private.workflow_runs r set ending = 'cancelled', state = 'cancelling', reason = v_reason where r.id = v_run.id;
  perform legwork_private.cancel_workflow_steps(v_run.id, 'Workflow ' || v_run.id || ': ' || v_reason, true);
  perform legwork_private.end_workflow(v_run.id);
  return (select r.state from legwork_private.workflow_runs r where r.id = v_run.id);
end $$;
comment on function legwork.cancel_workflow(bigint, text) is
  'Cancels a workflow. Waiting steps never start, running steps are signaled to stop, and nothing is compensated. Returns cancelled, or cancelling while steps '
  'still run. Raises LW404 for an unknown workflow and LW409 for a workflow that has ended in another state.';
revoke execute on function legwork.cancel_workflow(bigint, text) from public;

create or replace function legwork_private.expire_workflows(only_workflow bigint default null) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_run legwork_private.workflow_runs;
begin
  for v_run in
    select r.* from legwork_private.workflow_runs r where r.ended_at is null and r.deadline <= clock_timestamp() and (r.id = only_workflow or only_workflow is null
      and not exists (select from legwork_private.set_aside a where a.what = 'deadline' and a.item = r.id::text))
    order by r.deadline limit 100 for update skip locked
  loop
    if v_run.ending is null then
      update legwork_private.workflow_runs r set ending = 'expired', state = 'cancelling', reason = 'Its deadline ' || to_char(r.deadline at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') || ' passed.'
      where r.id = v_run.id;
    end if;
    -- Jobs whose rows are locked are skipped. Every tick tries again until all have ended.
    perform legwork_private.cancel_workflow_steps(v_run.id, 'Workflow ' || v_run.id || ': its deadline passed.', false);
    perform legwork_private.end_workflow(v_run.id);
  end loop;
end $$;
comment on function legwork_private.expire_workflows(bigint) is 'Cancels the open jobs of all workflows whose deadline has passed, or of only_workflow. Called by legwork.tick().';
revoke execute on function legwork_private.expire_workflows(bigint) from public;

create or replace function legwork.step_results(workflow_id bigint) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_role('viewer');
  return (
    select coalesce(jsonb_object_agg(s.name, case when f.id is not null then f.result else k.result end), '{}')
    from legwork_private.workflow_run_steps s
    join legwork_private.workflow_runs r on r.id = s.workflow_id
    -- Like legwork_private.workflow_step_end, for all steps at once. The condition on the time excludes old partitions, with a margin of a minute,
    -- because a worker's clock may be slow.
    left join legwork_private.finished_jobs f on f.id = s.job_id and f.finished_at >= r.created_at - interval '1 minute'
    left join legwork_private.workflow_step_ends k on k.job_id = s.job_id
    where coalesce(f.state, k.state) = 'completed' and s.workflow_id = step_results.workflow_id and (legwork_private.confined_tenant() is null or r.tenant = legwork_private.confined_tenant()));
end $$;
comment on function legwork.step_results(bigint) is
  'The results of a workflow''s completed steps, as an object keyed by step name. It is empty for an unknown workflow and for another tenant''s. Raises LW403 without the role viewer.';
revoke execute on function legwork.step_results(bigint) from public;

create or replace function legwork_private.end_batch(batch_id bigint) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_counts record;
begin
  perform from legwork_private.batch_runs b where b.id = end_batch.batch_id for update skip locked;
  if not found then
    return not exists (select from legwork_private.batch_runs b where b.id = end_batch.batch_id);
  end if;
  select * into v_counts from legwork_private.run_counts_so_far(batch_id);
  delete from legwork_private.run_counts c where c.run_id = batch_id;
  update legwork_private.batch_runs b set
    completed = b.completed + v_counts.completed, failed = b.failed + v_counts.failed, cancelled = b.cancelled + v_counts.cancelled,
    expired = b.expired + v_counts.expired, ended_at = clock_timestamp()
  where b.id = batch_id and b.ended_at is null;
  return true;
end $$;
comment on function legwork_private.end_batch(bigint) is 'Ends a batch that has no open jobs. Returns false if another session has locked its row.';
