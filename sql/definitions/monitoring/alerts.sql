-- Health and alerts. Rules define what counts as too many, too slow or too late, and a worker evaluates them every few seconds. Each problem
-- is one alert, raised once and resolved once, however many processes evaluate the rules.
--
-- Why once: an open alert is a row, and a unique index allows one per rule and target. Raising inserts the row, resolving closes it, and the
-- jobs that send the alert are enqueued in the same transaction. An advisory lock lets one session at a time evaluate the rules, but even without it
-- the index prevents duplicates.
-- Rules read the metrics (legwork_private.task_minutes), legwork_private.samples and the workers' heartbeats. Nothing here reads more of the
-- history than the last failures of failing tasks.
-- Locks: ACCESS EXCLUSIVE on legwork_private.worker_processes while its columns are added, for milliseconds.

comment on column legwork_private.worker_processes.cpu is 'The share of its machine''s processors in use, 0 to 1, since its last report; null before the first.';
comment on column legwork_private.worker_processes.memory is 'The share of its machine''s memory in use, 0 to 1.';
comment on column legwork_private.worker_processes.memory_total is 'The size of that memory (bytes).';
comment on column legwork_private.worker_processes.disk is 'The used share of the disk that holds its working directory, 0 to 1.';
comment on column legwork_private.worker_processes.disk_total is 'The size of that disk (bytes).';
comment on column legwork_private.worker_processes.heap_bytes is 'The size of the process''s heap (bytes).';
comment on column legwork_private.worker_processes.host_seen_at is 'When it last reported these values.';

create or replace function legwork_private.worker_host(id text, cpu real, memory real, memory_total bigint, disk real, disk_total bigint, heap_bytes bigint) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  update legwork_private.worker_processes w set
    cpu = worker_host.cpu, memory = worker_host.memory, memory_total = worker_host.memory_total, disk = worker_host.disk,
    disk_total = worker_host.disk_total, heap_bytes = worker_host.heap_bytes, host_seen_at = clock_timestamp()
  where w.id = worker_host.id
$$;
comment on function legwork_private.worker_host(text, real, real, bigint, real, bigint, bigint) is 'Records the state of a worker''s machine. The worker calls it every ten seconds.';
revoke execute on function legwork_private.worker_host(text, real, real, bigint, real, bigint, bigint) from public;
comment on table legwork_private.alert_records is 'Every alert that was raised. Written by legwork.evaluate_alerts.';
comment on column legwork_private.alert_records.id is 'The alert''s id.';
comment on column legwork_private.alert_records.rule is 'The rule that raised it.';
comment on column legwork_private.alert_records.kind is 'What the rule measures.';
comment on column legwork_private.alert_records.target is 'What the alert is about: a task, a queue, a host; system for the whole system.';
comment on column legwork_private.alert_records.severity is 'The highest severity so far: warning or critical.';
comment on column legwork_private.alert_records.value is 'The value at the last evaluation at which it was too large.';
comment on column legwork_private.alert_records.threshold is 'The threshold that the value reached.';
comment on column legwork_private.alert_records.message is 'The problem, in a sentence.';
comment on column legwork_private.alert_records.raised_at is 'When it was raised.';
comment on column legwork_private.alert_records.critical_at is 'When it became critical; null if it never did.';
comment on column legwork_private.alert_records.clear_since is 'When the value became normal; null while it is not. The alert is resolved once it has stayed normal for long enough.';
comment on column legwork_private.alert_records.resolved_at is 'When it was resolved; null while it is open.';
comment on column legwork_private.alert_records.acknowledged_at is 'When it was acknowledged.';
comment on column legwork_private.alert_records.acknowledged_by is 'Who acknowledged it: the database role, or the name that it gave.';
comment on column legwork_private.alert_records.note is 'The note that was given when it was acknowledged.';
comment on column legwork_private.alert_records.told is 'The severity at which it was sent; null before it was sent.';
comment on column legwork_private.alert_records.jobs is 'The jobs that sent it.';
comment on table legwork_private.alert_pending is 'Problems that become alerts if they last: those found by rules with raise_after.';
comment on column legwork_private.alert_pending.rule is 'The rule.';
comment on column legwork_private.alert_pending.target is 'What the problem is about.';
comment on column legwork_private.alert_pending.since is 'When the value became too large.';
comment on table legwork_private.long_runs is 'Attempts that have run for more than a minute. graphile-worker''s own row does not keep their start: the lock of a long job is renewed.';
comment on column legwork_private.long_runs.job_id is 'The job.';
comment on column legwork_private.long_runs.attempt is 'The number of the attempt.';
comment on column legwork_private.long_runs.task is 'Its task.';
comment on column legwork_private.long_runs.started_at is 'When a worker fetched it.';
comment on column legwork_private.task_totals.usual is 'Recent running times of attempts: the count in each bucket, halved every day.';
comment on column legwork_private.task_totals.usual_from is 'The value of runs up to which usual has been computed.';
comment on column legwork_private.task_totals.usual_run is 'The estimated p95 of those running times (seconds), recomputed every ten minutes.';
comment on column legwork_private.task_totals.usual_runs is 'The number of attempts in usual.';

create or replace function legwork_private.note_usual_runs() returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
  with usual as (
    -- 0.5 to the power of 1/144: a day has 144 periods of ten minutes.
    select t.task, array(
      select coalesce(u.usual, 0) * 0.995198 + (u.runs - coalesce(u.gone, 0)) from unnest(t.runs, t.usual, t.usual_from) with ordinality as u (runs, usual, gone, n) order by u.n
    ) as counts
    from legwork_private.task_totals t
  )
  update legwork_private.task_totals t set usual = u.counts, usual_from = t.runs, usual_run = legwork_private.quantile(0.95, u.counts),
    usual_runs = (select coalesce(sum(n), 0) from unnest(u.counts) n)
  from usual u
  where u.task = t.task
$$;
comment on function legwork_private.note_usual_runs() is 'Records how long the attempts of each task usually take, so that slow ones are recognized. A worker calls it every ten minutes.';
revoke execute on function legwork_private.note_usual_runs() from public;
comment on type legwork_private.alert_condition is 'A problem that a rule has found: a value that reaches a threshold.';

create or replace function legwork_private.measurements(at timestamptz)
returns table (kind text, target text, value double precision, floor double precision, message text)
language sql stable set search_path = pg_catalog, pg_temp set jit = off
as $$
  -- The number of failures since a task's last success. The last success is looked up in the history too, because the metrics may lag behind.
  select 'consecutive_failures', t.task, f.number, 0::double precision,
    format('Task %L has failed %s in a row%s', t.task, legwork_private.counted(f.number::bigint, 'time'), coalesce(': ' || left(f.error, 200), '.'))
  from legwork_private.task_totals t
  cross join lateral (
    select coalesce(max(r.finished_at), '-infinity') as at
    from (select x.finished_at, x.state from legwork_private.finished_jobs x where x.task = t.task order by x.id desc limit 20) r
    where r.state = 'completed'
  ) s
  cross join lateral (
    select count(*)::double precision as number, (array_agg(l.error_message order by l.failed_at desc))[1] as error
    from (
      select a.error_message, a.failed_at from legwork_private.failed_attempts a
      where a.task = t.task and a.failed_at > greatest(s.at, t.last_completed_at, measurements.at - interval '7 days')
        and a.error_name is distinct from 'JobCancelled'
      order by a.failed_at desc limit 1000
    ) l
  ) f
  where t.last_failed_at > measurements.at - interval '7 days' and t.last_failed_at > coalesce(t.last_completed_at, '-infinity')
  union all
  select 'stuck_jobs', l.task, max(extract(epoch from measurements.at - l.started_at))::double precision, 3 * coalesce(max(t.usual_run) filter (where t.usual_runs >= 20), 0),
    format('Job %s for task %L has been running for %s.', (array_agg(l.job_id order by l.started_at))[1], l.task, legwork_private.in_words(date_trunc('second', measurements.at - min(l.started_at))))
  from legwork_private.long_runs l
  left join legwork_private.task_totals t on t.task = l.task
  group by l.task
  union all
  select 'backlog_age', q.queue, extract(epoch from legwork_private.elapsed(q.oldest, measurements.at))::double precision, 0,
    format('A job in queue %L has been waiting for %s.', q.queue, legwork_private.in_words(date_trunc('second', legwork_private.elapsed(q.oldest, measurements.at))))
  from legwork_private.samples s
  cross join lateral jsonb_to_recordset(s.value) as q (queue text, state text, oldest timestamptz)
  where s.name = 'queues' and q.state = 'pending' and q.oldest < measurements.at
  union all
  select 'no_worker', 'system', extract(epoch from legwork_private.elapsed(min(q.oldest), measurements.at))::double precision, 0,
    format('No Legwork worker is running, and a job has been waiting for %s.', legwork_private.in_words(date_trunc('second', legwork_private.elapsed(min(q.oldest), measurements.at))))
  from legwork_private.samples s
  cross join lateral jsonb_to_recordset(s.value) as q (queue text, state text, oldest timestamptz)
  where s.name = 'queues' and q.state = 'pending' and q.oldest < measurements.at
    and not exists (select from legwork_private.worker_processes w where w.seen_at > measurements.at - 2 * legwork_private.worker_grace())
  having count(*) > 0
  union all
  select 'schedule_late', l.schedule, l.seconds, 0, format('Schedule %L was %s late.', l.schedule, legwork_private.in_words(make_interval(secs => round(least(l.seconds, 3e9)))))
  from legwork_private.samples s
  cross join lateral jsonb_to_recordset(s.value) as l (schedule text, seconds double precision, due_at timestamptz)
  where s.name = 'schedules' and l.due_at > measurements.at - interval '15 minutes'
  union all
  -- Checks that other rules cover are left out. A finding counts 1 as a warning and 2 as critical.
  select 'database', f."check", max(case f.severity when 'critical' then 2 else 1 end), 0, (array_agg(f.finding order by f.severity))[1]
  from legwork_private.samples s
  cross join lateral jsonb_to_recordset(s.value) as f ("check" text, severity text, finding text)
  where s.name = 'database' and f.severity <> 'ok' and f."check" not in ('workers', 'waiting', 'failed')
  group by f."check"
  union all
  select h.kind, h.target, h.value, 0,
    case h.kind when 'worker_memory' then format('Worker %s uses %s of heap memory.', h.target, pg_size_pretty(h.value::bigint))
      else format('Host %s uses %s%% of its %s.', h.target, round(100 * h.value::numeric), case h.kind when 'host_cpu' then 'processors'
        when 'host_memory' then 'memory' else 'disk' end) end
  from (
    select k.kind, k.target, max(k.value) as value
    from legwork_private.worker_processes w
    cross join lateral (values
      ('host_cpu', w.host, w.cpu::double precision), ('host_memory', w.host, w.memory), ('host_disk', w.host, w.disk),
      ('worker_memory', format('%s (%s)', w.host, w.pid), w.heap_bytes)
    ) as k (kind, target, value)
    where k.value is not null and w.host_seen_at > measurements.at - interval '1 minute'
    group by k.kind, k.target
  ) h
$$;
comment on function legwork_private.measurements(timestamptz) is
  'The values that rules compare with their thresholds, except those that depend on the rule''s period. floor: the lowest threshold that applies, such as three times what a task usually takes.';
revoke execute on function legwork_private.measurements(timestamptz) from public;

create or replace function legwork_private.alert_conditions(at timestamptz default clock_timestamp()) returns setof legwork_private.alert_condition
language sql stable security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
  with rules as materialized (
    select r.* from legwork_private.alert_rules r where r.is_enabled
  ), periods as materialized (
    select p.period, m.task, sum(m.completed) as completed, sum(m.failed) as failed, sum(m.failed_attempts) as failed_attempts,
      legwork_private.sum_counts(m.runs) filter (where p.has_runs) as runs
    from (
      select r.period, bool_or(r.kind = 'slow_runs') as has_runs from rules r where r.kind in ('error_rate', 'failed_jobs', 'slow_runs') group by r.period
    ) p
    join legwork_private.task_minutes m on m.minute > alert_conditions.at - p.period and m.minute <= alert_conditions.at
    group by p.period, m.task
  ), measured as (
    select r.name as rule, r.kind, m.target, m.value, r.warning, r.critical, m.floor, m.message
    from legwork_private.measurements(at) m
    join rules r on r.kind = m.kind and (r.target = m.target or r.target is null and not exists (
      select from rules o where o.kind = r.kind and o.target = m.target))
    union all
    select r.name, r.kind, p.task, v.value, r.warning, r.critical, v.floor, v.message
    from rules r
    join periods p on p.period = r.period and (r.target = p.task or r.target is null and not exists (
      select from rules o where o.kind = r.kind and o.target = p.task))
    left join legwork_private.task_totals t on t.task = p.task
    cross join lateral (
      select p.failed_attempts / nullif(p.failed_attempts + p.completed, 0)::double precision as value, 0::double precision as floor,
        format('%s of %s for task %L failed within the last %s.', trim(legwork_private.counted(p.failed_attempts::bigint, '', '')),
          legwork_private.counted((p.failed_attempts + p.completed)::bigint, 'attempt'), p.task, legwork_private.period_in_words(r.period)) as message
      where r.kind = 'error_rate' and p.failed_attempts + p.completed >= r.at_least
      union all
      select p.failed, 0, format('%s for task %L failed permanently within the last %s.', legwork_private.counted(p.failed::bigint, 'job'), p.task,
        legwork_private.period_in_words(r.period))
      where r.kind = 'failed_jobs'
      union all
      select q.took, 3 * case when t.usual_runs >= 20 then coalesce(t.usual_run, 0) else 0 end,
        format('The p95 running time of task %L within the last %s is %s%s.', p.task, legwork_private.period_in_words(r.period),
          legwork_private.in_words(make_interval(secs => round(q.took::numeric, 1)::double precision)),
          case when t.usual_runs >= 20 then '. It is usually ' || legwork_private.in_words(make_interval(secs => round(t.usual_run::numeric, 3)::double precision)) else '' end)
      from (select legwork_private.quantile(0.95, p.runs) as took, (select sum(n) from unnest(p.runs) n) as number) q
      where r.kind = 'slow_runs' and q.number >= r.at_least
    ) v
  ), found as (
    -- A missing threshold stays missing: greatest ignores nulls.
    select m.rule, m.kind, m.target, m.value, m.message, case when m.warning is not null then greatest(m.warning, m.floor) end as warning,
      case when m.critical is not null then greatest(m.critical, m.floor) end as critical
    from measured m
  )
  select f.rule, f.kind, f.target, case when f.value >= f.critical then 'critical' else 'warning' end, f.value,
    case when f.value >= f.critical then f.critical else f.warning end, f.message
  from found f
  where f.value >= f.warning or f.value >= f.critical
$$;
comment on function legwork_private.alert_conditions(timestamptz) is
  'The problems that the rules find at this moment, whether or not they are alerts already. Reads metrics and samples.';
revoke execute on function legwork_private.alert_conditions(timestamptz) from public;

create or replace function legwork_private.note_long_runs(at timestamptz) returns void
language sql volatile set search_path = pg_catalog, pg_temp
as $$
  insert into legwork_private.long_runs (job_id, attempt, task, started_at)
  select j.id, j.attempts, t.identifier, j.locked_at
  from legwork_private.worker_processes w
  cross join lateral unnest(w.running) as r (id)
  join legwork_private.graphile_jobs j on j.id = r.id and j.locked_by = w.id and j.locked_at < note_long_runs.at - interval '1 minute'
  join legwork_private.graphile_tasks t on t.id = j.task_id
  where not exists (select from legwork_private.long_runs l where l.job_id = j.id and l.attempt = j.attempts)
  on conflict do nothing;
  delete from legwork_private.long_runs l
  where not exists (select from legwork_private.graphile_jobs j where j.id = l.job_id and j.attempts = l.attempt and j.locked_at is not null);
$$;
comment on function legwork_private.note_long_runs(timestamptz) is 'Brings legwork_private.long_runs up to date.';
revoke execute on function legwork_private.note_long_runs(timestamptz) from public;

create or replace function legwork_private.send_alert(alert legwork_private.alert_records, event text) returns bigint[]
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_channel jsonb;
  v_body jsonb := jsonb_build_object(
    'event', event, 'id', alert.id, 'rule', alert.rule, 'kind', alert.kind, 'target', alert.target, 'severity', alert.severity, 'value', alert.value,
    'threshold', alert.threshold, 'message', alert.message, 'raisedAt', alert.raised_at, 'resolvedAt', alert.resolved_at, 'database', current_database());
  -- The title is a single line, even if the task's name contains line breaks.
  v_title text := left(regexp_replace(format('[%s] %s: %s', case when event = 'resolved' then 'resolved' else alert.severity end, alert.rule, alert.target), '\s+', ' ', 'g'), 200);
  v_text text := v_title || E'\n' || alert.message || case when event = 'resolved' then E'\nIt has been resolved.' else '' end;
  v_task text;
  v_payload jsonb;
  v_jobs bigint[] := '{}';
begin
  for v_channel in select c from jsonb_array_elements(legwork_private.alert_channels(alert.rule)) c loop
    continue when jsonb_typeof(v_channel) <> 'object' or (v_channel ->> 'from' = 'critical' and alert.severity <> 'critical');
    v_payload := case when jsonb_typeof(v_channel -> 'payload') = 'object' then v_channel -> 'payload' else '{}' end;
    if v_channel ? 'webhook' then
      v_task := 'notify/webhook';
      v_payload := v_payload || jsonb_build_object(case when v_channel ->> 'webhook' ~ '^https?://' then 'url' else 'endpoint' end, v_channel -> 'webhook', 'body', v_body);
    elsif v_channel ? 'slack' then
      v_task := 'notify/webhook';
      v_payload := v_payload || jsonb_build_object(case when v_channel ->> 'slack' ~ '^https?://' then 'url' else 'endpoint' end, v_channel -> 'slack', 'slack', v_text);
    elsif v_channel ? 'email' then
      v_task := 'notify/email';
      v_payload := v_payload || jsonb_build_object('to', v_channel -> 'email', 'subject', v_title, 'text', v_text);
    else
      v_task := v_channel ->> 'task';
      v_payload := v_payload || jsonb_build_object('alert', v_body);
    end if;
    continue when coalesce(length(v_task), 0) not between 1 and 128;
    -- With add_job, which accepts a task that no worker has registered yet: the alert must not wait for that.
    v_jobs := v_jobs || (
      select j.id from graphile_worker.add_job(
        identifier => v_task, payload => v_payload::json, priority => -100, flags => array['correlation:alert:' || alert.id]) j);
  end loop;
  return v_jobs;
end $$;
comment on function legwork_private.send_alert(legwork_private.alert_records, text) is
  'Enqueues the jobs that send an alert, in the caller''s transaction, and returns their ids. event: raised, escalated or resolved.';
revoke execute on function legwork_private.send_alert(legwork_private.alert_records, text) from public;

create or replace function legwork.evaluate_alerts(at timestamptz default clock_timestamp()) returns table (id bigint, event text, rule text, target text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  v_found legwork_private.alert_condition[];
  v_alert legwork_private.alert_records;
  v_event text;
begin
  -- Another session is evaluating.
  if not pg_try_advisory_xact_lock(hashtext('legwork.evaluate_alerts')) then
    return;
  end if;
  perform legwork_private.note_long_runs(at);
  v_found := array(select c from legwork_private.alert_conditions(at) c);

  delete from legwork_private.alert_pending p where not exists (select from unnest(v_found) f where f.rule = p.rule and f.target = p.target);
  insert into legwork_private.alert_pending (rule, target, since)
  select f.rule, f.target, at from unnest(v_found) f
  join legwork_private.alert_rules r on r.name = f.rule
  where r.raise_after > interval '0' and not exists (
    select from legwork_private.alert_records a where a.rule = f.rule and a.target = f.target and a.resolved_at is null)
  on conflict do nothing;

  for v_alert in
    insert into legwork_private.alert_records (rule, kind, target, severity, value, threshold, message, raised_at, critical_at)
    select f.rule, f.kind, f.target, f.severity, f.value, f.threshold, f.message, at, case when f.severity = 'critical' then at end
    from unnest(v_found) f
    join legwork_private.alert_rules r on r.name = f.rule
    where r.raise_after = interval '0' or exists (
      select from legwork_private.alert_pending p where p.rule = f.rule and p.target = f.target and p.since <= at - r.raise_after)
    on conflict (rule, target) where resolved_at is null do nothing
    returning *
  loop
    id := v_alert.id; event := 'raised'; rule := v_alert.rule; target := v_alert.target; return next;
  end loop;
  delete from legwork_private.alert_pending p where exists (
    select from legwork_private.alert_records a where a.rule = p.rule and a.target = p.target and a.resolved_at is null);

  -- Problems that persist or have become worse. The severity of an alert never falls; the alert is resolved instead.
  update legwork_private.alert_records a set
    severity = case when f.severity = 'critical' then 'critical' else a.severity end,
    critical_at = coalesce(a.critical_at, case when f.severity = 'critical' then at end),
    value = f.value, threshold = f.threshold, message = f.message, clear_since = null
  from unnest(v_found) f
  where a.rule = f.rule and a.target = f.target and a.resolved_at is null
    and (a.clear_since is not null or a.message <> f.message or (f.severity = 'critical' and a.severity <> 'critical'));
  update legwork_private.alert_records a set clear_since = at
  where a.resolved_at is null and a.clear_since is null
    and not exists (select from unnest(v_found) f where f.rule = a.rule and f.target = a.target);
  -- Resolved once the value has been normal for long enough, or at once if the rule is gone.
  for v_alert in
    update legwork_private.alert_records a set resolved_at = at
    where a.resolved_at is null and a.clear_since <= at - coalesce(
      (select r.resolve_after from legwork_private.alert_rules r where r.name = a.rule and r.is_enabled), interval '0')
    returning *
  loop
    id := v_alert.id; event := 'resolved'; rule := v_alert.rule; target := v_alert.target; return next;
    -- An alert that was not sent when it was raised is not sent when it is resolved.
    if v_alert.told is not null and not legwork_private.is_silenced(v_alert.rule, v_alert.target, at) then
      update legwork_private.alert_records a set jobs = a.jobs || legwork_private.send_alert(v_alert, 'resolved') where a.id = v_alert.id;
    end if;
  end loop;
  -- Silenced alerts are sent when the silence ends, if they are still open.
  for v_alert in
    select * from legwork_private.alert_records a
    where a.resolved_at is null and a.clear_since is null and a.acknowledged_at is null
      and (a.told is null or (a.told = 'warning' and a.severity = 'critical'))
      and not legwork_private.is_silenced(a.rule, a.target, at)
    order by a.id
  loop
    v_event := case when v_alert.told is null then 'raised' else 'escalated' end;
    if v_event = 'escalated' then
      id := v_alert.id; event := v_event; rule := v_alert.rule; target := v_alert.target; return next;
    end if;
    update legwork_private.alert_records a set told = v_alert.severity, jobs = a.jobs || legwork_private.send_alert(v_alert, v_event) where a.id = v_alert.id;
  end loop;

  delete from legwork_private.alert_records a where a.resolved_at < now() - interval '400 days';
  delete from legwork_private.alert_silences s where s.until < now() - interval '30 days';
end $$;
comment on function legwork.evaluate_alerts(timestamptz) is
  'Evaluates the rules: raises alerts, makes them critical, resolves them, and enqueues the jobs that send them, all in one transaction. A worker calls it every five seconds; '
  'any number of sessions may call it at once. Returns what changed: raised, escalated, resolved. at is for tests.';
revoke execute on function legwork.evaluate_alerts(timestamptz) from public;

create or replace function legwork.acknowledge_alert(id bigint, note text default null, by text default null) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_resolved_at timestamptz;
begin
  perform legwork_private.assert_role('operator', true);
  select a.resolved_at into v_resolved_at from legwork_private.alert_records a where a.id = acknowledge_alert.id for update;
  if not found then
    raise exception 'Alert % does not exist.', id using errcode = 'LW404', detail = '{"do": "list_alerts"}',
      hint = '`select id, message from legwork.alerts where state <> ''resolved''` lists the open alerts.';
  elsif v_resolved_at is not null then
    raise exception 'Alert % was already resolved at %.', id, to_char(v_resolved_at, 'YYYY-MM-DD HH24:MI:SS TZ') using errcode = 'LW409', hint = 'Only open alerts can be acknowledged.';
  end if;
  update legwork_private.alert_records a set acknowledged_at = clock_timestamp(), acknowledged_by = coalesce(by, legwork_private.current_actor()), note = coalesce(acknowledge_alert.note, a.note)
  where a.id = acknowledge_alert.id;
end $$;
comment on function legwork.acknowledge_alert(bigint, text, text) is
  'Acknowledges an open alert: it is not sent again until it is resolved. by: who looks into it, the actor by default. Raises LW404 for an unknown alert, LW409 for a resolved one.';
revoke execute on function legwork.acknowledge_alert(bigint, text, text) from public;

create or replace function legwork_private.tg_alert_records__audit() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.audit('acknowledge_alert', 'alert', new.id::text, null,
    jsonb_strip_nulls(jsonb_build_object('rule', new.rule, 'target', new.target, 'acknowledged_by', new.acknowledged_by, 'note', new.note)));
  return null;
end $$;
comment on function legwork_private.tg_alert_records__audit() is 'Trigger that adds an entry to the audit log when an alert is acknowledged.';
revoke execute on function legwork_private.tg_alert_records__audit() from public;

-- Only for acknowledgments: the changes that legwork_private.run_duty() makes are not a user's action.
create or replace trigger _legwork_audit after update of acknowledged_at on legwork_private.alert_records
  for each row when (new.acknowledged_at is distinct from old.acknowledged_at) execute function legwork_private.tg_alert_records__audit();
