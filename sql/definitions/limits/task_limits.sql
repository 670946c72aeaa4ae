create or replace view legwork_private.task_limits as
select
  t.id as task_id, t.identifier as task, coalesce(d.queue, 'default') as queue,
  exists (
    select from legwork_private.pauses p
    where p.scope = 'all' or (p.scope = 'queue' and p.name = coalesce(d.queue, 'default')) or (p.scope = 'task' and p.name = t.identifier)
  ) as is_paused,
  array(
    select l.id from legwork_private.limits l
    where l.max_count is not null
      and (l.scope = 'queue' and l.name = coalesce(d.queue, 'default') or l.scope = 'task' and l.name = t.identifier)
    order by l.id
  ) as limits
from legwork_private.graphile_tasks t
left join legwork_private.task_definitions d on d.name = t.identifier;
comment on view legwork_private.task_limits is 'Every task, with its queue, whether it is paused, and the limits that apply to it.';
comment on column legwork_private.task_limits.task_id is 'graphile-worker''s id of the task.';
comment on column legwork_private.task_limits.task is 'The task.';
comment on column legwork_private.task_limits.queue is 'Its queue.';
comment on column legwork_private.task_limits.is_paused is 'Whether it, its queue or everything is paused.';
comment on column legwork_private.task_limits.limits is 'The ids of the limits that apply to its jobs, including those of its queue.';
