create or replace view legwork_private.all_steps as
select
  s.job_id, s.kind, s.name, case when s.state = 'open' then 'waiting' else s.state end as state, s.result, s.attempt, s.started_at,
  case when s.state in ('completed', 'failed', 'timed_out') then s.recorded_at end as finished_at, s.deadline, s.tenant, s.error, s.child_id
from legwork_private.job_steps s;
comment on view legwork_private.all_steps is 'The rows of all tenants, for Legwork''s own functions and views. Users read legwork.steps.';
comment on column legwork_private.all_steps.job_id is E'@notNull\nThe job.';
comment on column legwork_private.all_steps.kind is E'@notNull\nrun: a function; wait: for a signal; sleep: until a time; invoke: for the end of a job that it has enqueued.';
comment on column legwork_private.all_steps.name is E'@notNull\nIts name within the job; for a wait, the name of the signal.';
comment on column legwork_private.all_steps.state is E'@notNull\ncompleted: it is not repeated. failed: it threw an error, and the next attempt runs it again, or, for invoke, the job that it has invoked did not complete. timed_out: no signal arrived by the deadline. waiting: the signal has not arrived, or the time has not come.';
comment on column legwork_private.all_steps.result is 'What it returned, the payload of the signal, or the result of the invoked job; redacted. Null if it has none.';
comment on column legwork_private.all_steps.attempt is E'@notNull\nThe attempt that completed it, in which it failed, or that last reached it, from 1.';
comment on column legwork_private.all_steps.started_at is E'@notNull\nWhen it began.';
comment on column legwork_private.all_steps.finished_at is 'When it ended; null while it waits.';
comment on column legwork_private.all_steps.deadline is 'The time until which it waits; null without a deadline, and for steps that do not wait.';
comment on column legwork_private.all_steps.tenant is 'The job''s tenant.';
comment on column legwork_private.all_steps.child_id is 'The job that the step has invoked. Null for other steps.';
comment on column legwork_private.all_steps.error is 'The message of its error; redacted. Null unless it failed.';

create or replace view legwork.steps with (security_barrier) as
select * from legwork_private.all_steps
where (select legwork_private.confined_tenant()) is null or tenant = (select legwork_private.confined_tenant());
select legwork_private.copy_comments('legwork_private.all_steps', 'legwork.steps');
comment on view legwork.steps is 'The steps of jobs: work that later attempts do not repeat, and the signals, times and jobs that jobs wait for. Look up by job_id, order by started_at.';
