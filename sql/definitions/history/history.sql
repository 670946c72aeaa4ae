comment on type legwork.job_state is
  'The state of a job. scheduled: it is due later. pending: it is ready to run. blocked: it is waiting for a dependency, a limit or a signal. '
  'paused: its queue or task is paused. running: a worker runs it. retrying: an attempt has failed, and the next one is due later. '
  'The final states: completed, failed (after its last attempt; it is kept and can be retried), cancelled, expired.';
comment on table legwork_private.finished_jobs is
  'One row per job that has ended, partitioned by the time it ended. A failed job also stays in graphile-worker''s table, '
  'so that it can be retried. When it is retried, its row here is deleted, and added again when it ends.';
comment on column legwork_private.finished_jobs.id is 'The job''s id, as returned by add_job.';
comment on column legwork_private.finished_jobs.task is 'The job''s task.';
comment on column legwork_private.finished_jobs.queue is 'The queue that the task belonged to when the job ended.';
comment on column legwork_private.finished_jobs.state is 'The state in which it ended: completed, failed, cancelled or expired.';
comment on column legwork_private.finished_jobs.priority is 'The job''s priority: the smallest number runs first.';
comment on column legwork_private.finished_jobs.attempts is 'Attempts used. Equal to max_attempts if graphile-worker''s permanently_fail_jobs failed the job.';
comment on column legwork_private.finished_jobs.max_attempts is 'Attempts allowed.';
comment on column legwork_private.finished_jobs.payload is 'The job''s payload.';
comment on column legwork_private.finished_jobs.result is 'The task''s result. Null if it returned nothing, or if a worker without Legwork ran it.';
comment on column legwork_private.finished_jobs.error is 'Why it did not complete. Null for a completed job, whose failed attempts are in legwork_private.failed_attempts.';
comment on column legwork_private.finished_jobs.run_at is 'When it was due.';
comment on column legwork_private.finished_jobs.created_at is 'When it was enqueued.';
comment on column legwork_private.finished_jobs.started_at is 'When its last attempt started. Null if it never ran. Exact if a Legwork worker ran it; otherwise the time when it was fetched.';
comment on column legwork_private.finished_jobs.finished_at is 'When it ended.';
comment on column legwork_private.finished_jobs.worker is 'The worker that ran the last attempt. Null if it never ran.';
comment on column legwork_private.finished_jobs.job_key is 'The job key, as the caller gave it. Null if it had none.';
comment on column legwork_private.finished_jobs.serial_key is 'Jobs with the same serial key run one at a time. This is graphile-worker''s queue_name, so it is prefixed with the tenant (see legwork.tenant_key).';
comment on column legwork_private.finished_jobs.tenant is 'The tenant that the job belonged to.';
comment on column legwork_private.finished_jobs.correlation_id is 'Shared by all jobs with the same origin.';
comment on column legwork_private.finished_jobs.parent_id is 'The job that enqueued this one.';
comment on column legwork_private.finished_jobs.fingerprint is 'For a failed job: a value that similar failures share. See legwork.failed_groups.';
comment on column legwork_private.finished_jobs.traceparent is 'The W3C trace context with which it was enqueued. Null without tracing.';
comment on table legwork_private.failed_attempts is 'One row per attempt that did not complete its job, partitioned by the time it failed.';
comment on column legwork_private.failed_attempts.job_id is 'The job.';
comment on column legwork_private.failed_attempts.attempt is 'The number of the attempt, counted from 1.';
comment on column legwork_private.failed_attempts.task is 'The task that ran.';
comment on column legwork_private.failed_attempts.queue is 'The queue of the task.';
comment on column legwork_private.failed_attempts.error_name is 'The error''s class, such as TypeError. WorkerLost if its worker died. Null from a worker without Legwork.';
comment on column legwork_private.failed_attempts.error_message is 'The error''s message.';
comment on column legwork_private.failed_attempts.error_stack is 'The stack trace. Null from a worker without Legwork.';
comment on column legwork_private.failed_attempts.error_code is 'The error''s code, such as ECONNREFUSED or a SQLSTATE.';
comment on column legwork_private.failed_attempts.started_at is 'When the attempt started.';
comment on column legwork_private.failed_attempts.failed_at is 'When it failed.';
comment on column legwork_private.failed_attempts.retry_at is 'When the next attempt was due. Null after the last attempt.';
comment on column legwork_private.failed_attempts.run_at is 'When it was due. Null if that is not known.';
comment on column legwork_private.failed_attempts.worker is 'The worker that ran it.';
comment on column legwork_private.failed_attempts.tenant is 'The tenant that the job belonged to.';
comment on column legwork_private.failed_attempts.correlation_id is 'Shared by all jobs with the same origin.';
