create or replace view legwork.workers with (security_barrier) as
select w.id, w.host, w.pid, w.concurrency, w.tasks, w.running, w.started_at, w.seen_at, w.suspected_at is not null as suspected,
  w.cpu, w.memory, w.memory_total, w.disk, w.disk_total, w.heap_bytes, w.host_seen_at, w.blocked_since, w.blocked_jobs, w.version,
  w.host || ':' || w.pid as name, w.state, w.quiet_since, w.quiet_by,
  -- The inner query is the same for all workers and runs once. It makes one index lookup per task.
  array(
    select x from unnest((
      select array_agg(t.identifier) from legwork_private.graphile_tasks t
      where exists (select from legwork_private.graphile_jobs j where j.task_id = t.id and j.is_available)
    )) x where x <> all (w.tasks) and x <> all (w.excluded) order by x
  ) as lacks,
  w.excluded, w.queue_slots
from legwork_private.worker_processes w where (select legwork_private.confined_tenant() is null);
comment on view legwork.workers is 'The Legwork workers that are running, or were a moment ago.';
comment on column legwork.workers.id is E'@notNull\ngraphile-worker''s name for the worker pool, as in a job''s worker.';
comment on column legwork.workers.host is E'@notNull\nThe host name of the worker''s machine.';
comment on column legwork.workers.pid is E'@notNull\nIts process id.';
comment on column legwork.workers.concurrency is E'@notNull\nHow many jobs it runs at a time.';
comment on column legwork.workers.tasks is E'@notNull\nThe tasks it runs.';
comment on column legwork.workers.running is E'@notNull\nThe jobs it was running when it was last seen.';
comment on column legwork.workers.started_at is E'@notNull\nWhen it started.';
comment on column legwork.workers.seen_at is E'@notNull\nWhen it last sent a heartbeat.';
comment on column legwork.workers.suspected is E'@notNull\nWhether it has sent no heartbeat for too long.';
comment on column legwork.workers.version is 'Its version of Legwork; null for versions before 0.1.0.';
comment on column legwork.workers.cpu is 'The share of its machine''s processors in use, 0 to 1; null before its first report.';
comment on column legwork.workers.memory is 'The share of its machine''s memory in use, 0 to 1.';
comment on column legwork.workers.memory_total is 'The size of that memory (bytes).';
comment on column legwork.workers.disk is 'The used share of the disk that holds its working directory, 0 to 1.';
comment on column legwork.workers.disk_total is 'The size of that disk (bytes).';
comment on column legwork.workers.heap_bytes is 'The size of the process''s heap (bytes).';
comment on column legwork.workers.host_seen_at is 'When it last reported these values.';
comment on column legwork.workers.blocked_since is 'When synchronous code began to block its event loop; null while it is not blocked.';
comment on column legwork.workers.blocked_jobs is
  'The job that runs this code. Several jobs if it is unknown which of them runs it, empty if the code belongs to no job, null while the event loop is not blocked.';
comment on column legwork.workers.name is E'@notNull\nIts readable name: the host and the process id, as in mail-1:4211.';
comment on column legwork.workers.state is E'@notNull\nactive; quiet: it takes no new jobs (legwork.quiet_worker); or draining: quiet, and it stops when the last of its jobs has ended.';
comment on column legwork.workers.quiet_since is 'When it became quiet or began to drain; null while it is active.';
comment on column legwork.workers.quiet_by is 'The actor who made it quiet or began to drain it.';
comment on column legwork.workers.lacks is E'@notNull\nTasks that it does not have and for which jobs are waiting.';
comment on column legwork.workers.excluded is E'@notNull\nThe tasks that it has but was started without (--only, --except).';
comment on column legwork.workers.queue_slots is 'How many jobs of a queue it runs at a time (--slots), by queue, as in {"mail": 5}; null if only its concurrency limits them.';
