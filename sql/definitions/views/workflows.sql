create or replace view legwork_private.all_workflows as
select
  r.id, r.name, r.state, r.reason, r.total, r.completed + c.completed as completed, r.failed + c.failed as failed,
  r.cancelled + c.cancelled as cancelled, r.expired + c.expired as expired,
  round(100.0 * (r.completed + c.completed + r.failed + c.failed + r.cancelled + c.cancelled + r.expired + c.expired) / greatest(r.total, 1), 1)::float8 as progress,
  r.tenant, r.correlation_id, r.parent_id, r.deadline, r.created_at, r.ended_at
from legwork_private.workflow_runs r
cross join lateral (
  select case when x.shown then x.completed else 0 end as completed, case when x.shown then x.failed else 0 end as failed,
    case when x.shown then x.cancelled else 0 end as cancelled, case when x.shown then x.expired else 0 end as expired
  from (
    -- Repeats legwork_private.run_counts_so_far, which would run with the reading role's rights.
    select coalesce(sum(n.completed), 0)::bigint as completed, coalesce(sum(n.failed), 0)::bigint as failed,
      coalesce(sum(n.cancelled), 0)::bigint as cancelled, coalesce(sum(n.expired), 0)::bigint as expired,
      r.ended_at is null and not exists (
        select from legwork_private.workflow_run_steps s where s.workflow_id = r.id and s.compensation_job_id is not null) as shown
    from legwork_private.run_counts n where n.run_id = r.id
  ) x
) c;
comment on view legwork_private.all_workflows is 'The rows of all tenants, for Legwork''s own functions and views. Users read legwork.workflows.';
comment on column legwork_private.all_workflows.id is E'@notNull\nThe workflow''s id.';
comment on column legwork_private.all_workflows.name is E'@notNull\nThe name it was given when it was started.';
comment on column legwork_private.all_workflows.state is E'@notNull\nrunning, compensating (completed workflow steps are being undone) or cancelling (workflow steps that were signaled to stop are still running); then completed, failed, cancelled or expired.';
comment on column legwork_private.all_workflows.reason is 'Why it failed or was cancelled.';
comment on column legwork_private.all_workflows.total is E'@notNull\nThe number of its workflow steps.';
comment on column legwork_private.all_workflows.completed is E'@notNull\nWorkflow steps that have completed.';
comment on column legwork_private.all_workflows.failed is E'@notNull\nWorkflow steps that have failed.';
comment on column legwork_private.all_workflows.cancelled is E'@notNull\nWorkflow steps that were cancelled.';
comment on column legwork_private.all_workflows.expired is E'@notNull\nWorkflow steps that have expired.';
comment on column legwork_private.all_workflows.progress is E'@notNull\nThe percentage of its workflow steps that have ended.';
comment on column legwork_private.all_workflows.tenant is 'The workflow''s tenant.';
comment on column legwork_private.all_workflows.correlation_id is E'@notNull\nShared by all its jobs.';
comment on column legwork_private.all_workflows.parent_id is 'The job that started it.';
comment on column legwork_private.all_workflows.deadline is 'When workflow steps that have not ended are cancelled.';
comment on column legwork_private.all_workflows.created_at is E'@notNull\nWhen it was started.';
comment on column legwork_private.all_workflows.ended_at is 'When it ended; null before that.';

create or replace view legwork.workflows with (security_barrier) as
select * from legwork_private.all_workflows
where (select legwork_private.confined_tenant()) is null or tenant = (select legwork_private.confined_tenant())
order by id desc;
select legwork_private.copy_comments('legwork_private.all_workflows', 'legwork.workflows');
comment on view legwork.workflows is 'All workflows with their state and progress. Order by id: newest last.';

-- Views for the server's pages. Each has a single predicate and no security_barrier, so that the first fifty rows come from the index. The
-- server's search path decides which view it reads.
create or replace view legwork_private.workflows_page as
select * from legwork_private.all_workflows where (select legwork_private.confined_tenant() is null);
select legwork_private.copy_comments('legwork.workflows', 'legwork_private.workflows_page');

-- Shows nothing to a confined login, regardless of its grants and settings.
create or replace view legwork_confined.workflows_page as
select * from legwork_private.all_workflows
where tenant = legwork_private.confined_to()
  and (select not exists (select from legwork_private.confined_logins c where c.login = session_user));
select legwork_private.copy_comments('legwork.workflows', 'legwork_confined.workflows_page');

create or replace view legwork_private.all_workflow_steps as
select
  s.workflow_id, s.name, s.position, s.task, s.depends_on, s.on_failure, s.job_id, coalesce(j.state, k.state) as state,
  coalesce(j.attempts, k.attempts, 0) as attempts,
  case when j.state is null then k.result else j.result end as result, case when j.state is null then k.error else j.error end as error,
  case when j.state is null then k.started_at else j.started_at end as started_at,
  case when j.state is null then k.finished_at else j.finished_at end as finished_at, s.compensation_job_id,
  coalesce((select o.state from legwork_private.all_jobs o where o.id = s.compensation_job_id limit 1),
    (select e.state from legwork_private.workflow_step_ends e where e.job_id = s.compensation_job_id)) as compensation_state, r.tenant
from legwork_private.workflow_run_steps s
join legwork_private.workflow_runs r on r.id = s.workflow_id
left join lateral (
  select o.state, o.attempts, o.result, o.error, o.started_at, o.finished_at from legwork_private.all_jobs o where o.id = s.job_id limit 1
) j on true
-- For jobs that are no longer in the history.
left join legwork_private.workflow_step_ends k on k.job_id = s.job_id
where s.position is not null;
comment on view legwork_private.all_workflow_steps is 'The rows of all tenants, for Legwork''s own functions and views. Users read legwork.workflow_steps.';
comment on column legwork_private.all_workflow_steps.workflow_id is E'@notNull\nThe workflow.';
comment on column legwork_private.all_workflow_steps.name is E'@notNull\nThe workflow step''s name, preceded by the names of the sub-workflows it belongs to.';
comment on column legwork_private.all_workflow_steps.position is E'@notNull\nIts position in an order in which every workflow step comes after those it depends on.';
comment on column legwork_private.all_workflow_steps.task is E'@notNull\nThe task.';
comment on column legwork_private.all_workflow_steps.depends_on is E'@notNull\nThe workflow steps and sub-workflows that it was declared to depend on.';
comment on column legwork_private.all_workflow_steps.on_failure is E'@notNull\nstop, continue or compensate.';
comment on column legwork_private.all_workflow_steps.job_id is E'@notNull\nIts job.';
comment on column legwork_private.all_workflow_steps.state is 'The job''s state, kept for as long as the workflow is; null if its history was deleted manually.';
comment on column legwork_private.all_workflow_steps.attempts is E'@notNull\nThe number of the job''s attempts.';
comment on column legwork_private.all_workflow_steps.result is 'What its task returned; null until it has completed.';
comment on column legwork_private.all_workflow_steps.error is 'The message of the last error.';
comment on column legwork_private.all_workflow_steps.started_at is 'When its last attempt started.';
comment on column legwork_private.all_workflow_steps.finished_at is 'When it ended; null before that.';
comment on column legwork_private.all_workflow_steps.compensation_job_id is 'The job that undoes it; null without one.';
comment on column legwork_private.all_workflow_steps.compensation_state is 'The state of the job that undoes it.';
comment on column legwork_private.all_workflow_steps.tenant is 'The workflow''s tenant.';

create or replace view legwork.workflow_steps with (security_barrier) as
select * from legwork_private.all_workflow_steps
where (select legwork_private.confined_tenant()) is null or tenant = (select legwork_private.confined_tenant());
select legwork_private.copy_comments('legwork_private.all_workflow_steps', 'legwork.workflow_steps');
comment on view legwork.workflow_steps is 'All workflow steps with the states of their jobs. Look up by workflow_id, order by position.';
