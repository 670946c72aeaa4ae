-- Metrics over time, for charts: how many jobs ended and failed, and how long they took, in at most a few hundred buckets, for one task, one queue or
-- all tasks.
--
-- Only roll-ups are read, so a chart costs the same however long the history is. For one task its minutes or hours are looked up by the
-- primary key. For all tasks the sums are stored: adding up two hundred tasks for each minute of a day would read a quarter of a million
-- rows each time. Each roll-up recomputes, in its own transaction, the sums of the minutes that it has changed. Roll-ups run one at a time
-- (by their advisory lock), so no two write the same minute.
-- Also here: worker starts, which are marked on charts, and the use of limits.
-- Locks: SHARE ROW EXCLUSIVE on legwork_private.task_minutes, task_hours and worker_processes while their triggers are created.

select legwork_private.copy_comments('legwork_private.task_minutes', 'legwork_private.minute_totals');
select legwork_private.copy_comments('legwork_private.task_hours', 'legwork_private.hour_totals');
comment on table legwork_private.minute_totals is 'The sums of legwork_private.task_minutes, by minute. Written by its triggers.';
comment on table legwork_private.hour_totals is 'The sums of legwork_private.task_hours, by hour. Written by its triggers.';

create or replace function legwork_private.sum_minutes(at timestamptz[]) returns void
language sql volatile set search_path = pg_catalog, pg_temp
begin atomic
  delete from legwork_private.minute_totals t where t.minute = any (at) and not exists (select from legwork_private.task_minutes m where m.minute = t.minute);
  insert into legwork_private.minute_totals (minute, completed, failed, cancelled, expired, failed_attempts, retried, wait_seconds, run_seconds, waits, runs)
  select m.minute, sum(m.completed), sum(m.failed), sum(m.cancelled), sum(m.expired), sum(m.failed_attempts), sum(m.retried), sum(m.wait_seconds), sum(m.run_seconds),
    legwork_private.sum_counts(m.waits), legwork_private.sum_counts(m.runs)
  from legwork_private.task_minutes m where m.minute = any (at) group by m.minute
  on conflict (minute) do update set
    completed = excluded.completed, failed = excluded.failed, cancelled = excluded.cancelled, expired = excluded.expired,
    failed_attempts = excluded.failed_attempts, retried = excluded.retried, wait_seconds = excluded.wait_seconds, run_seconds = excluded.run_seconds,
    waits = excluded.waits, runs = excluded.runs;
end;
comment on function legwork_private.sum_minutes(timestamptz[]) is 'Recomputes the sums of these minutes.';
revoke execute on function legwork_private.sum_minutes(timestamptz[]) from public;

create or replace function legwork_private.sum_hours(at timestamptz[]) returns void
language sql volatile set search_path = pg_catalog, pg_temp
begin atomic
  delete from legwork_private.hour_totals t where t.hour = any (at) and not exists (select from legwork_private.task_hours m where m.hour = t.hour);
  insert into legwork_private.hour_totals (hour, completed, failed, cancelled, expired, failed_attempts, retried, wait_seconds, run_seconds, waits, runs)
  select m.hour, sum(m.completed), sum(m.failed), sum(m.cancelled), sum(m.expired), sum(m.failed_attempts), sum(m.retried), sum(m.wait_seconds), sum(m.run_seconds),
    legwork_private.sum_counts(m.waits), legwork_private.sum_counts(m.runs)
  from legwork_private.task_hours m where m.hour = any (at) group by m.hour
  on conflict (hour) do update set
    completed = excluded.completed, failed = excluded.failed, cancelled = excluded.cancelled, expired = excluded.expired,
    failed_attempts = excluded.failed_attempts, retried = excluded.retried, wait_seconds = excluded.wait_seconds, run_seconds = excluded.run_seconds,
    waits = excluded.waits, runs = excluded.runs;
end;
comment on function legwork_private.sum_hours(timestamptz[]) is 'Recomputes the sums of these hours.';
revoke execute on function legwork_private.sum_hours(timestamptz[]) from public;

create or replace function legwork_private.tg_task_minutes__sum() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- The transition tables of each event have their own names.
  case tg_op
    when 'INSERT' then perform legwork_private.sum_minutes(array(select distinct n.minute from new_rows n));
    when 'UPDATE' then perform legwork_private.sum_minutes(array(select n.minute from new_rows n union select o.minute from old_rows o));
    when 'DELETE' then perform legwork_private.sum_minutes(array(select distinct o.minute from old_rows o));
    else truncate legwork_private.minute_totals;
  end case;
  return null;
end $$;
comment on function legwork_private.tg_task_minutes__sum() is 'Keeps legwork_private.minute_totals equal to the sums of legwork_private.task_minutes.';
revoke execute on function legwork_private.tg_task_minutes__sum() from public;

create or replace trigger sum_inserted after insert on legwork_private.task_minutes referencing new table as new_rows for each statement execute function legwork_private.tg_task_minutes__sum();

create or replace trigger sum_updated after update on legwork_private.task_minutes referencing old table as old_rows new table as new_rows for each statement execute function legwork_private.tg_task_minutes__sum();

create or replace trigger sum_deleted after delete on legwork_private.task_minutes referencing old table as old_rows for each statement execute function legwork_private.tg_task_minutes__sum();

create or replace trigger sum_truncated after truncate on legwork_private.task_minutes for each statement execute function legwork_private.tg_task_minutes__sum();

create or replace function legwork_private.tg_task_hours__sum() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  case tg_op
    when 'INSERT' then perform legwork_private.sum_hours(array(select distinct n.hour from new_rows n));
    when 'UPDATE' then perform legwork_private.sum_hours(array(select n.hour from new_rows n union select o.hour from old_rows o));
    when 'DELETE' then perform legwork_private.sum_hours(array(select distinct o.hour from old_rows o));
    else truncate legwork_private.hour_totals;
  end case;
  return null;
end $$;
comment on function legwork_private.tg_task_hours__sum() is 'Keeps legwork_private.hour_totals equal to the sums of legwork_private.task_hours.';
revoke execute on function legwork_private.tg_task_hours__sum() from public;

create or replace trigger sum_inserted after insert on legwork_private.task_hours referencing new table as new_rows for each statement execute function legwork_private.tg_task_hours__sum();

create or replace trigger sum_updated after update on legwork_private.task_hours referencing old table as old_rows new table as new_rows for each statement execute function legwork_private.tg_task_hours__sum();

create or replace trigger sum_deleted after delete on legwork_private.task_hours referencing old table as old_rows for each statement execute function legwork_private.tg_task_hours__sum();

create or replace trigger sum_truncated after truncate on legwork_private.task_hours for each statement execute function legwork_private.tg_task_hours__sum();

create or replace function legwork_private.series_bucket(period interval, from_at timestamptz) returns interval
language sql stable set search_path = pg_catalog, pg_temp
as $$
  -- The shortest length that gives at most two hundred buckets. It is less than an hour only if the minutes of the period are kept.
  select coalesce(
    (select min(s.length) from unnest(array['1 minute', '5 minutes', '10 minutes', '30 minutes', '1 hour', '6 hours', '1 day']::interval[]) as s (length)
      where extract(epoch from period) <= 200 * extract(epoch from s.length)
        and (s.length >= interval '1 hour' or from_at >= now() - legwork_private.interval_setting('metrics_minutes', '2 days') - interval '1 minute')),
    interval '1 day')
$$;
comment on function legwork_private.series_bucket(interval, timestamptz) is 'The length of a bucket of legwork.task_series, for a period that begins at from_at.';

create or replace function legwork.task_series(
  period interval default '1 hour', until timestamptz default null, task text default null, queue text default null,
  out at timestamptz, out seconds integer, out is_whole boolean,
  out completed bigint, out failed bigint, out cancelled bigint, out expired bigint, out failed_attempts bigint, out retried bigint,
  out wait_p50 double precision, out wait_p95 double precision, out wait_p99 double precision,
  out run_p50 double precision, out run_p95 double precision, out run_p99 double precision,
  out pending bigint, out held bigint, out running bigint, out oldest_seconds double precision
) returns setof record
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' set jit = off as $$
declare
  v_until timestamptz := least(coalesce(until, now()), now());
  v_period interval := least(greatest(period, interval '1 minute'), interval '400 days');
  v_bucket interval := legwork_private.series_bucket(v_period, v_until - v_period);
  -- Buckets are aligned in UTC.
  v_origin constant timestamptz := '2000-01-01 00:00:00+00';
  v_from timestamptz := date_bin(v_bucket, v_until - v_period, v_origin);
  v_is_fine boolean := v_bucket < interval '1 hour';
  v_tasks text[] := case
    when task is not null then array[task]
    -- Every task that has been counted. A task whose queue is unknown is in 'default'.
    when queue is not null then array(
      select t.task from legwork_private.task_totals t left join legwork_private.task_definitions d on d.name = t.task where coalesce(d.queue, 'default') = task_series.queue)
    end;
  v_known timestamptz;
  v_counted timestamptz := (select w.ran_at from legwork_private.duties w where w.duty = 'roll_up');
begin
  perform legwork_private.assert_role('viewer', true);
  -- Before counting began the numbers are unknown, not zero.
  if v_is_fine then
    select min(m.minute) into v_known from legwork_private.minute_totals m;
  else
    select min(h.hour) into v_known from legwork_private.hour_totals h;
  end if;
  v_from := greatest(v_from, date_bin(v_bucket, v_known, v_origin));
  return query
  with counted as (
    select m.minute as c_at, m.completed, m.failed, m.cancelled, m.expired, m.failed_attempts, m.retried, m.waits, m.runs
    from legwork_private.minute_totals m where v_is_fine and v_tasks is null and m.minute >= v_from and m.minute < v_until
    union all
    select h.hour, h.completed, h.failed, h.cancelled, h.expired, h.failed_attempts, h.retried, h.waits, h.runs
    from legwork_private.hour_totals h where not v_is_fine and v_tasks is null and h.hour >= v_from and h.hour < v_until
    union all
    select m.minute, m.completed, m.failed, m.cancelled, m.expired, m.failed_attempts, m.retried, m.waits, m.runs
    from legwork_private.task_minutes m
    where v_is_fine and v_tasks is not null and m.task = any (v_tasks)
      and m.minute = any (array(select g from generate_series(date_trunc('minute', v_from), v_until, interval '1 minute') g))
    union all
    select h.hour, h.completed, h.failed, h.cancelled, h.expired, h.failed_attempts, h.retried, h.waits, h.runs
    from legwork_private.task_hours h
    where not v_is_fine and v_tasks is not null and h.task = any (v_tasks)
      and h.hour = any (array(select g from generate_series(date_trunc('hour', v_from), v_until, interval '1 hour') g))
  ), summed as (
    select date_bin(v_bucket, c.c_at, v_origin) as s_at, sum(c.completed)::bigint as completed, sum(c.failed)::bigint as failed, sum(c.cancelled)::bigint as cancelled,
      sum(c.expired)::bigint as expired, sum(c.failed_attempts)::bigint as failed_attempts, sum(c.retried)::bigint as retried,
      legwork_private.sum_counts(c.waits)::double precision[] as waits, legwork_private.sum_counts(c.runs)::double precision[] as runs
    from counted c group by 1
  ), backlog as (
    select date_bin(v_bucket, b.b_at, v_origin) as s_at, max(b.pending) as pending, max(b.held) as held, max(b.running) as running, max(b.oldest_seconds) as oldest_seconds
    from (
      select m.minute as b_at, m.queue, m.pending, m.held, m.running, m.oldest_seconds from legwork_private.backlog_minutes m
      where v_is_fine and m.minute >= v_from and m.minute < v_until
      union all
      select h.hour, h.queue, h.pending, h.held, h.running, h.oldest_seconds from legwork_private.backlog_hours h
      where not v_is_fine and h.hour >= v_from and h.hour < v_until
    ) b
    where b.queue = coalesce(task_series.queue, '')
    group by 1
  ), sampled as (
    -- A queue without live jobs has no row: it counts as empty if there is a row for all queues.
    select distinct date_bin(v_bucket, b.b_at, v_origin) as s_at
    from (
      select m.minute as b_at from legwork_private.backlog_minutes m where v_is_fine and m.queue = '' and m.minute >= v_from and m.minute < v_until
      union all
      select h.hour from legwork_private.backlog_hours h where not v_is_fine and h.queue = '' and h.hour >= v_from and h.hour < v_until
    ) b
    where task_series.task is null
  )
  select g.g_at, extract(epoch from v_bucket)::integer, coalesce(g.g_at + v_bucket <= v_counted, false),
    coalesce(s.completed, 0), coalesce(s.failed, 0), coalesce(s.cancelled, 0), coalesce(s.expired, 0), coalesce(s.failed_attempts, 0), coalesce(s.retried, 0),
    legwork_private.quantile(0.5, s.waits), legwork_private.quantile(0.95, s.waits), legwork_private.quantile(0.99, s.waits),
    legwork_private.quantile(0.5, s.runs), legwork_private.quantile(0.95, s.runs), legwork_private.quantile(0.99, s.runs),
    case when n.s_at is not null then coalesce(b.pending, 0) end, case when n.s_at is not null then coalesce(b.held, 0) end,
    case when n.s_at is not null then coalesce(b.running, 0) end, case when n.s_at is not null then coalesce(b.oldest_seconds, 0) end
  from generate_series(v_from, v_until - interval '1 microsecond', v_bucket) as g (g_at)
  left join summed s on s.s_at = g.g_at
  left join sampled n on n.s_at = g.g_at
  left join backlog b on b.s_at = g.g_at
  where v_known is not null
  order by g.g_at;
end $$;
comment on function legwork.task_series(interval, timestamptz, text, text) is
  'Statistics over time, for the period (1 hour; at most 400 days) before until (now), in about 200 buckets of equal length at most, oldest first: for one task, the tasks of one queue, or all tasks. Each bucket has its '
  'beginning, its length in seconds, whether it has been counted completely, counts, quantiles in seconds (estimates; null without values), and the largest backlog: jobs that were '
  'pending, held (blocked or paused) and running, and how long the oldest had been due; null for one task, and where no worker counted. There are no buckets before '
  'counting began. Buckets are made of minutes where those are kept, and of hours before that. Not for a session that is confined to a tenant.';
revoke execute on function legwork.task_series(interval, timestamptz, text, text) from public;
comment on table legwork_private.worker_starts is 'When Legwork workers started. Kept for as long as the setting metrics_hours says. Written by a trigger on legwork_private.worker_processes.';
comment on column legwork_private.worker_starts.id is 'The worker.';
comment on column legwork_private.worker_starts.host is 'The host name of the worker''s machine.';
comment on column legwork_private.worker_starts.pid is 'Its process id.';
comment on column legwork_private.worker_starts.tasks is 'The number of tasks that it had.';
comment on column legwork_private.worker_starts.started_at is 'When it started.';
comment on column legwork_private.worker_starts.version is 'Its version of Legwork.';

create or replace function legwork_private.tg_worker_processes__start() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- A worker that was declared dead and sends heartbeats again is not a new one.
  insert into legwork_private.worker_starts (id, host, pid, tasks, started_at, version)
  values (new.id, new.host, new.pid, cardinality(new.tasks), new.started_at, new.version)
  on conflict do nothing;
  delete from legwork_private.worker_starts w where w.id in (
    select o.id from legwork_private.worker_starts o
    where o.started_at < now() - legwork_private.interval_setting('metrics_hours', '400 days') order by o.started_at limit 100 for update skip locked);
  return null;
end $$;
comment on function legwork_private.tg_worker_processes__start() is 'Records when a worker started.';
revoke execute on function legwork_private.tg_worker_processes__start() from public;

create or replace trigger keep_start after insert on legwork_private.worker_processes for each row execute function legwork_private.tg_worker_processes__start();

create or replace function legwork.worker_starts_between(from_at timestamptz, to_at timestamptz, at_most integer default 500)
returns table (started_at timestamptz, host text, workers bigint, versions text[])
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select legwork_private.assert_role('viewer', true);
  -- Workers of one machine that started in the same minute count as one start.
  select min(w.started_at), w.host, count(*), array_agg(distinct w.version order by w.version) filter (where w.version is not null) from legwork_private.worker_starts w
  where w.started_at >= from_at and w.started_at < to_at
  group by w.host, date_trunc('minute', w.started_at) order by 1 desc limit at_most
$$;
comment on function legwork.worker_starts_between(timestamptz, timestamptz, integer) is
  'Worker starts between two times with their versions, newest first, at most at_most (500). Workers of one machine that start within the same minute are one row. Not for a session that is confined to a tenant.';
revoke execute on function legwork.worker_starts_between(timestamptz, timestamptz, integer) from public;

create or replace function legwork.limits_in_use()
returns table (scope text, name text, kind text, key text, max integer, used bigint, keys bigint, full_keys bigint, sampled_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select legwork_private.assert_role('viewer', true);
  select l.value ->> 'scope', l.value ->> 'name', l.value ->> 'kind', nullif(l.value ->> 'key', ''), (l.value ->> 'max')::integer, (l.value ->> 'used')::bigint,
    (l.value ->> 'keys')::bigint, (l.value ->> 'full')::bigint, s.sampled_at
  from legwork_private.samples s cross join lateral jsonb_array_elements(s.value) l
  where s.name = 'limits'
  order by 1, 2, 3, 4
$$;
comment on function legwork.limits_in_use() is
  'The use of each limit at the last measurement, which is taken every ten seconds or, with very many live jobs, less often: the maximum (per key), the slots in use (by all keys), the keys that use it, and the keys without a free slot.';
revoke execute on function legwork.limits_in_use() from public;
