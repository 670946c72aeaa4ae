comment on type legwork.job_state is
  'Where a job is. scheduled: its run_at is ahead. pending: may start now. blocked: waits for a dependency or a limit. '
  'paused: its queue or task is paused. running: a worker has it. retrying: failed before and waits for its next attempt. '
  'The ends: completed, failed (attempts used up; kept and can be retried), cancelled, expired.';
comment on table legwork_private.finished_jobs is
  'One row per job that has ended, in partitions by the time it ended. A failed job also stays in graphile-worker''s table '
  'so that it can be retried; when it is, its row here goes and comes back with its next end.';
comment on column legwork_private.finished_jobs.id is 'The job''s id, as given by add_job.';
comment on column legwork_private.finished_jobs.task is 'The task that was to run.';
comment on column legwork_private.finished_jobs.queue is 'The queue the task belonged to when the job ended.';
comment on column legwork_private.finished_jobs.state is 'How it ended: completed, failed, cancelled or expired.';
comment on column legwork_private.finished_jobs.priority is 'Smaller runs first.';
comment on column legwork_private.finished_jobs.attempts is 'Attempts used; all of them for a job that graphile-worker''s permanently_fail_jobs has failed.';
comment on column legwork_private.finished_jobs.max_attempts is 'Attempts allowed.';
comment on column legwork_private.finished_jobs.payload is 'What the task was given.';
comment on column legwork_private.finished_jobs.result is 'What the task returned; null when it returned nothing or a worker without Legwork ran it.';
comment on column legwork_private.finished_jobs.error is 'Why it did not complete; null for one that did, whose failed attempts are in legwork_private.failed_attempts.';
comment on column legwork_private.finished_jobs.run_at is 'When it was allowed to start.';
comment on column legwork_private.finished_jobs.created_at is 'When it was enqueued.';
comment on column legwork_private.finished_jobs.started_at is 'When its last attempt started; null when it never ran. Exact from a Legwork worker, the time of fetching from any other.';
comment on column legwork_private.finished_jobs.finished_at is 'When it ended.';
comment on column legwork_private.finished_jobs.worker is 'The worker that ran the last attempt; null when no worker did.';
comment on column legwork_private.finished_jobs.job_key is 'The job''s key as it was given, if it had one.';
comment on column legwork_private.finished_jobs.serial_key is 'Jobs with the same serial key run one at a time (graphile-worker''s queue_name, so with the tenant before it: see legwork.tenant_key).';
comment on column legwork_private.finished_jobs.tenant is 'Whose job it was.';
comment on column legwork_private.finished_jobs.correlation_id is 'Shared by everything that came from one cause.';
comment on column legwork_private.finished_jobs.parent_id is 'The job that enqueued this one.';
comment on column legwork_private.finished_jobs.fingerprint is 'Of a failed job: the same for failures that look alike. See legwork.failed_groups.';
comment on table legwork_private.failed_attempts is 'One row per attempt that did not complete its job, in partitions by the time it failed.';
comment on column legwork_private.failed_attempts.job_id is 'The job.';
comment on column legwork_private.failed_attempts.attempt is 'Which attempt, counted from 1.';
comment on column legwork_private.failed_attempts.task is 'The task that ran.';
comment on column legwork_private.failed_attempts.queue is 'The queue of the task.';
comment on column legwork_private.failed_attempts.error_name is 'The error''s class, such as TypeError; WorkerLost when its worker died; null from a worker without Legwork.';
comment on column legwork_private.failed_attempts.error_message is 'The error''s message.';
comment on column legwork_private.failed_attempts.error_stack is 'Where it was thrown; null from a worker without Legwork.';
comment on column legwork_private.failed_attempts.error_code is 'The error''s code, such as ECONNREFUSED or a SQLSTATE.';
comment on column legwork_private.failed_attempts.started_at is 'When the attempt started.';
comment on column legwork_private.failed_attempts.failed_at is 'When it failed.';
comment on column legwork_private.failed_attempts.retry_at is 'When the next attempt was due; null after the last one.';
comment on column legwork_private.failed_attempts.worker is 'The worker that ran it.';
comment on column legwork_private.failed_attempts.tenant is 'Whose job it was.';
comment on column legwork_private.failed_attempts.correlation_id is 'Shared by everything that came from one cause.';
