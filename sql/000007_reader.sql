-- What readers filter by and only few jobs have. Partial, so that a job without these (the plain add_job) pays nothing.
--
-- Locks: SHARE on legwork.finished_jobs and its partitions while the indexes are built (jobs that end wait): about 0.5 s
-- per million finished jobs.

create index finished_jobs_job_key_id on legwork.finished_jobs (job_key, id) where job_key is not null;
create index finished_jobs_serial_key_id on legwork.finished_jobs (serial_key, id) where serial_key is not null;
create index finished_jobs_queue_id on legwork.finished_jobs (queue, id) where queue <> 'default';
