-- The backlog over time. Nothing else records how many jobs were waiting a while ago: the history contains jobs only once they have ended.
comment on table legwork_private.backlog_minutes is
  'The largest backlog that was counted in each minute, by queue. Written by legwork_private.sample_queues. Kept for as long as the setting metrics_minutes says.';
comment on column legwork_private.backlog_minutes.minute is 'The beginning of the minute.';
comment on column legwork_private.backlog_minutes.queue is
  'The queue; empty for all queues together. A queue without live jobs has no row, so a minute without the row for all queues was not counted.';
comment on column legwork_private.backlog_minutes.pending is 'Jobs that were due and that nothing held back.';
comment on column legwork_private.backlog_minutes.held is 'Jobs that were blocked or paused.';
comment on column legwork_private.backlog_minutes.running is 'Running jobs.';
comment on column legwork_private.backlog_minutes.oldest_seconds is 'How long the oldest pending job had been due, in seconds; 0 without pending jobs.';
select legwork_private.copy_comments('legwork_private.backlog_minutes', 'legwork_private.backlog_hours');
comment on table legwork_private.backlog_hours is 'The largest backlog in each hour, by queue. Kept for as long as the setting metrics_hours says.';
comment on column legwork_private.backlog_hours.hour is 'The beginning of the hour.';

create or replace function legwork_private.record_backlog(counts jsonb) returns void
language sql volatile set search_path = pg_catalog, pg_temp
as $$
  -- The body is a string, because Postgres cannot dump a parsed body with two inserts that refer to excluded.
  with counted as (
    select coalesce(c.queue, '') as queue,
      coalesce(sum(c.jobs) filter (where c.state = 'pending'), 0)::bigint as pending,
      coalesce(sum(c.jobs) filter (where c.state in ('blocked', 'paused')), 0)::bigint as held,
      coalesce(sum(c.jobs) filter (where c.state = 'running'), 0)::bigint as running,
      coalesce(greatest(0, extract(epoch from legwork_private.elapsed(min(c.oldest) filter (where c.state = 'pending'), now()))), 0)::double precision as oldest_seconds
    from jsonb_to_recordset(counts) as c (queue text, state text, jobs bigint, oldest timestamptz)
    group by grouping sets ((c.queue), ())
  ), by_minute as (
    insert into legwork_private.backlog_minutes as m (minute, queue, pending, held, running, oldest_seconds)
    select date_trunc('minute', now()), c.queue, c.pending, c.held, c.running, c.oldest_seconds from counted c
    on conflict (queue, minute) do update set
      pending = greatest(m.pending, excluded.pending), held = greatest(m.held, excluded.held), running = greatest(m.running, excluded.running),
      oldest_seconds = greatest(m.oldest_seconds, excluded.oldest_seconds)
  )
  insert into legwork_private.backlog_hours as h (hour, queue, pending, held, running, oldest_seconds)
  select date_trunc('hour', now()), c.queue, c.pending, c.held, c.running, c.oldest_seconds from counted c
  on conflict (queue, hour) do update set
    pending = greatest(h.pending, excluded.pending), held = greatest(h.held, excluded.held), running = greatest(h.running, excluded.running),
    oldest_seconds = greatest(h.oldest_seconds, excluded.oldest_seconds);
$$;
comment on function legwork_private.record_backlog(jsonb) is
  'Records the backlog of each queue and of all queues for the current minute and hour, if it is larger than the one already recorded. counts: [{"queue", "state", "jobs", "oldest"}].';
revoke execute on function legwork_private.record_backlog(jsonb) from public;

create or replace function legwork_private.forget_backlog(at_most integer) returns void
language sql volatile set search_path = pg_catalog, pg_temp
begin atomic
  delete from legwork_private.backlog_minutes m
  where (m.minute, m.queue) in (
    select o.minute, o.queue from legwork_private.backlog_minutes o
    where o.minute < now() - legwork_private.interval_setting('metrics_minutes', '2 days') order by o.minute limit at_most);
  delete from legwork_private.backlog_hours h
  where (h.hour, h.queue) in (
    select o.hour, o.queue from legwork_private.backlog_hours o
    where o.hour < now() - legwork_private.interval_setting('metrics_hours', '400 days') order by o.hour limit at_most);
end;
comment on function legwork_private.forget_backlog(integer) is 'Deletes minutes and hours older than the settings metrics_minutes and metrics_hours, up to at_most of each.';
revoke execute on function legwork_private.forget_backlog(integer) from public;
