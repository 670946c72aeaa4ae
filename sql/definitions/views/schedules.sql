-- The schedules and their occurrences, for reading.
create or replace view legwork_private.all_schedules as
select
  d.name, 'database' as source, d.task,
  case when k.redact is null then d.payload else legwork.redact(d.payload, k.redact) end as payload,
  d.cron, d.every, d.at, d.timezone, coalesce(d.sentence, d.cron) as sentence, d.is_enabled, d.next_at, d.upcoming[:10] as upcoming,
  d.last_due_at, d.last_state, d.last_job_id,
  case when d.last_job_id is not null then (select j.state from legwork_private.all_jobs j where j.id = d.last_job_id) end as last_outcome,
  d.runs, d.max_runs, d.starts_at, d.ends_at, d.jitter, d.overlap, d.max_instances, d.missed, case d.missed when 'all' then d.missed_window end as missed_window,
  d.requires, case when d.requires is not null then d.requires_wait end as requires_wait, d.tenant, d.priority, d.max_attempts, d.problem,
  d.created_at, d.created_by, d.updated_at, d.disabled_at, d.disabled_by
from legwork_private.schedule_definitions d
left join legwork_private.task_definitions k on k.name = d.task
union all
select
  c.identifier, 'crontab', c.task, case when k.redact is null then c.payload else legwork.redact(c.payload, k.redact) end,
  c.cron, null, null, 'UTC', coalesce(c.sentence, c.cron), true, (select min(u.at) from unnest(c.upcoming) as u (at) where u.at > now()),
  array(select u.at from unnest(c.upcoming) as u (at) where u.at > now() order by u.at),
  g.last_execution, case when g.last_execution is not null then 'enqueued' end, null, null,
  null, null, null, null, null, 'allow', null, 'none', null, null, null, null, null, null, null, g.known_since, null, c.seen_at, null, null
from legwork_private.crontab_entries c
left join legwork_private.task_definitions k on k.name = c.task
left join legwork_private.graphile_crontabs g on g.identifier = c.identifier;
comment on view legwork_private.all_schedules is 'The rows of all tenants, for Legwork''s own functions and views. Users read legwork.schedules.';
comment on column legwork_private.all_schedules.name is E'@notNull\nThe schedule''s name.';
comment on column legwork_private.all_schedules.source is E'@notNull\ndatabase for schedules created by legwork.schedule, crontab for entries of a file.';
comment on column legwork_private.all_schedules.task is E'@notNull\nThe task that its jobs run.';
comment on column legwork_private.all_schedules.payload is 'The payload of its jobs.';
comment on column legwork_private.all_schedules.cron is 'The cron expression; null for other kinds of schedules.';
comment on column legwork_private.all_schedules.every is 'The time between two occurrences; null for other kinds of schedules.';
comment on column legwork_private.all_schedules.at is 'The time of its only occurrence; null for other kinds of schedules.';
comment on column legwork_private.all_schedules.timezone is E'@notNull\nThe time zone of its times.';
comment on column legwork_private.all_schedules.sentence is E'@notNull\nWhen it occurs, in words.';
comment on column legwork_private.all_schedules.is_enabled is E'@notNull\nWhether it is enabled.';
comment on column legwork_private.all_schedules.next_at is 'The next occurrence; null while it is disabled, after its last occurrence, and briefly until it has been planned.';
comment on column legwork_private.all_schedules.upcoming is 'The next occurrences, as far as they are planned.';
comment on column legwork_private.all_schedules.last_due_at is 'When the last occurrence that was enqueued was due.';
comment on column legwork_private.all_schedules.last_state is 'The state of the last occurrence: see legwork.schedule_runs.';
comment on column legwork_private.all_schedules.last_job_id is 'The last job; null for an entry of a crontab.';
comment on column legwork_private.all_schedules.last_outcome is 'The state of the last job.';
comment on column legwork_private.all_schedules.runs is 'The number of occurrences enqueued since its times were last changed.';
comment on column legwork_private.all_schedules.max_runs is 'The number of occurrences after which it ends; null for no bound.';
comment on column legwork_private.all_schedules.starts_at is 'The earliest time of an occurrence.';
comment on column legwork_private.all_schedules.ends_at is 'The latest time of an occurrence.';
comment on column legwork_private.all_schedules.jitter is 'The longest random delay of a job''s start.';
comment on column legwork_private.all_schedules.overlap is E'@notNull\nWhat happens to an occurrence while max_instances of its jobs have not ended: allow, skip, queue or cancel.';
comment on column legwork_private.all_schedules.max_instances is 'How many of its jobs may be unfinished at a time; null if overlap is allow.';
comment on column legwork_private.all_schedules.missed is E'@notNull\nWhich missed occurrences are enqueued late: none, one job for all of them, or all.';
comment on column legwork_private.all_schedules.missed_window is 'If missed is all: missed occurrences older than this are not enqueued.';
comment on column legwork_private.all_schedules.requires is 'Schedules whose last job must have completed, each with the longest time since then.';
comment on column legwork_private.all_schedules.requires_wait is 'How long an occurrence waits for the schedules that it requires.';
comment on column legwork_private.all_schedules.tenant is 'The schedule''s tenant.';
comment on column legwork_private.all_schedules.priority is 'The priority of its jobs; null for 0.';
comment on column legwork_private.all_schedules.max_attempts is 'The maximum number of attempts of its jobs; null for 25.';
comment on column legwork_private.all_schedules.problem is 'Why its occurrences cannot be computed or its jobs cannot be enqueued; null without a problem.';
comment on column legwork_private.all_schedules.created_at is 'When it was created, or first seen.';
comment on column legwork_private.all_schedules.created_by is 'Who created it; null for an entry of a crontab.';
comment on column legwork_private.all_schedules.disabled_at is 'When it was disabled; null while it is enabled.';
comment on column legwork_private.all_schedules.disabled_by is 'Who disabled it; null while it is enabled.';
comment on column legwork_private.all_schedules.updated_at is E'@notNull\nWhen it was last changed; for an entry of a crontab, when a worker last reported it.';

create or replace view legwork.schedules with (security_barrier) as
select * from legwork_private.all_schedules
where (select legwork_private.confined_tenant()) is null or tenant = (select legwork_private.confined_tenant());
select legwork_private.copy_comments('legwork_private.all_schedules', 'legwork.schedules');
comment on view legwork.schedules is 'All schedules: those created by legwork.schedule, and the entries of the workers'' crontabs, which are changed in their file.';

create or replace view legwork_private.all_schedule_runs as
select
  o.schedule, o.due_at, o.state, o.reason, o.job_id,
  case when o.job_id is not null then (select j.state from legwork_private.all_jobs j where j.id = o.job_id) end as outcome,
  o.occurrences, o.last_due_at, o.recorded_at, o.tenant
from legwork_private.schedule_occurrences o;
comment on view legwork_private.all_schedule_runs is 'The rows of all tenants, for Legwork''s own functions and views. Users read legwork.schedule_runs.';
comment on column legwork_private.all_schedule_runs.schedule is E'@notNull\nThe schedule.';
comment on column legwork_private.all_schedule_runs.due_at is E'@notNull\nWhen it was due; the first due time, if the row represents several occurrences.';
comment on column legwork_private.all_schedule_runs.state is
  E'@notNull\nenqueued; manual: run on request; waiting: for the schedules that it requires; skipped: too many of its jobs had not ended; missed: no worker was running; coalesced: no worker was '
  'running, and job_id replaces it; held_back: a schedule that it requires did not complete in time.';
comment on column legwork_private.all_schedule_runs.reason is 'Why it was not enqueued when due.';
comment on column legwork_private.all_schedule_runs.job_id is 'The job.';
comment on column legwork_private.all_schedule_runs.outcome is 'The job''s state; null if there is no job or it is no longer kept.';
comment on column legwork_private.all_schedule_runs.occurrences is 'How many occurrences the row represents; null if unknown.';
comment on column legwork_private.all_schedule_runs.last_due_at is E'@notNull\nThe due time of the last occurrence that the row represents; due_at if there is only one.';
comment on column legwork_private.all_schedule_runs.recorded_at is E'@notNull\nWhen this was decided or, for a waiting occurrence, when it started to wait.';
comment on column legwork_private.all_schedule_runs.tenant is 'The schedule''s tenant.';

create or replace view legwork.schedule_runs with (security_barrier) as
select * from legwork_private.all_schedule_runs
where (select legwork_private.confined_tenant()) is null or tenant = (select legwork_private.confined_tenant())
order by schedule, due_at desc;
select legwork_private.copy_comments('legwork_private.all_schedule_runs', 'legwork.schedule_runs');
comment on view legwork.schedule_runs is 'All occurrences of all schedules: how each was handled, and how its job ended. Look up by schedule, newest due_at first.';

-- Views for the server's pages. Each has a single predicate and no security_barrier, so that the first fifty rows come from the index. The
-- server's search path decides which view it reads.
create or replace view legwork_private.schedule_runs_page as
select * from legwork_private.all_schedule_runs where (select legwork_private.confined_tenant() is null);
select legwork_private.copy_comments('legwork.schedule_runs', 'legwork_private.schedule_runs_page');

-- Shows nothing to a confined login, regardless of its grants and settings.
create or replace view legwork_confined.schedule_runs_page as
select * from legwork_private.all_schedule_runs
where tenant = legwork_private.confined_to()
  and (select not exists (select from legwork_private.confined_logins c where c.login = session_user));
select legwork_private.copy_comments('legwork.schedule_runs', 'legwork_confined.schedule_runs_page');
