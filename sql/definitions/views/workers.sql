create or replace view legwork.workers with (security_barrier) as
select w.id, w.host, w.pid, w.concurrency, w.tasks, w.running, w.started_at, w.seen_at, w.suspected_at is not null as suspected,
  w.cpu, w.memory, w.memory_total, w.disk, w.disk_total, w.heap_bytes, w.host_seen_at, w.blocked_since, w.blocked_jobs, w.version
from legwork_private.worker_processes w where (select legwork_private.confined_tenant() is null);
comment on view legwork.workers is 'The Legwork workers that are alive or were a moment ago.';
comment on column legwork.workers.id is E'@notNull\ngraphile-worker''s name for the worker pool, as in a job''s worker.';
comment on column legwork.workers.host is E'@notNull\nThe host name of its machine.';
comment on column legwork.workers.pid is E'@notNull\nIts process id there.';
comment on column legwork.workers.concurrency is E'@notNull\nJobs it runs at a time.';
comment on column legwork.workers.tasks is E'@notNull\nThe tasks it can run.';
comment on column legwork.workers.running is E'@notNull\nThe jobs it was running when it was last seen.';
comment on column legwork.workers.started_at is E'@notNull\nWhen it started.';
comment on column legwork.workers.seen_at is E'@notNull\nWhen it last said that it lives.';
comment on column legwork.workers.suspected is E'@notNull\nWhether it has been silent for too long.';
comment on column legwork.workers.version is 'The version of Legwork that it runs; null for one from before 0.1.0.';
comment on column legwork.workers.cpu is 'The share of its machine''s processors in use, 0 to 1; null before it has told.';
comment on column legwork.workers.memory is 'The share of its machine''s memory in use, 0 to 1.';
comment on column legwork.workers.memory_total is 'That memory (bytes).';
comment on column legwork.workers.disk is 'The share of the disk of its working directory in use, 0 to 1.';
comment on column legwork.workers.disk_total is 'The size of that disk (bytes).';
comment on column legwork.workers.heap_bytes is 'What the process''s own objects take (bytes).';
comment on column legwork.workers.host_seen_at is 'When it told of these.';
comment on column legwork.workers.blocked_since is 'Since when synchronous code has held up its event loop; null while that turns.';
comment on column legwork.workers.blocked_jobs is
  'The job whose code that is. Several when it is one of them and not known which; none when it belongs to no job; null while the event loop turns.';
