create or replace view legwork.tasks as
select
  t.identifier as name, d.description, coalesce(d.queue, 'default') as queue, d.payload_schema, d.result_schema,
  d.redact, legwork_private.short_duration(d.timeout) as timeout,
  d.registered_at, d.updated_at, p.paused_at, coalesce(p.reason_by, p.paused_by) as paused_by, p.reason as pause_reason,
  legwork_private.describe_limits('task', t.identifier) as limits,
  legwork_private.describe_retry(t.identifier, coalesce(d.queue, 'default')) as retry,
  t.id as number
from legwork_private.graphile_tasks t
left join legwork_private.task_definitions d on d.name = t.identifier
left join legwork_private.pauses p on p.scope = 'task' and p.name = t.identifier;
comment on view legwork.tasks is 'All tasks that a worker has registered or that have had a job.';
comment on column legwork.tasks.name is E'@notNull\nThe task''s name.';
comment on column legwork.tasks.description is 'What it does, as its author describes it.';
comment on column legwork.tasks.queue is E'@notNull\nThe queue it belongs to.';
comment on column legwork.tasks.payload_schema is 'JSON Schema of its payload; null if it accepts any payload.';
comment on column legwork.tasks.result_schema is 'JSON Schema of its result; null if it has none.';
comment on column legwork.tasks.redact is 'The paths in its payloads and results that are redacted; null if it has none.';
comment on column legwork.tasks.timeout is 'How long an attempt may take, such as 30s; null without a timeout.';
comment on column legwork.tasks.registered_at is 'When a Legwork worker first registered it; null if none has.';
comment on column legwork.tasks.updated_at is 'When a Legwork worker last registered a change of it.';
comment on column legwork.tasks.paused_at is 'When it was paused; null if it is not. Its queue, or everything, may be paused too.';
comment on column legwork.tasks.paused_by is 'Who paused it, or last paused it again with another reason.';
comment on column legwork.tasks.pause_reason is 'The reason for the pause.';
comment on column legwork.tasks.limits is 'Its limits, as an array of {kind, max, per, key}; null if it has none. The limits of its queue apply too.';
comment on column legwork.tasks.number is E'@notNull\nThe task_number that legwork.jobs shows for its jobs.';
comment on column legwork.tasks.retry is 'The retry policy of its jobs; null for graphile-worker''s default.';

create or replace function legwork_private.task_number(task text) returns integer
language sql stable parallel safe
return coalesce((select t.number from legwork.tasks t where t.name = task), -1);
comment on function legwork_private.task_number(text) is 'The task_number of a task''s jobs in legwork.jobs; -1 for an unknown task.';
