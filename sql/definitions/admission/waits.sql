-- How long jobs waited for limits and dependencies, for legwork.job_timeline. These waits are recorded nowhere else. (Pauses are in the audit log,
-- and run_at is in the job.) A row is written when a job leaves the waiting room, by the statement that releases it, so jobs that never wait cost
-- nothing.

comment on table legwork_private.job_waits is 'Finished waits of jobs, for limits or for other jobs, that took longer than legwork_private.shortest_wait(). Partitioned by the end of the wait; kept as long as the history.';
comment on column legwork_private.job_waits.job_id is 'The job.';
comment on column legwork_private.job_waits.kind is 'limit: it was due and in a line, or paused. dependency: jobs that it depends on had not ended.';
comment on column legwork_private.job_waits.started_at is 'When it began to wait.';
comment on column legwork_private.job_waits.ended_at is 'When it was released.';
comment on column legwork_private.job_waits.gates is 'The gates that it had to pass, as in legwork_private.waiting_jobs. Empty for a dependency.';

create or replace function legwork_private.shortest_wait() returns interval
language sql immutable parallel safe
return interval '1 second';
comment on function legwork_private.shortest_wait() is 'Shorter waits for limits and dependencies are not recorded, so that a job that is admitted at once costs nothing.';

create or replace function legwork_private.tg_waiting_jobs__record_wait() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set jit = off as $$
begin
  insert into legwork_private.job_waits (job_id, kind, started_at, ended_at, gates)
  select g.job_id, case when g.held = 'dependency' then 'dependency' else 'limit' end,
    case when g.held = 'dependency' then g.entered_at else greatest(g.entered_at, g.run_at) end, clock_timestamp(), g.gates
  from gone g
  where (g.held = 'dependency' or g.gates <> '{}')
    and case when g.held = 'dependency' then g.entered_at else greatest(g.entered_at, g.run_at) end < clock_timestamp() - legwork_private.shortest_wait();
  return null;
end $$;
comment on function legwork_private.tg_waiting_jobs__record_wait() is 'Records how long jobs that leave the waiting room have waited for a limit or for other jobs.';
revoke execute on function legwork_private.tg_waiting_jobs__record_wait() from public;

create or replace trigger _legwork_record_wait after delete on legwork_private.waiting_jobs
  referencing old table as gone for each statement execute function legwork_private.tg_waiting_jobs__record_wait();
