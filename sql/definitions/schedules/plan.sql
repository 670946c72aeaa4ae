-- Runtime schedules: rows that enqueue jobs over time.
--
-- The times of cron expressions come from a TypeScript library, which SQL cannot call. So every schedule stores its next occurrences (upcoming).
-- Workers, which have the library, fill them in ahead of time, and firing is pure SQL. An occurrence is a schedule and an instant. It is handled in
-- the transaction that removes it from upcoming, under the lock of the schedule's row. It leaves one row in legwork_private.schedule_occurrences,
-- whose primary key prevents a second one.
-- Locks: none on existing tables.

comment on table legwork_private.schedule_definitions is 'One row per schedule created by legwork.schedule. legwork.schedules shows them.';
comment on column legwork_private.schedule_definitions.name is 'The schedule''s name.';
comment on column legwork_private.schedule_definitions.task is 'The task that its jobs run.';
comment on column legwork_private.schedule_definitions.cron is 'A cron expression of five or six fields, or a shortcut such as @daily. Null for schedules of another kind.';
comment on column legwork_private.schedule_definitions.every is 'The time between two occurrences. Null for schedules of another kind.';
comment on column legwork_private.schedule_definitions.at is 'The only time at which it occurs. Null for schedules of another kind.';
comment on column legwork_private.schedule_definitions.timezone is 'The time zone for cron, and for the days and months of every.';
comment on column legwork_private.schedule_definitions.payload is 'The payload of its jobs.';
comment on column legwork_private.schedule_definitions.starts_at is 'There are no occurrences before this time. Null for no bound.';
comment on column legwork_private.schedule_definitions.ends_at is 'There are no occurrences after this time. Null for no bound.';
comment on column legwork_private.schedule_definitions.max_runs is 'The schedule ends after this many enqueued occurrences. Null for no bound.';
comment on column legwork_private.schedule_definitions.jitter is 'The longest random delay before a job starts. Null for no delay.';
comment on column legwork_private.schedule_definitions.overlap is 'How an occurrence is handled while the schedule has max_instances unfinished jobs: allow, skip, queue or cancel.';
comment on column legwork_private.schedule_definitions.max_instances is 'How many unfinished jobs it may have at a time. Null if overlap is allow.';
comment on column legwork_private.schedule_definitions.missed is 'Which occurrences are enqueued late if no worker was running when they were due: none, one (one job for all of them) or all.';
comment on column legwork_private.schedule_definitions.missed_window is 'If missed is all: occurrences older than this are not enqueued.';
comment on column legwork_private.schedule_definitions.requires is 'Schedules whose last job must have completed, each with the longest time since then. Null if it requires no schedules.';
comment on column legwork_private.schedule_definitions.requires_wait is 'How long an occurrence waits for its requirements before it is held back.';
comment on column legwork_private.schedule_definitions.tenant is 'The tenant that the schedule belongs to.';
comment on column legwork_private.schedule_definitions.priority is 'The priority of its jobs. Null for 0.';
comment on column legwork_private.schedule_definitions.max_attempts is 'The attempts that its jobs have. Null for 25.';
comment on column legwork_private.schedule_definitions.is_enabled is 'Whether the schedule is enabled.';
comment on column legwork_private.schedule_definitions.disabled_at is 'When the schedule was disabled. Null while it is enabled.';
comment on column legwork_private.schedule_definitions.disabled_by is 'The actor who disabled it, as in the audit log. Null while it is enabled.';
comment on column legwork_private.schedule_definitions.created_at is 'When the schedule was created.';
comment on column legwork_private.schedule_definitions.created_by is 'The actor who created it, as in the audit log.';
comment on column legwork_private.schedule_definitions.updated_at is 'When the schedule was last changed.';
comment on column legwork_private.schedule_definitions.sentence is 'When it occurs, in words. Null until a worker has written it.';
comment on column legwork_private.schedule_definitions.anchor is 'The time from which every is counted, so that the ends of months do not drift.';
comment on column legwork_private.schedule_definitions.planned_to is 'Every occurrence up to this time is in upcoming, in the backlog or recorded.';
comment on column legwork_private.schedule_definitions.upcoming is 'The next occurrences, in order.';
comment on column legwork_private.schedule_definitions.is_complete is 'Whether upcoming has all remaining occurrences.';
comment on column legwork_private.schedule_definitions.backlog_count is 'The number of missed occurrences that are only counted, because there are too many to list.';
comment on column legwork_private.schedule_definitions.backlog_from is 'The first occurrence of the backlog.';
comment on column legwork_private.schedule_definitions.backlog_to is 'The last occurrence of the backlog.';
comment on column legwork_private.schedule_definitions.problem is 'Why its times could not be computed, or its jobs could not be enqueued. Null if there is no problem.';
comment on column legwork_private.schedule_definitions.failed_at is
  'When firing it last failed, for the reason in problem. It is retried a minute later, separately, so that it does not delay other schedules. Null otherwise.';
comment on column legwork_private.schedule_definitions.runs is 'The number of occurrences that were enqueued.';
comment on column legwork_private.schedule_definitions.live is 'Its jobs that may not have ended. Not tracked if overlap is allow.';
comment on column legwork_private.schedule_definitions.last_due_at is 'The last occurrence that was enqueued, automatically or manually.';
comment on column legwork_private.schedule_definitions.last_state is 'The state of the last occurrence.';
comment on column legwork_private.schedule_definitions.last_job_id is 'The last job.';
comment on column legwork_private.schedule_definitions.revision is 'Counts the changes of its times, so that no plan is stored for outdated times.';
comment on column legwork_private.schedule_definitions.next_at is 'The next occurrence. Null while the schedule is disabled, has ended or has not been planned.';
comment on column legwork_private.schedule_definitions.wants_plan is 'Whether upcoming is running low.';
comment on table legwork_private.schedule_occurrences is
  'The outcome of every occurrence of every schedule, partitioned by the time it was due. Consecutive occurrences that were not enqueued share one row. '
  'Rows are kept as long as the history.';
comment on column legwork_private.schedule_occurrences.schedule is 'The schedule.';
comment on column legwork_private.schedule_occurrences.due_at is 'When it was due. If the row represents several occurrences, when the first one was due.';
comment on column legwork_private.schedule_occurrences.state is
  'enqueued; manual: run manually; waiting: for its requirements; skipped: the schedule had too many unfinished jobs; missed: no worker was running; coalesced: no worker was running, '
  'and job_id replaces it; held_back: its requirements were not met.';
comment on column legwork_private.schedule_occurrences.reason is 'Why it was not enqueued, or not on time. Null for an ordinary occurrence.';
comment on column legwork_private.schedule_occurrences.job_id is 'The job.';
comment on column legwork_private.schedule_occurrences.occurrences is 'How many occurrences the row represents. Null if that is not known.';
comment on column legwork_private.schedule_occurrences.last_due_at is 'When the last of these occurrences was due. Equals due_at for a single one.';
comment on column legwork_private.schedule_occurrences.recorded_at is 'When this was decided. For a waiting occurrence, when it started to wait.';
comment on column legwork_private.schedule_occurrences.tenant is 'The tenant that the schedule belongs to.';

create or replace function legwork_private.schedule_grace() returns interval
language sql immutable parallel safe
return interval '1 minute';
comment on function legwork_private.schedule_grace() is
  'How late an occurrence may be without counting as missed: a minute, which covers a restart of the database or of the only worker.';

-- Planning: upcoming is filled ahead of time. Missed occurrences are listed if they may still be enqueued, and only counted otherwise.
create or replace function legwork_private.list_from(planned_to timestamptz, missed text, missed_window interval, as_of timestamptz) returns timestamptz
language sql immutable parallel safe
return case when missed = 'all' then greatest(planned_to, legwork_private.earlier(as_of, missed_window))
  else greatest(planned_to, as_of - legwork_private.schedule_grace()) end;
comment on function legwork_private.list_from(timestamptz, text, interval, timestamptz) is
  'The time after which a plan lists occurrences one by one. Earlier ones, since planned_to, are only counted.';

create or replace function legwork_private.plans_wanted(as_of timestamptz default clock_timestamp(), schedule text default null, at_most integer default 100)
returns table (
  name text, revision integer, cron text, timezone text, missed text, planned_to timestamptz, planned_from text, ends_at timestamptz, list_from timestamptz,
  is_first boolean
)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_own text := legwork_private.confined_tenant();
begin
  perform legwork_private.assert_role('operator');
  return query
    select d.name, d.revision, d.cron, d.timezone, d.missed, d.planned_to, d.planned_to::text, d.ends_at,
      legwork_private.list_from(d.planned_to, d.missed, d.missed_window, coalesce(plans_wanted.as_of, clock_timestamp())), d.sentence is null
    from legwork_private.schedule_definitions d
    where d.wants_plan and d.cron is not null and (schedule is null or d.name = schedule) and (v_own is null or d.tenant = v_own)
    -- Schedules without a plan come first, then by name, so that those that cannot be planned do not block the others.
    order by d.problem is not null, cardinality(d.upcoming), d.name
    limit at_most
    for update skip locked;
end $$;
comment on function legwork_private.plans_wanted(timestamptz, text, integer) is
  'Schedules with a cron expression whose plans are running low, or just the given one, locked until the end of the transaction. The caller computes their times and passes them to legwork_private.put_plan. '
  'Schedules that other sessions have locked are skipped. planned_from: planned_to as text, which keeps the microseconds. is_first: true if the schedule has not been planned since its times last changed.';
revoke execute on function legwork_private.plans_wanted(timestamptz, text, integer) from public;

create or replace function legwork_private.put_plan(
  name text, revision integer, planned_from timestamptz, times timestamptz[], is_complete boolean, planned_to timestamptz, backlog_count bigint,
  backlog_from timestamptz, backlog_to timestamptz, sentence text, problem text default null
) returns boolean
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  update legwork_private.schedule_definitions d
  set upcoming = d.upcoming || put_plan.times, is_complete = d.is_complete or put_plan.is_complete,
    planned_to = greatest(d.planned_to, put_plan.planned_to), sentence = coalesce(put_plan.sentence, d.sentence),
    problem = case when d.failed_at is null then put_plan.problem else coalesce(put_plan.problem, d.problem) end,
    backlog_count = d.backlog_count + put_plan.backlog_count, backlog_from = coalesce(d.backlog_from, put_plan.backlog_from),
    backlog_to = coalesce(put_plan.backlog_to, d.backlog_to)
  where d.name = put_plan.name and d.revision = put_plan.revision and d.planned_to = put_plan.planned_from
    and (legwork_private.confined_tenant() is null or d.tenant = legwork_private.confined_tenant())
  returning true;
end;
comment on function legwork_private.put_plan(text, integer, timestamptz, timestamptz[], boolean, timestamptz, bigint, timestamptz, timestamptz, text, text) is
  'Appends the occurrences after planned_from to a schedule''s plan. planned_to: null if it is not known how far the plan reaches. Returns true. Does nothing and returns null if the schedule''s times '
  'have changed since revision, or another session has planned it in the meantime.';
revoke execute on function legwork_private.put_plan(text, integer, timestamptz, timestamptz[], boolean, timestamptz, bigint, timestamptz, timestamptz, text, text) from public;

create or replace function legwork_private.plan_intervals(as_of timestamptz default clock_timestamp(), at_most integer default 1000, schedule text default null) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_schedule legwork_private.schedule_definitions;
  v_k bigint;
  v_from timestamptz;
  v_to bigint;
  v_last bigint;
  v_listed timestamptz[];
  v_backlog bigint;
  v_count integer := 0;
begin
  for v_schedule in
    select d.* from legwork_private.schedule_definitions d
    where d.wants_plan and d.every is not null and (d.name = schedule or schedule is null and d.failed_at is null)
    order by d.name limit at_most for update skip locked
  loop
    v_k := legwork_private.interval_index(v_schedule.anchor, v_schedule.every, v_schedule.timezone, v_schedule.planned_to) + 1;
    -- Near the end of the supported time range, a schedule without an end has a last occurrence too.
    v_last := case when v_schedule.ends_at is not null or greatest(v_schedule.planned_to, as_of) + 500 * least(v_schedule.every, interval '100 years') > legwork_private.last_time()
      then legwork_private.interval_index(v_schedule.anchor, v_schedule.every, v_schedule.timezone, least(v_schedule.ends_at, legwork_private.last_time())) end;
    v_from := legwork_private.list_from(v_schedule.planned_to, v_schedule.missed, v_schedule.missed_window, as_of);
    v_to := greatest(v_k, legwork_private.interval_index(v_schedule.anchor, v_schedule.every, v_schedule.timezone, v_from)
      -- The last missed occurrence may still be enqueued.
      + case when v_schedule.missed = 'one' then 0 else 1 end);
    v_to := least(v_to, v_last + case when v_schedule.missed = 'one' and v_to > v_k then 0 else 1 end);
    v_backlog := greatest(0, v_to - v_k);
    v_listed := array(
      select legwork_private.interval_time(v_schedule.anchor, v_schedule.every, v_schedule.timezone, k)
      from generate_series(v_to, least(v_to + case when v_from < as_of then 500 else 16 end - 1, v_last)) k order by k);
    perform legwork_private.put_plan(v_schedule.name, v_schedule.revision, v_schedule.planned_to, v_listed,
      v_last is not null and v_to + cardinality(v_listed) > v_last,
      coalesce(v_listed[cardinality(v_listed)], v_schedule.ends_at), v_backlog,
      case when v_backlog > 0 then legwork_private.interval_time(v_schedule.anchor, v_schedule.every, v_schedule.timezone, v_k) end,
      case when v_backlog > 0 then legwork_private.interval_time(v_schedule.anchor, v_schedule.every, v_schedule.timezone, v_to - 1) end,
      legwork_private.describe_interval(v_schedule.every));
    v_count := v_count + 1;
  end loop;
  return v_count;
end $$;
comment on function legwork_private.plan_intervals(timestamptz, integer, text) is
  'Extends the plans of schedules with an interval that are running low, at most at_most of them, and returns how many it has extended. Leaves out schedules that failed to fire.';
revoke execute on function legwork_private.plan_intervals(timestamptz, integer, text) from public;
