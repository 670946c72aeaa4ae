-- Workflows: steps that depend on each other, each of them a job.
--
-- All jobs of a workflow are made at once, in the order of their dependencies; those that have to wait are held by legwork_private.dependencies. A
-- sub-workflow is laid out into its steps as the workflow starts: what depends on it depends on all of them. The workflow itself waits for
-- its steps by the same rows (run_id), so it ends in the transaction that ends its last step, and only once: under the lock that lets jobs go.

comment on table legwork_private.workflow_runs is 'One row per workflow that was started. legwork.workflows shows it with its progress.';
comment on column legwork_private.workflow_runs.id is 'The workflow''s id.';
comment on column legwork_private.workflow_runs.name is 'What it was called when it was started.';
comment on column legwork_private.workflow_runs.state is 'running, compensating or cancelling; then completed, failed, cancelled or expired.';
comment on column legwork_private.workflow_runs.ending is 'What it will be once its running steps have ended: cancelled, or expired for a deadline that has passed.';
comment on column legwork_private.workflow_runs.reason is 'Why it failed or was cancelled.';
comment on column legwork_private.workflow_runs.tenant is 'Whose it is.';
comment on column legwork_private.workflow_runs.correlation_id is 'Shared by all its jobs: workflow: and its id, unless another was given.';
comment on column legwork_private.workflow_runs.parent_id is 'The job that started it.';
comment on column legwork_private.workflow_runs.deadline is 'When what has not ended is cancelled.';
comment on column legwork_private.workflow_runs.total is 'How many steps it has.';
comment on column legwork_private.workflow_runs.completed is 'Steps that completed. While it runs those that are new are in legwork_private.run_counts, here and below.';
comment on column legwork_private.workflow_runs.failed is 'Steps that failed.';
comment on column legwork_private.workflow_runs.cancelled is 'Steps that were cancelled.';
comment on column legwork_private.workflow_runs.expired is 'Steps that expired.';
comment on column legwork_private.workflow_runs.created_at is 'When it was started.';
comment on column legwork_private.workflow_runs.ended_at is 'When it ended; null before that.';
comment on table legwork_private.workflow_run_steps is 'The steps of workflows as they were asked for, and the jobs that were made of them. legwork.workflow_steps shows them with their states.';
comment on column legwork_private.workflow_run_steps.workflow_id is 'The workflow.';
comment on column legwork_private.workflow_run_steps.name is 'The step''s name; within a sub-workflow behind that one''s name and a slash.';
comment on column legwork_private.workflow_run_steps.position is 'Its place in an order in which every step comes after those it depends on. Null for a sub-workflow.';
comment on column legwork_private.workflow_run_steps.groups is 'The sub-workflows it belongs to, and itself.';
comment on column legwork_private.workflow_run_steps.task is 'The task to run; null for a sub-workflow.';
comment on column legwork_private.workflow_run_steps.payload is 'What the task is given. Forgotten when a workflow completes one of whose tasks redacts.';
comment on column legwork_private.workflow_run_steps.options is 'What else was asked for of its job: legwork_private.workflow_step_options(). Null for nothing.';
comment on column legwork_private.workflow_run_steps.delay is 'How long after its last dependency has ended it may start.';
comment on column legwork_private.workflow_run_steps.depends_on is 'The steps it depends on, as they were named, in full.';
comment on column legwork_private.workflow_run_steps.on_failure is 'What becomes of those that depend on it when it does not complete: stop, continue or compensate.';
comment on column legwork_private.workflow_run_steps.effect is 'What becomes of the workflow then: the same, with regard to the sub-workflows it belongs to.';
comment on column legwork_private.workflow_run_steps.compensate is 'What undoes it: {task, payload}.';
comment on column legwork_private.workflow_run_steps.waits_for is 'The positions of the steps its job waits for.';
comment on column legwork_private.workflow_run_steps.waits_how is 'For each of them the on_failure of legwork_private.dependencies.';
comment on column legwork_private.workflow_run_steps.job_id is 'Its job; the last one, when the workflow was retried.';
comment on column legwork_private.workflow_run_steps.compensation_job_id is 'The job that undoes it.';

create or replace function legwork.start_workflow(
  name text,
  steps jsonb,
  tenant text default null,
  correlation_id text default null,
  deadline timestamptz default null
) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_id bigint;
  v_total integer;
  v_tenant text := legwork_private.own_tenant(coalesce(tenant, nullif(current_setting('legwork.tenant', true), '')));
begin
  perform legwork_private.assert_role('enqueuer');
  if name is null or length(name) not between 1 and 128 then
    raise exception 'A workflow needs a name of 1 to 128 characters.' using errcode = 'LW400', hint = 'It says what kind of workflow it is; many may have the same.';
  elsif deadline <= clock_timestamp() then
    raise exception 'The deadline % has passed.', deadline using errcode = 'LW400', hint = 'Nothing was started. Give a later deadline, or none.';
  end if;
  perform legwork_private.assert_time('deadline', deadline);
  v_id := nextval('legwork_private.run_ids');
  v_total := legwork_private.plan_workflow_steps(v_id, steps);
  insert into legwork_private.workflow_runs (id, name, tenant, correlation_id, parent_id, deadline, total)
  values (
    v_id, start_workflow.name, v_tenant,
    coalesce(start_workflow.correlation_id, nullif(current_setting('legwork.correlation_id', true), ''), 'workflow:' || v_id),
    case when current_setting('legwork.parent_id', true) ~ '^\d{1,18}$'
      or current_setting('legwork.parent_id', true) ~ '^\d{19}$' and current_setting('legwork.parent_id', true) <= '9223372036854775807' then current_setting('legwork.parent_id', true)::bigint end,
    start_workflow.deadline, v_total);
  perform legwork_private.create_workflow_step_jobs(v_id, x.all_of, x.all_of, x.all_of) from (select array(select generate_series(1, v_total)) as all_of) x;
  return v_id;
end $$;
comment on function legwork.start_workflow(text, jsonb, text, text, timestamptz) is
  'Starts a workflow in the caller''s transaction and returns its id. steps: an array of objects, or an object of them by name: name, task, payload, depends_on (names of '
  'steps that have to end before), on_failure (when it does not complete: stop, the default, cancels those that depend on it and the workflow fails; continue lets them run; '
  'compensate is stop, and then the compensate jobs of the steps that completed run in reverse order), compensate ({task, payload}), max_attempts, priority, run_at, delay (after its last '
  'dependency has ended), serial_key; or, in place of a task, steps: a sub-workflow. deadline: what has not ended then is cancelled. tenant and correlation_id: of all its jobs. '
  'Raises LW400 for steps that make no sense, naming the part (a cycle step by step), LW404 for an unknown step or task, LW413 for more than 20000 steps.';
revoke execute on function legwork.start_workflow(text, jsonb, text, text, timestamptz) from public;
