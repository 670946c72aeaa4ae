create or replace function legwork.retry_workflow(workflow_id bigint, deadline timestamptz default null, from_step text default null) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_run legwork_private.workflow_runs := legwork_private.lock_workflow(workflow_id);
  v_step record;
  v_made integer[] := '{}';
  v_retried integer[] := '{}';
  v_open integer[] := '{}';
  v_again integer[] := '{}';
  v_kept integer := 0;
begin
  if v_run.state in ('running', 'compensating', 'cancelling') then
    raise exception 'Workflow % cannot be retried: it is %.', workflow_id, v_run.state using errcode = 'LW409', hint = 'Wait until it has ended, or cancel it.';
  elsif v_run.state = 'completed' and from_step is null then
    raise exception 'Workflow % has completed.', workflow_id using errcode = 'LW409', detail = '{"do": "start_workflow"}',
      hint = 'Start another workflow (`select legwork.start_workflow(…)`), or name a step from which to run this one again.';
  elsif v_run.state = 'completed' and exists (
    select from legwork_private.workflow_run_steps s
    join legwork_private.task_definitions d on d.name = s.task
    where s.workflow_id = v_run.id and d.redact is not null)
  then
    raise exception 'The payloads of workflow % were deleted when it completed, because one of its tasks redacts data.', workflow_id using errcode = 'LW409', detail = '{"do": "start_workflow"}',
      hint = 'Start another workflow: `select legwork.start_workflow(…)`.';
  elsif from_step is not null and not exists (select from legwork_private.workflow_run_steps s where s.workflow_id = v_run.id and s.name = from_step) then
    raise exception 'Workflow % has no step ''%''.', workflow_id, from_step using errcode = 'LW404', detail = jsonb_build_object('do', 'list_workflow_steps', 'id', v_run.id), hint =
      coalesce('Did you mean ''' || legwork_private.nearest_name(from_step, array(select s.name from legwork_private.workflow_run_steps s where s.workflow_id = v_run.id)) || '''? ', '')
        || '`select name from legwork.workflow_steps where workflow_id = ' || v_run.id || '` lists them.';
  elsif deadline <= clock_timestamp() then
    raise exception 'The deadline % is in the past.', deadline using errcode = 'LW400', hint = 'Choose a later deadline, or omit it.';
  end if;
  perform legwork_private.assert_time('deadline', deadline);
  perform legwork_private.audit('retry_workflow', 'workflow', v_run.id::text, jsonb_build_object('state', v_run.state), '{"state": "running"}', v_run.tenant);
  -- In the order of the dependencies. Rows of failed jobs are locked, so that no other session retries or discards them in the meantime.
  for v_step in
    select s.name, s.position, s.waits_for, s.job_id, coalesce(from_step = any (s.groups || s.name), false) as is_named,
      exists (select from legwork_private.workflow_step_end(s.compensation_job_id) f where f.state in ('completed', 'failed')) as is_undone,
      j.id is not null as has_row, j.id is not null and (j.locked_at is not null or j.attempts < j.max_attempts) as lives,
      (select f.state from legwork_private.workflow_step_end(s.job_id) f) as state
    from legwork_private.workflow_run_steps s
    left join lateral (select k.* from legwork_private.graphile_jobs k where k.id = s.job_id for update) j on true
    where s.workflow_id = v_run.id and s.position is not null
    order by s.position
  loop
    if v_step.is_named or v_step.waits_for && v_again then
      v_again := v_again || v_step.position;
    end if;
    if v_step.lives then
      v_open := v_open || v_step.position;
    elsif v_step.state = 'completed' and not v_step.is_undone and not v_step.position = any (v_again) then
      v_kept := v_kept + 1;
    elsif v_step.state = 'failed' and v_step.has_row and not v_step.waits_for && v_made then
      v_retried := v_retried || v_step.position;
    else
      v_made := v_made || v_step.position;
    end if;
  end loop;
  if v_made = '{}' and v_retried = '{}' and v_open = '{}' then
    raise exception 'Every step of workflow % has completed.', workflow_id using errcode = 'LW409', hint = 'There is nothing to retry.';
  end if;
  -- Failed jobs that are replaced by new ones can no longer be retried individually.
  delete from legwork_private.graphile_jobs j
  using legwork_private.workflow_run_steps s
  where s.workflow_id = v_run.id and s.position = any (v_made) and j.id = s.job_id and j.locked_at is null and j.attempts >= j.max_attempts;
  update legwork_private.workflow_run_steps s set compensation_job_id = null where s.workflow_id = v_run.id and s.compensation_job_id is not null;
  -- Materialized, because the ids must increase with the positions. In a joined subquery, they could be assigned in any order, and more than once.
  with numbered as materialized (
    select x.position, legwork_private.next_job_id() as job_id
    from (select unnest(v_made) as position order by 1) x
  )
  update legwork_private.workflow_run_steps s set job_id = n.job_id from numbered n where s.workflow_id = v_run.id and s.position = n.position;
  update legwork_private.workflow_runs r set
    state = 'running', ending = null, reason = null, ended_at = null, completed = v_kept, failed = 0, cancelled = 0, expired = 0,
    deadline = coalesce(retry_workflow.deadline, case when r.deadline > clock_timestamp() then r.deadline end)
  where r.id = v_run.id;
  -- Deletes the counts of jobs that ended while the workflow was being cancelled.
  delete from legwork_private.run_counts c where c.run_id = v_run.id;
  perform legwork_private.create_workflow_step_jobs(v_run.id, v_made, v_made || v_retried, v_made || v_retried || v_open);
  -- This update fires the trigger that sends jobs to the waiting room if they have to wait.
  update legwork_private.graphile_jobs j set attempts = 0, run_at = now(), updated_at = now(), revision = j.revision + 1, flags = legwork_private.without_expiry(j.flags)
  from legwork_private.workflow_run_steps s
  where s.workflow_id = v_run.id and s.position = any (v_retried) and j.id = s.job_id;
  if v_retried <> '{}' then
    perform legwork_private.wake_workers(cardinality(v_retried));
  end if;
  return 'running';
end $$;
comment on function legwork.retry_workflow(bigint, timestamptz, text) is
  'Resumes a workflow that failed, expired or was cancelled. Failed steps are retried, cancelled steps get new jobs, and completed steps are kept unless they were '
  'compensated. deadline: a new deadline; by default the old one is kept if it has not passed. from_step: this step, or the steps of this sub-workflow, and all steps after it run again, even if they or the '
  'workflow have completed. Returns running. Raises LW404 for an unknown workflow or step. Raises LW409 if the workflow is running, has completed and from_step is null, or if its payloads were deleted.';
revoke execute on function legwork.retry_workflow(bigint, timestamptz, text) from public;
