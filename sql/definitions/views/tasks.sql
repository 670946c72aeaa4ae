create or replace view legwork.tasks as
select
  t.identifier as name, d.description, coalesce(d.queue, 'default') as queue, d.payload_schema, d.result_schema,
  d.redact,
  d.registered_at, d.updated_at, p.paused_at, p.paused_by, p.reason as pause_reason,
  legwork_private.describe_limits('task', t.identifier) as limits,
  legwork_private.describe_retry(t.identifier, coalesce(d.queue, 'default')) as retry,
  t.id as number
from legwork_private.graphile_tasks t
left join legwork_private.task_definitions d on d.name = t.identifier
left join legwork_private.pauses p on p.scope = 'task' and p.name = t.identifier;
comment on view legwork.tasks is 'Every task that a worker has announced or that a job was made for.';
comment on column legwork.tasks.name is E'@notNull\nThe task''s name.';
comment on column legwork.tasks.description is 'What it does, in its author''s words.';
comment on column legwork.tasks.queue is E'@notNull\nThe queue it belongs to.';
comment on column legwork.tasks.payload_schema is 'JSON Schema of its payload; null when it takes anything.';
comment on column legwork.tasks.result_schema is 'JSON Schema of its result; null when it is not described.';
comment on column legwork.tasks.redact is 'The paths in its payloads and results that nobody may read; null for none.';
comment on column legwork.tasks.registered_at is 'When a Legwork worker first told of it; null when none has.';
comment on column legwork.tasks.updated_at is 'When a Legwork worker last told something new of it.';
comment on column legwork.tasks.paused_at is 'Since when it is paused; null when it is not. Its queue, or everything, may be paused too.';
comment on column legwork.tasks.paused_by is 'Who paused it.';
comment on column legwork.tasks.pause_reason is 'Why.';
comment on column legwork.tasks.limits is 'Its limits, as an array of {kind, max, per, key}; those of its queue come on top. Null for none.';
comment on column legwork.tasks.number is E'@notNull\nThe task_number that legwork.jobs shows for its jobs.';
comment on column legwork.tasks.retry is 'How its jobs are retried; null for graphile-worker''s default.';

create or replace function legwork_private.task_number(task text) returns integer
language sql stable parallel safe
return coalesce((select t.number from legwork.tasks t where t.name = task), -1);
comment on function legwork_private.task_number(text) is 'The task_number of a task''s jobs in legwork.jobs; -1 for a task that is not known.';
