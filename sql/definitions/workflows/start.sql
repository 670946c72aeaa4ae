-- Workflows: steps that depend on each other, each of them a job.
--
-- All jobs of a workflow are created at once, in the order of their dependencies. Jobs that have to wait are held by legwork_private.dependencies. A
-- sub-workflow is expanded into its steps when the workflow starts: a step that depends on it depends on all of them. The workflow itself waits for
-- its steps through the same rows (run_id). So it ends in the transaction that ends its last step, and only once: under the lock that guards the
-- release of jobs.

comment on table legwork_private.workflow_runs is 'One row per workflow that was started. legwork.workflows shows it with its progress.';
comment on column legwork_private.workflow_runs.id is 'The workflow''s id.';
comment on column legwork_private.workflow_runs.name is 'The name that the caller gave when starting it.';
comment on column legwork_private.workflow_runs.state is 'running, compensating or cancelling; then completed, failed, cancelled or expired.';
comment on column legwork_private.workflow_runs.ending is 'The state that it will have once its running steps have ended: cancelled, or expired if its deadline has passed.';
comment on column legwork_private.workflow_runs.reason is 'Why it failed or was cancelled.';
comment on column legwork_private.workflow_runs.tenant is 'The tenant that the workflow belongs to.';
comment on column legwork_private.workflow_runs.correlation_id is 'Shared by all its jobs: workflow: followed by the workflow''s id, unless the caller gave another.';
comment on column legwork_private.workflow_runs.parent_id is 'The job that started it.';
comment on column legwork_private.workflow_runs.deadline is 'When all steps that have not ended are cancelled.';
comment on column legwork_private.workflow_runs.total is 'The number of its steps.';
comment on column legwork_private.workflow_runs.completed is 'Steps that completed. While the workflow runs, this count and the three below leave out the steps that ended recently: legwork_private.run_counts has those.';
comment on column legwork_private.workflow_runs.failed is 'Steps that failed.';
comment on column legwork_private.workflow_runs.cancelled is 'Steps that were cancelled.';
comment on column legwork_private.workflow_runs.expired is 'Steps that expired.';
comment on column legwork_private.workflow_runs.created_at is 'When it was started.';
comment on column legwork_private.workflow_runs.ended_at is 'When it ended; null before that.';
comment on table legwork_private.workflow_run_steps is 'The steps of workflows as they were requested, and the jobs created for them. legwork.workflow_steps shows them with their states.';
comment on column legwork_private.workflow_run_steps.workflow_id is 'The workflow.';
comment on column legwork_private.workflow_run_steps.name is 'The step''s name. In a sub-workflow, it is preceded by the sub-workflow''s name and a slash.';
comment on column legwork_private.workflow_run_steps.position is 'Its place in an order in which every step comes after those it depends on. Null for a sub-workflow.';
comment on column legwork_private.workflow_run_steps.groups is 'The names of the sub-workflows it belongs to, and its own.';
comment on column legwork_private.workflow_run_steps.task is 'The task to run. Null for a sub-workflow.';
comment on column legwork_private.workflow_run_steps.payload is 'The payload of its job. Deleted when the workflow completes, if one of its tasks redacts data.';
comment on column legwork_private.workflow_run_steps.options is 'Further options for its job, from legwork_private.workflow_step_options(). Null if it has none.';
comment on column legwork_private.workflow_run_steps.delay is 'How long it waits after its last dependency has ended.';
comment on column legwork_private.workflow_run_steps.depends_on is 'The full names of the steps that it depends on, as the caller requested.';
comment on column legwork_private.workflow_run_steps.on_failure is 'The effect on the steps that depend on it when it does not complete: stop, continue or compensate.';
comment on column legwork_private.workflow_run_steps.effect is 'The effect on the workflow when it does not complete: like on_failure, but also considering the sub-workflows it belongs to.';
comment on column legwork_private.workflow_run_steps.compensate is 'The job that would undo it: {task, payload}.';
comment on column legwork_private.workflow_run_steps.waits_for is 'The positions of the steps that its job waits for.';
comment on column legwork_private.workflow_run_steps.waits_how is 'For each step in waits_for, the on_failure of legwork_private.dependencies.';
comment on column legwork_private.workflow_run_steps.job_id is 'Its job. If the workflow was retried, the latest one.';
comment on column legwork_private.workflow_run_steps.compensation_job_id is 'The job that was created to undo it.';

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
    raise exception 'A workflow needs a name of 1 to 128 characters.' using errcode = 'LW400', hint = 'The name says what kind of workflow it is. Workflows can share a name.';
  elsif deadline <= clock_timestamp() then
    raise exception 'The deadline % is in the past.', deadline using errcode = 'LW400', hint = 'Nothing was started. Choose a later deadline, or omit it.';
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
  'Starts a workflow in the caller''s transaction and returns its id. steps: an array of objects, or an object keyed by step name. The fields of a step are name, task, payload, depends_on (names of '
  'steps that must end first), on_failure (when the step does not complete: stop, the default, cancels the steps that depend on it, and the workflow fails; continue lets them run; '
  'compensate is like stop, and then the compensate jobs of the completed steps run in reverse order), compensate ({task, payload}), max_attempts, priority, run_at, delay (after its last '
  'dependency has ended) and serial_key. Instead of a task, a step can have steps: it is then a sub-workflow. deadline: when all steps that have not ended are cancelled. tenant and correlation_id apply to all '
  'jobs. Raises LW400 for invalid steps, naming the part (a cycle step by step), LW404 for an unknown step or task, and LW413 for more than 20,000 steps.';
revoke execute on function legwork.start_workflow(text, jsonb, text, text, timestamptz) from public;
