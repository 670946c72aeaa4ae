-- Retention: history is partitioned by time. Partitions are created ahead of time and dropped when their rows are old enough.
--
-- Every Legwork process calls legwork.maintain_history() at its start and every few minutes, so it need not be scheduled.
-- Locks: ACCESS EXCLUSIVE on a default partition or on a history table, for milliseconds, and only when a partition is created or
-- dropped. A session that locks a table for longer (a dump) is not disturbed: the step gives up after 200 ms and is retried.
create or replace function legwork_private.history_partitions()
returns table (parent regclass, partition regclass, lower_bound timestamptz, upper_bound timestamptz)
language sql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO'
as $$
  select i.inhparent::regclass, c.oid::regclass, b.bounds[1]::timestamptz, b.bounds[2]::timestamptz
  from pg_inherits i
  join pg_class c on c.oid = i.inhrelid
  cross join lateral (
    select regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''([^'']+)''\) TO \(''([^'']+)''\)') as bounds
  ) b
  where i.inhparent in ('legwork_private.finished_jobs'::regclass, 'legwork_private.failed_attempts'::regclass, 'legwork_private.job_logs'::regclass,
      'legwork_private.job_waits'::regclass, 'legwork_private.schedule_occurrences'::regclass, 'legwork_private.audit_entries'::regclass)
    and b.bounds is not null
$$;
comment on function legwork_private.history_partitions() is 'The partitions of the history, except the default partitions, with the time range that each covers.';

create or replace function legwork_private.retention(setting text, fallback interval) returns interval
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select case
      -- Postgres has supported infinite intervals since version 17.
      when lower(trim(s.value)) = 'infinity' then interval '1000 years'
      when s.value::interval between interval '1 hour' and interval '1000 years' then s.value::interval
      -- Longer and shorter values become the nearest bound. A negative value is a mistake.
      when s.value::interval > interval '1000 years' then interval '1000 years'
      when s.value::interval >= interval '0' then interval '1 hour'
      else fallback
    end
    from legwork.settings s where s.name = retention.setting);
exception when others then
  return fallback;
end $$;
comment on function legwork_private.retention(text, interval) is
  'A retention period from a setting, between an hour and a thousand years. Returns the fallback if the setting is not a valid interval, and null if the setting does not exist.';

create or replace function legwork_private.history_retention() returns interval
language sql stable
return legwork_private.retention('history_retention', interval '30 days');
comment on function legwork_private.history_retention() is
  'How long history is kept: the setting history_retention, between an hour and a thousand years. 30 days if the setting is not a valid interval.';

create or replace function legwork_private.create_history_partitions(history text, by_column text, width interval) returns table (step text, relation text)
language plpgsql volatile set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO' as $$
declare
  v_lower timestamptz;
  v_upper timestamptz;
  v_name text;
begin
  loop
    select coalesce(max(p.upper_bound), date_trunc('day', now())) into v_lower
    from legwork_private.history_partitions() p where p.parent = format('legwork_private.%I', history)::regclass;
    exit when v_lower > now() + width;
    -- If no maintenance ran for so long that the existing partitions ended, the rows of that gap stay in the default partition.
    v_lower := greatest(v_lower, date_trunc('day', now()));
    v_upper := v_lower + width;
    v_name := format('%s_%s', history, to_char(v_lower, 'YYYYMMDD'));
    begin
      execute format('create table legwork_private.%I (like legwork_private.%I including defaults including storage)', v_name, history);
      execute format('alter table legwork_private.%I enable row level security', v_name);
      -- A partition does not inherit its replica identity from its table. Tables with a primary key use the key.
      if (select c.relreplident = 'f' from pg_class c where c.oid = format('legwork_private.%I', history)::regclass) then
        execute format('alter table legwork_private.%I replica identity full', v_name);
      end if;
      -- Postgres does not attach a partition while the default partition has rows of its time range. The lock keeps other sessions from adding any.
      execute format('lock table legwork_private.%I in access exclusive mode', history || '_default');
      -- The metrics count each row of these tables once.
      if history in ('finished_jobs', 'failed_attempts') then
        perform legwork_private.roll_up_before_move(format('legwork_private.%I', history || '_default')::regclass);
      end if;
      execute format(
        'with moved as (delete from only legwork_private.%1$I where %2$I >= %3$L and %2$I < %4$L returning *) insert into legwork_private.%5$I select * from moved',
        history || '_default', by_column, v_lower, v_upper, v_name);
      if history in ('finished_jobs', 'failed_attempts') then
        perform legwork_private.skip_roll_up(format('legwork_private.%I', v_name)::regclass);
      end if;
      execute format('alter table legwork_private.%I attach partition legwork_private.%I for values from (%L) to (%L)',
        history, v_name, v_lower, v_upper);
      step := 'created'; relation := 'legwork_private.' || v_name; return next;
    exception when others then
      step := case sqlstate when '55P03' then 'busy' else sqlerrm end; relation := 'legwork_private.' || history; return next;
      exit;
    end;
  end loop;
end $$;
comment on function legwork_private.create_history_partitions(text, text, interval) is
  'Creates partitions of a history table, each covering a period of width, until the newest one ends more than width from now. by_column: the time by which the table is partitioned. Matching rows '
  'in the default partition are moved. Returns rows for the result of legwork.maintain_history(), whose lock timeout applies.';

create or replace function legwork_private.drop_history_partitions(history text, retention interval) returns table (step text, relation text)
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_old record;
begin
  for v_old in
    select p.partition::text as name from legwork_private.history_partitions() p
    where p.parent = format('legwork_private.%I', history)::regclass and p.upper_bound <= now() - retention
  loop
    begin
      execute format('drop table %s', v_old.name);
      step := 'dropped'; relation := v_old.name; return next;
    exception when others then
      step := case sqlstate when '55P03' then 'busy' else sqlerrm end; relation := v_old.name; return next;
    end;
  end loop;
end $$;
comment on function legwork_private.drop_history_partitions(text, interval) is
  'Drops the partitions of a history table that have only rows older than its retention. Returns rows for the result of legwork.maintain_history(), whose lock timeout applies.';

create or replace function legwork.maintain_history()
returns table (step text, relation text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO' set lock_timeout = '200ms'
as $$
declare
  v_retention interval := coalesce(legwork_private.history_retention(), interval '30 days');
  v_width interval;
  v_parent record;
begin
  -- Only one session at a time does this work. Other sessions have nothing to do.
  if not pg_try_advisory_xact_lock(hashtext('legwork.maintain_history')) then
    return;
  end if;

  perform legwork_private.forget_enqueue_limits();
  perform legwork_private.forget_requests();
  perform legwork_private.forget_runs(v_retention);
  delete from legwork_private.bulk_actions b where b.finished_at < now() - v_retention;
  -- Cancellations of jobs that have ended since then.
  delete from legwork_private.cancellations c where not exists (select from legwork_private.graphile_jobs j where j.id = c.job_id);

  -- A failed job can be retried only as long as it is in the history. This comes first, because dropping partitions holds locks until the end.
  delete from legwork_private.graphile_jobs j
  where j.id in (
    select d.id from legwork_private.graphile_jobs d
    where d.locked_at is null and d.attempts >= d.max_attempts and d.run_at < now() - v_retention
      and not exists (select from legwork_private.finished_jobs f where f.id = d.id and f.finished_at >= now() - v_retention)
    for update skip locked);

  -- Workflows are kept longer than the history of their first steps. This is read before anything is locked.
  begin
    perform legwork_private.keep_workflow_step_ends(p.partition, p.upper_bound)
    from legwork_private.history_partitions() p where p.parent = 'legwork_private.finished_jobs'::regclass and p.upper_bound <= now() - v_retention;
    if exists (select from only legwork_private.finished_jobs_default f where f.finished_at < now() - v_retention) then
      perform legwork_private.keep_workflow_step_ends('legwork_private.finished_jobs_default', now() - v_retention);
    end if;
  exception when lock_not_available then
    step := 'busy'; relation := 'legwork_private.finished_jobs'; return next;
    return;
  end;

  for v_parent in
    select p.name, p.by_column, coalesce(p.retention, v_retention) as retention
    from (values ('finished_jobs', 'finished_at', null), ('failed_attempts', 'failed_at', null), ('job_logs', 'logged_at', null),
      ('job_waits', 'ended_at', null), ('schedule_occurrences', 'due_at', null),
      ('audit_entries', 'occurred_at', coalesce(legwork_private.retention('audit_retention', interval '1 year'), interval '1 year')))
      as p (name, by_column, retention)
  loop
    -- An eighth of the retention, in whole days. That is about ten partitions in total, because planning takes longer the more there are
    -- (0.5 ms at 12, 11 ms at 365).
    v_width := make_interval(days => greatest(1, least(31, ceil(extract(epoch from v_parent.retention) / 86400 / 8)))::int);
    return query select c.step, c.relation from legwork_private.create_history_partitions(v_parent.name, v_parent.by_column, v_width) c;
    return query select d.step, d.relation from legwork_private.drop_history_partitions(v_parent.name, v_parent.retention) d;
    execute format('delete from only legwork_private.%I where %I < $1', v_parent.name || '_default', v_parent.by_column)
      using now() - v_parent.retention;
  end loop;

  perform legwork_private.forget_steps();
  delete from legwork_private.awaited_jobs a where a.expires_at < now();
  -- A limited number at a time, because this runs again in a few minutes. Jobs that have not ended keep their progress.
  delete from legwork_private.job_progress p
  where p.job_id in (
    select o.job_id from legwork_private.job_progress o
    where o.updated_at < now() - v_retention
      and not exists (select from legwork_private.graphile_jobs j where j.id = o.job_id)
      and not exists (select from legwork_private.finished_jobs f where f.id = o.job_id)
    limit 10000);
end $$;
comment on function legwork.maintain_history() is
  'Creates the partitions that will be needed, and drops those older than the setting history_retention. Safe to call at any '
  'time and from any number of processes. Returns its steps: created, dropped, busy if it gave up because another session '
  'had locked the table, or the error of a failed step. The next call retries such steps.';
revoke execute on function legwork.maintain_history() from public;
