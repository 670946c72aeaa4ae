-- Runtime schedules: rows that enqueue jobs over time.
--
-- Times of cron expressions come from a library in TypeScript, which SQL cannot call. So every schedule has its next occurrences with it
-- (upcoming): whoever knows the library fills them ahead, and firing is pure SQL. An occurrence is a schedule and an instant. It happens in the
-- transaction that takes it out of upcoming, under the lock of the schedule's row, and leaves one row in legwork_private.schedule_occurrences, whose primary
-- key allows no second one.
-- Locks: none on tables that exist.

comment on table legwork_private.schedule_definitions is 'What legwork.schedule made: rows that enqueue jobs over time. legwork.schedules shows them.';
comment on column legwork_private.schedule_definitions.name is 'The schedule''s name.';
comment on column legwork_private.schedule_definitions.task is 'The task that its jobs run.';
comment on column legwork_private.schedule_definitions.cron is 'A cron expression of five or six fields, or a nickname; null for another kind.';
comment on column legwork_private.schedule_definitions.every is 'The time between two occurrences; null for another kind.';
comment on column legwork_private.schedule_definitions.at is 'The one time it occurs; null for another kind.';
comment on column legwork_private.schedule_definitions.timezone is 'The time zone that cron and days and months of every are meant in.';
comment on column legwork_private.schedule_definitions.payload is 'What its jobs are given.';
comment on column legwork_private.schedule_definitions.starts_at is 'No occurrence is before that; null for no bound.';
comment on column legwork_private.schedule_definitions.ends_at is 'No occurrence is after that; null for no bound.';
comment on column legwork_private.schedule_definitions.max_runs is 'It is over when so many occurrences have been enqueued; null for no bound.';
comment on column legwork_private.schedule_definitions.jitter is 'A job starts up to so much later, at random; null for not at all.';
comment on column legwork_private.schedule_definitions.overlap is 'What becomes of an occurrence while max_instances jobs of the schedule live: allow, skip, queue or cancel.';
comment on column legwork_private.schedule_definitions.max_instances is 'How many of its jobs may live at a time; null where overlap is allow.';
comment on column legwork_private.schedule_definitions.missed is 'What becomes of occurrences that nobody was there for: none, one for all, or all.';
comment on column legwork_private.schedule_definitions.missed_window is 'For missed all: older ones are not made up for.';
comment on column legwork_private.schedule_definitions.requires is 'Schedules whose last run must have completed, each with how long ago at most; null for none.';
comment on column legwork_private.schedule_definitions.requires_wait is 'How long an occurrence waits for what it requires before it is held back.';
comment on column legwork_private.schedule_definitions.tenant is 'Whose schedule it is.';
comment on column legwork_private.schedule_definitions.priority is 'Of its jobs; null for 0.';
comment on column legwork_private.schedule_definitions.max_attempts is 'Of its jobs; null for 25.';
comment on column legwork_private.schedule_definitions.is_enabled is 'Whether it occurs.';
comment on column legwork_private.schedule_definitions.created_at is 'When it was made.';
comment on column legwork_private.schedule_definitions.created_by is 'Who made it: the database role, or for whom the server did.';
comment on column legwork_private.schedule_definitions.updated_at is 'When it was changed last.';
comment on column legwork_private.schedule_definitions.sentence is 'When it occurs, in words; null until a worker has written it.';
comment on column legwork_private.schedule_definitions.anchor is 'What every is counted from, so that the ends of months do not drift.';
comment on column legwork_private.schedule_definitions.planned_to is 'Every occurrence up to here is in upcoming, in the backlog or accounted for.';
comment on column legwork_private.schedule_definitions.upcoming is 'The next occurrences, in order.';
comment on column legwork_private.schedule_definitions.is_complete is 'Whether nothing comes after upcoming.';
comment on column legwork_private.schedule_definitions.backlog_count is 'Occurrences that nobody was there for and that are too many to list.';
comment on column legwork_private.schedule_definitions.backlog_from is 'The first of the backlog.';
comment on column legwork_private.schedule_definitions.backlog_to is 'The last of the backlog.';
comment on column legwork_private.schedule_definitions.problem is 'Why its times could not be computed or its jobs not be enqueued; null when there is nothing wrong.';
comment on column legwork_private.schedule_definitions.failed_at is
  'When firing it failed last, for the reason that problem gives. It is tried again a minute later, by itself, so that it does not hold up others. Null otherwise.';
comment on column legwork_private.schedule_definitions.runs is 'Occurrences that were enqueued.';
comment on column legwork_private.schedule_definitions.live is 'Jobs of it that may still live; kept where overlap is not allow.';
comment on column legwork_private.schedule_definitions.last_due_at is 'The last occurrence that was enqueued, by hand or by time.';
comment on column legwork_private.schedule_definitions.last_state is 'What became of the last occurrence.';
comment on column legwork_private.schedule_definitions.last_job_id is 'The last job.';
comment on column legwork_private.schedule_definitions.revision is 'Counts the changes of its times, so that no plan is stored for times that have been changed.';
comment on column legwork_private.schedule_definitions.next_at is 'The next occurrence; null while it is disabled, over or not planned yet.';
comment on column legwork_private.schedule_definitions.wants_plan is 'Whether upcoming runs short.';
comment on table legwork_private.schedule_occurrences is
  'What became of every occurrence of every schedule, in partitions by the time it was due. Occurrences in a row that were not enqueued are one row. '
  'Kept as long as the history.';
comment on column legwork_private.schedule_occurrences.schedule is 'The schedule.';
comment on column legwork_private.schedule_occurrences.due_at is 'When it was due; the first of them, where a row stands for several.';
comment on column legwork_private.schedule_occurrences.state is
  'enqueued; manual: run by hand; waiting: for what it requires; skipped: too many of its jobs lived; missed: nobody was there; coalesced: nobody was there, and job_id '
  'stands for it; held_back: what it requires did not come.';
comment on column legwork_private.schedule_occurrences.reason is 'Why it was not simply enqueued.';
comment on column legwork_private.schedule_occurrences.job_id is 'The job.';
comment on column legwork_private.schedule_occurrences.occurrences is 'For how many occurrences the row stands; null when it is not known.';
comment on column legwork_private.schedule_occurrences.last_due_at is 'The last of them; due_at where there is one.';
comment on column legwork_private.schedule_occurrences.recorded_at is 'When this was decided; of one that waits, since when.';
comment on column legwork_private.schedule_occurrences.tenant is 'Whose schedule it is.';

create or replace function legwork_private.schedule_grace() returns interval
language sql immutable parallel safe
return interval '1 minute';
comment on function legwork_private.schedule_grace() is
  'How late an occurrence may be and still count as only late, not missed: a minute, which covers the restart of a database or of the only worker.';

-- Planning: upcoming is filled ahead. What nobody was there for is listed as far as it may still be enqueued and counted otherwise.
create or replace function legwork_private.list_from(planned_to timestamptz, missed text, missed_window interval, as_of timestamptz) returns timestamptz
language sql immutable parallel safe
return case when missed = 'all' then greatest(planned_to, legwork_private.earlier(as_of, missed_window))
  else greatest(planned_to, as_of - legwork_private.schedule_grace()) end;
comment on function legwork_private.list_from(timestamptz, text, interval, timestamptz) is
  'After which time a plan lists occurrences one by one; those before, from planned_to on, are only counted.';

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
    -- What is without a plan first, then by name, so that those that cannot be planned do not stand in the way of the others.
    order by d.problem is not null, cardinality(d.upcoming), d.name
    limit at_most
    for update skip locked;
end $$;
comment on function legwork_private.plans_wanted(timestamptz, text, integer) is
  'Schedules with a cron expression whose plans run short, or that one, locked to the end of the transaction: for whoever computes their times and gives them to legwork_private.put_plan. '
  'Those that others have locked are stepped over. planned_from is planned_to to the microsecond. is_first: whether it has never been planned since its times were changed.';
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
  'Adds to a schedule''s plan what comes after planned_from. planned_to: null when it is not known how far the plan reaches. Nothing happens when its times were changed since revision, or somebody has planned it meanwhile; null then.';
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
    -- Near the last time that there is, a schedule without an end has a last occurrence too.
    v_last := case when v_schedule.ends_at is not null or greatest(v_schedule.planned_to, as_of) + 500 * least(v_schedule.every, interval '100 years') > legwork_private.last_time()
      then legwork_private.interval_index(v_schedule.anchor, v_schedule.every, v_schedule.timezone, least(v_schedule.ends_at, legwork_private.last_time())) end;
    v_from := legwork_private.list_from(v_schedule.planned_to, v_schedule.missed, v_schedule.missed_window, as_of);
    v_to := greatest(v_k, legwork_private.interval_index(v_schedule.anchor, v_schedule.every, v_schedule.timezone, v_from)
      -- The last one that was missed may be made up for.
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
  'Fills the plans that run short of schedules with an interval, at most at_most of them, and returns how many there were. Leaves out those that failed when they were fired.';
revoke execute on function legwork_private.plan_intervals(timestamptz, integer, text) from public;
