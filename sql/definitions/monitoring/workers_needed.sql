-- How many workers an autoscaler should run. Read every few seconds, so it reads at most 10,000 entries of an index, however large the backlog is.
create or replace function legwork_private.due_work(out task text, out queue text, out is_known boolean, out jobs bigint, out places double precision) returns setof record
language plpgsql stable set search_path = pg_catalog, pg_temp set jit = off set enable_sort = off as $$
declare
  c_most constant integer := 10000;
begin
  return query
  -- A range of graphile-worker's index per priority: in it, due jobs come before those that are scheduled or held.
  with recursive priorities as (
    (select j.priority, 1 as number from legwork_private.graphile_jobs j where j.is_available order by j.priority limit 1)
    union all
    select (select j.priority from legwork_private.graphile_jobs j where j.is_available and j.priority > p.priority order by j.priority limit 1), p.number + 1
    from priorities p where p.priority is not null and p.number < 100
  ), sampled as materialized (
    select d.task_id, d.job_queue_id
    from priorities p
    cross join lateral (
      select j.task_id, j.job_queue_id from legwork_private.graphile_jobs j
      where j.is_available and j.priority = p.priority and j.run_at <= now()
      order by j.run_at limit c_most
    ) d
    where p.priority is not null
    limit c_most
  ), found as (
    select t.identifier, count(*) as number,
      -- Of the jobs with the same serial key, one counts, and none while one of them is running.
      count(*) filter (where s.job_queue_id is null) + count(distinct q.id) filter (where q.is_available) as places
    from sampled s
    join legwork_private.graphile_tasks t on t.id = s.task_id
    left join legwork_private.graphile_job_queues q on q.id = s.job_queue_id
    group by 1
  ), counted as (
    select c.task as identifier, c.jobs as number from legwork_private.live_job_counts c
    where c.tenant = '' and c.state = 'pending' and c.valid_until > now() and (select count(*) from sampled) = c_most
  )
  select x.identifier, coalesce(d.queue, 'default'), d.name is not null, x.number, x.places
  from (
    select coalesce(f.identifier, c.identifier) as identifier, greatest(f.number, c.number) as number,
      coalesce(f.places * greatest(f.number, c.number)::double precision / f.number, c.number) as places
    from found f full join counted c on c.identifier = f.identifier
  ) x
  left join legwork_private.task_definitions d on d.name = x.identifier;
end $$;
comment on function legwork_private.due_work(out text, out text, out boolean, out bigint, out double precision) is
  'The due jobs of each task that nothing holds back, and how many of them could run at the same time. Reads at most 10,000 jobs; with more, it returns the counts of legwork_private.live_job_counts if they are larger.';
revoke execute on function legwork_private.due_work(out text, out text, out boolean, out bigint, out double precision) from public;

create or replace function legwork.workers_needed(
  slots_per_worker integer default null, drain_within interval default '1 minute', queues text[] default null, tasks text[] default null,
  out workers integer, out slots integer, out running integer, out due bigint, out work_seconds double precision, out worker_slots integer
) returns record
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_within double precision := extract(epoch from drain_within);
  v_places double precision;
begin
  perform legwork_private.assert_role('viewer', true);
  if slots_per_worker not between 1 and 10000 then
    raise exception 'slots_per_worker is %; it must be between 1 and 10,000.', slots_per_worker using errcode = 'LW400', column = 'slots_per_worker',
      hint = 'It is the concurrency of your workers, 10 by default.';
  end if;
  if v_within is null or v_within not between 1 and 86400 then
    raise exception 'drain_within is %; it must be between 1 second and 1 day.', coalesce(legwork_private.in_all_words(drain_within), 'null') using errcode = 'LW400', column = 'drain_within',
      hint = 'For example interval ''1 minute''.';
  end if;
  worker_slots := coalesce(slots_per_worker,
    (select w.concurrency from legwork_private.worker_processes w where w.suspected_at is null order by w.started_at desc limit 1), 10);

  select count(*) into running
  from legwork_private.worker_processes w
  cross join lateral unnest(w.running) as r (id)
  where w.suspected_at is null and (workers_needed.queues is null and workers_needed.tasks is null or exists (
    select from legwork_private.graphile_jobs j
    join legwork_private.graphile_tasks t on t.id = j.task_id
    left join legwork_private.task_definitions d on d.name = t.identifier
    where j.id = r.id and coalesce(coalesce(d.queue, 'default') = any (workers_needed.queues), true) and coalesce(t.identifier = any (workers_needed.tasks), true)));

  select coalesce(sum(w.jobs), 0), coalesce(sum(w.jobs * w.seconds) filter (where w.is_known), 0),
    -- The work divided by the time for it, but no more than can run at the same time. All tasks without a registered worker
    -- need one slot, to start a worker that may have them.
    coalesce(sum(least(w.places, w.jobs * w.seconds / v_within)) filter (where w.is_known), 0) + coalesce(max(least(w.places, 1)) filter (where not w.is_known), 0)
  into due, work_seconds, v_places
  from (
    select d.jobs, d.places, d.is_known, coalesce(
      (select sum(m.run_seconds) / nullif(sum((select sum(n) from unnest(m.runs) n)), 0) from legwork_private.task_minutes m
        where m.task = d.task and m.minute > now() - interval '15 minutes'),
      (select t.run_seconds / nullif((select sum(n) from unnest(t.runs) n), 0) from legwork_private.task_totals t where t.task = d.task),
      1) as seconds
    from legwork_private.due_work() d
    where coalesce(d.queue = any (workers_needed.queues), true) and coalesce(d.task = any (workers_needed.tasks), true)
  ) w;
  slots := running + least(ceil(v_places::numeric), 1000000)::integer;
  workers := ceil(slots::numeric / worker_slots);
end $$;
comment on function legwork.workers_needed(integer, interval, text[], text[]) is
  'How many workers are needed for the jobs that are running and due now: for autoscalers. workers = ceil(slots / worker_slots), where worker_slots is slots_per_worker, or else the concurrency of the worker that '
  'started last, or else 10. slots = running + ceil(sum over the tasks of least(due jobs that can run at the same time, due jobs * seconds per attempt / drain_within)). Seconds per attempt: the average of the last 15 minutes, or else of all attempts, or else 1. '
  'Paused, blocked and scheduled jobs do not count; of the jobs with the same serial key, one does. The due jobs of tasks that no worker has registered count as one slot in all. '
  'queues and tasks: only these, for workers that run only these. It reads at most 10,000 jobs; the number of further ones is sampled every few seconds. '
  'Raises LW400 for slots_per_worker outside of 1 to 10,000 and drain_within outside of 1 second to 1 day. Example: select workers from legwork.workers_needed(slots_per_worker => 10)';
revoke execute on function legwork.workers_needed(integer, interval, text[], text[]) from public;
