-- Health and alerts: rules say what is too many, too slow or too late; a worker looks every few seconds; what is found is an alert, raised
-- once and resolved once, whoever looks and how many do.
--
-- Why once: an open alert is a row, and a unique index allows one per rule and target. Raising inserts it, resolving closes it, and the
-- jobs that tell somebody are enqueued in the same transaction. Evaluators take turns by an advisory lock; the index holds without it.
-- What a rule looks at comes from the metrics (legwork.task_minutes), from legwork.samples and from the workers' beats: nothing here reads
-- more of the history than the last failures of tasks that fail.
-- Locks: ACCESS EXCLUSIVE on legwork.worker_processes while its columns are added, for milliseconds.

alter table legwork.worker_processes
  add column cpu real, add column memory real, add column memory_total bigint, add column disk real, add column disk_total bigint,
  add column heap_bytes bigint, add column host_seen_at timestamptz;
comment on column legwork.worker_processes.cpu is 'The share of its machine''s processors in use, 0 to 1, since the last time it told; null before it has.';
comment on column legwork.worker_processes.memory is 'The share of its machine''s memory in use, 0 to 1.';
comment on column legwork.worker_processes.memory_total is 'That memory (bytes).';
comment on column legwork.worker_processes.disk is 'The share of the disk of its working directory in use, 0 to 1.';
comment on column legwork.worker_processes.disk_total is 'The size of that disk (bytes).';
comment on column legwork.worker_processes.heap_bytes is 'What the process''s own objects take (bytes).';
comment on column legwork.worker_processes.host_seen_at is 'When it told of these.';

create function legwork.worker_host(id text, cpu real, memory real, memory_total bigint, disk real, disk_total bigint, heap_bytes bigint) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  update legwork.worker_processes w set
    cpu = worker_host.cpu, memory = worker_host.memory, memory_total = worker_host.memory_total, disk = worker_host.disk,
    disk_total = worker_host.disk_total, heap_bytes = worker_host.heap_bytes, host_seen_at = clock_timestamp()
  where w.id = worker_host.id
$$;
comment on function legwork.worker_host(text, real, real, bigint, real, bigint, bigint) is 'A worker tells how its machine is, every ten seconds.';
revoke execute on function legwork.worker_host(text, real, real, bigint, real, bigint, bigint) from public;

create or replace view legwork.workers with (security_barrier) as
select w.id, w.host, w.pid, w.concurrency, w.tasks, w.running, w.started_at, w.seen_at, w.suspected_at is not null as suspected,
  w.cpu, w.memory, w.memory_total, w.disk, w.disk_total, w.heap_bytes, w.host_seen_at, w.blocked_since, w.blocked_jobs
from legwork.worker_processes w where (select legwork.confined_tenant() is null);
comment on column legwork.workers.cpu is 'The share of its machine''s processors in use, 0 to 1; null before it has told.';
comment on column legwork.workers.memory is 'The share of its machine''s memory in use, 0 to 1.';
comment on column legwork.workers.memory_total is 'That memory (bytes).';
comment on column legwork.workers.disk is 'The share of the disk of its working directory in use, 0 to 1.';
comment on column legwork.workers.disk_total is 'The size of that disk (bytes).';
comment on column legwork.workers.heap_bytes is 'What the process''s own objects take (bytes).';
comment on column legwork.workers.host_seen_at is 'When it told of these.';
comment on column legwork.workers.blocked_since is 'Since when synchronous code has held up its event loop; null while that turns.';
comment on column legwork.workers.blocked_jobs is
  'The job whose code that is. Several when it is one of them and not known which; none when it belongs to no job; null while the event loop turns.';

create table legwork.alert_rules (
  name text primary key check (name ~ '^[a-z0-9][a-z0-9_./-]{0,99}$'),
  kind text not null check (kind in (
    'consecutive_failures', 'error_rate', 'failed_jobs', 'slow_runs', 'stuck_jobs', 'backlog_age', 'schedule_late', 'no_worker', 'database',
    'host_cpu', 'host_memory', 'host_disk', 'worker_memory')),
  target text,
  warning double precision,
  critical double precision,
  period interval not null default '15 minutes' check (period between interval '1 minute' and interval '1 day'),
  at_least integer not null default 1 check (at_least >= 1),
  raise_after interval not null default '0' check (raise_after >= interval '0'),
  resolve_after interval not null default '2 minutes' check (resolve_after >= interval '0'),
  channels jsonb check (jsonb_typeof(channels) = 'array'),
  is_enabled boolean not null default true,
  changed_by text not null default session_user,
  changed_at timestamptz not null default clock_timestamp(),
  check (num_nonnulls(warning, critical) > 0 and critical >= warning is not false)
);
comment on table legwork.alert_rules is 'What raises an alert. Change it with set_alert_rule and drop_alert_rule.';
comment on column legwork.alert_rules.name is 'Names the rule.';
comment on column legwork.alert_rules.kind is 'What is looked at; see docs/alerts.md.';
comment on column legwork.alert_rules.target is 'Only this task, queue, schedule, check or host; null: each of them for itself. A task with a rule of its own is not looked at by a rule of that kind for all.';
comment on column legwork.alert_rules.warning is 'From this value on the alert is a warning; null for never.';
comment on column legwork.alert_rules.critical is 'From this value on it is critical; null for never.';
comment on column legwork.alert_rules.period is 'Over how long error_rate, failed_jobs and slow_runs look back.';
comment on column legwork.alert_rules.at_least is 'How many attempts there must have been in that time for error_rate and slow_runs to say anything.';
comment on column legwork.alert_rules.raise_after is 'For how long the value must be too large before the alert is raised.';
comment on column legwork.alert_rules.resolve_after is 'For how long it must be well again before the alert is resolved, so that one that comes and goes is one alert.';
comment on column legwork.alert_rules.channels is 'Whom to tell: an array as the setting alert_channels has it, which holds where this is null.';
comment on column legwork.alert_rules.is_enabled is 'Whether anybody looks.';
comment on column legwork.alert_rules.changed_by is 'The database role that changed it last.';
comment on column legwork.alert_rules.changed_at is 'When.';
alter table legwork.alert_rules enable row level security;

insert into legwork.settings (name, value, description) values
  ('alert_channels', '[]',
   'Who is told of alerts, unless the rule says otherwise: an array of {"webhook": address}, {"slack": address}, {"email": address} or {"task": name, "payload": {}}, each with "from": "critical" to be '
   'told of critical ones only. None by default.');

create table legwork.alert_silences (
  id bigint generated always as identity primary key,
  rule text,
  target text,
  until timestamptz not null,
  reason text,
  silenced_by text not null default session_user,
  silenced_at timestamptz not null default clock_timestamp()
);
comment on table legwork.alert_silences is 'Alerts that nobody is told of for a while. They are raised and resolved all the same.';
comment on column legwork.alert_silences.id is 'Names the silence.';
comment on column legwork.alert_silences.rule is 'Only alerts of this rule; null for all.';
comment on column legwork.alert_silences.target is 'Only alerts of this target; null for all.';
comment on column legwork.alert_silences.until is 'Until when.';
comment on column legwork.alert_silences.reason is 'Why, in the words of who asked for it.';
comment on column legwork.alert_silences.silenced_by is 'Who asked for it: the database role, or whom the server names.';
comment on column legwork.alert_silences.silenced_at is 'When.';
alter table legwork.alert_silences enable row level security;

create table legwork.alert_records (
  id bigint generated always as identity primary key,
  rule text not null,
  kind text not null,
  target text not null,
  severity text not null check (severity in ('warning', 'critical')),
  value double precision not null,
  threshold double precision not null,
  message text not null,
  raised_at timestamptz not null,
  critical_at timestamptz,
  clear_since timestamptz,
  resolved_at timestamptz,
  acknowledged_at timestamptz,
  acknowledged_by text,
  note text,
  told text check (told in ('warning', 'critical')),
  jobs bigint[] not null default '{}'
);
comment on table legwork.alert_records is 'Every alert that was raised. Written by legwork.evaluate_alerts.';
comment on column legwork.alert_records.id is 'Names the alert.';
comment on column legwork.alert_records.rule is 'The rule.';
comment on column legwork.alert_records.kind is 'What it looks at.';
comment on column legwork.alert_records.target is 'What it is about: a task, a queue, a host; system for the whole.';
comment on column legwork.alert_records.severity is 'The worst it has been: warning or critical.';
comment on column legwork.alert_records.value is 'The value that was too large, when it was last looked at and was.';
comment on column legwork.alert_records.threshold is 'From which value on it counts.';
comment on column legwork.alert_records.message is 'What is wrong, in a sentence.';
comment on column legwork.alert_records.raised_at is 'When it was raised.';
comment on column legwork.alert_records.critical_at is 'When it became critical; null when it never was.';
comment on column legwork.alert_records.clear_since is 'Since when it has been well again; null while it is not. It is resolved when that has lasted.';
comment on column legwork.alert_records.resolved_at is 'When it was resolved; null while it is open.';
comment on column legwork.alert_records.acknowledged_at is 'When somebody said that he has seen it.';
comment on column legwork.alert_records.acknowledged_by is 'Who: the database role, or whom he named.';
comment on column legwork.alert_records.note is 'What he said.';
comment on column legwork.alert_records.told is 'The severity of which somebody was told; null while nobody was.';
comment on column legwork.alert_records.jobs is 'The jobs that told somebody.';
alter table legwork.alert_records enable row level security;
-- This is what makes it one alert.
create unique index alert_records_open on legwork.alert_records (rule, target) where resolved_at is null;
create index alert_records_resolved_at on legwork.alert_records (resolved_at) where resolved_at is not null;

create table legwork.alert_pending (
  rule text not null,
  target text not null,
  since timestamptz not null,
  primary key (rule, target)
);
comment on table legwork.alert_pending is 'What would be an alert if it lasted: rules with raise_after.';
comment on column legwork.alert_pending.rule is 'The rule.';
comment on column legwork.alert_pending.target is 'What it is about.';
comment on column legwork.alert_pending.since is 'Since when the value has been too large.';
alter table legwork.alert_pending enable row level security;

create table legwork.long_runs (
  job_id bigint not null,
  attempt smallint not null,
  task text not null,
  started_at timestamptz not null,
  primary key (job_id, attempt)
);
comment on table legwork.long_runs is 'Attempts that have run for more than a minute. graphile-worker''s own row forgets it: the lock of a long job is renewed.';
comment on column legwork.long_runs.job_id is 'The job.';
comment on column legwork.long_runs.attempt is 'Which attempt.';
comment on column legwork.long_runs.task is 'Its task.';
comment on column legwork.long_runs.started_at is 'When a worker took it.';
alter table legwork.long_runs enable row level security;

alter table legwork.task_totals add column usual double precision[], add column usual_from bigint[],
  add column usual_run double precision, add column usual_runs double precision not null default 0;
comment on column legwork.task_totals.usual is 'How long attempts ran lately: how many in each bucket, of which half are forgotten every day.';
comment on column legwork.task_totals.usual_from is 'The runs that have gone into usual.';
comment on column legwork.task_totals.usual_run is 'What 95 of 100 of those took at most (seconds), by an estimate; made anew every ten minutes.';
comment on column legwork.task_totals.usual_runs is 'How many those are.';

create function legwork.note_usual_runs() returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
  with usual as (
    -- 0.5 to the power of a 144th: a day has so many times ten minutes.
    select t.task, array(
      select coalesce(u.usual, 0) * 0.995198 + (u.runs - coalesce(u.gone, 0)) from unnest(t.runs, t.usual, t.usual_from) with ordinality as u (runs, usual, gone, n) order by u.n
    ) as counts
    from legwork.task_totals t
  )
  update legwork.task_totals t set usual = u.counts, usual_from = t.runs, usual_run = legwork.quantile(0.95, u.counts),
    usual_runs = (select coalesce(sum(n), 0) from unnest(u.counts) n)
  from usual u
  where u.task = t.task
$$;
comment on function legwork.note_usual_runs() is 'Notes how long the attempts of each task usually take, so that a slow one is known. A worker calls it every ten minutes.';
revoke execute on function legwork.note_usual_runs() from public;

create function legwork.restore_alert_rules() returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_count integer;
begin
  perform legwork.assert_may('operator', true);
  insert into legwork.alert_rules (name, kind, warning, critical, period, at_least, raise_after, resolve_after) values
    ('consecutive_failures', 'consecutive_failures', 3, 10, '15 minutes', 1, '0', '0'),
    ('error_rate', 'error_rate', 0.25, 0.5, '15 minutes', 10, '0', '5 minutes'),
    ('failed_jobs', 'failed_jobs', 100, 1000, '1 hour', 1, '0', '5 minutes'),
    ('slow_runs', 'slow_runs', 60, 300, '15 minutes', 3, '0', '5 minutes'),
    ('stuck_jobs', 'stuck_jobs', 900, 3600, '15 minutes', 1, '0', '0'),
    ('backlog_age', 'backlog_age', 300, 1800, '15 minutes', 1, '0', '1 minute'),
    ('schedule_late', 'schedule_late', 60, 600, '15 minutes', 1, '0', '5 minutes'),
    ('no_worker', 'no_worker', 60, 300, '15 minutes', 1, '0', '10 seconds'),
    ('database', 'database', null, 2, '15 minutes', 1, '0', '2 minutes'),
    ('host_cpu', 'host_cpu', 0.95, null, '15 minutes', 1, '5 minutes', '5 minutes'),
    ('host_memory', 'host_memory', 0.9, 0.97, '15 minutes', 1, '1 minute', '5 minutes'),
    ('host_disk', 'host_disk', 0.9, 0.95, '15 minutes', 1, '0', '5 minutes'),
    ('worker_memory', 'worker_memory', 100 * 1024 * 1024, 500 * 1024 * 1024, '15 minutes', 1, '5 minutes', '5 minutes')
  on conflict (name) do nothing;
  get diagnostics v_count = row_count;
  return v_count;
end $$;
comment on function legwork.restore_alert_rules() is 'Makes the rules that Legwork comes with, where there is none of that name. Returns how many it made.';
revoke execute on function legwork.restore_alert_rules() from public;
select legwork.restore_alert_rules();

create type legwork.alert_condition as (
  rule text, kind text, target text, severity text, value double precision, threshold double precision, message text
);
comment on type legwork.alert_condition is 'Something that a rule finds too many, too slow or too late.';

create function legwork.measurements(at timestamptz)
returns table (kind text, target text, value double precision, floor double precision, message text)
language sql stable set search_path = pg_catalog, pg_temp set jit = off
as $$
  -- Of a task with failures after its last success: how many there are. The metrics may be a moment late, so both are looked up.
  select 'consecutive_failures', t.task, f.number, 0::double precision,
    format('Task %L has failed %s time(s) in a row%s', t.task, f.number, coalesce(': ' || left(f.error, 200), '.'))
  from legwork.task_totals t
  cross join lateral (
    select coalesce(max(r.finished_at), '-infinity') as at
    from (select x.finished_at, x.state from legwork.finished_jobs x where x.task = t.task order by x.id desc limit 20) r
    where r.state = 'completed'
  ) s
  cross join lateral (
    select count(*)::double precision as number, (array_agg(l.error_message order by l.failed_at desc))[1] as error
    from (
      select a.error_message, a.failed_at from legwork.failed_attempts a
      where a.task = t.task and a.failed_at > greatest(s.at, t.last_completed_at, measurements.at - interval '7 days')
        and a.error_name is distinct from 'JobCancelled'
      order by a.failed_at desc limit 1000
    ) l
  ) f
  where t.last_failed_at > measurements.at - interval '7 days' and t.last_failed_at > coalesce(t.last_completed_at, '-infinity')
  union all
  select 'stuck_jobs', l.task, max(extract(epoch from measurements.at - l.started_at))::double precision, 3 * coalesce(max(t.usual_run) filter (where t.usual_runs >= 20), 0),
    format('Job %s of task %L has run for %s.', (array_agg(l.job_id order by l.started_at))[1], l.task, legwork.in_words(date_trunc('second', measurements.at - min(l.started_at))))
  from legwork.long_runs l
  left join legwork.task_totals t on t.task = l.task
  group by l.task
  union all
  select 'backlog_age', q.queue, extract(epoch from legwork.elapsed(q.oldest, measurements.at))::double precision, 0,
    format('A job of queue %L has been waiting for %s.', q.queue, legwork.in_words(date_trunc('second', legwork.elapsed(q.oldest, measurements.at))))
  from legwork.samples s
  cross join lateral jsonb_to_recordset(s.value) as q (queue text, state text, oldest timestamptz)
  where s.name = 'queues' and q.state = 'pending' and q.oldest < measurements.at
  union all
  select 'no_worker', 'system', extract(epoch from legwork.elapsed(min(q.oldest), measurements.at))::double precision, 0,
    format('No Legwork worker lives, and a job has been waiting for %s.', legwork.in_words(date_trunc('second', legwork.elapsed(min(q.oldest), measurements.at))))
  from legwork.samples s
  cross join lateral jsonb_to_recordset(s.value) as q (queue text, state text, oldest timestamptz)
  where s.name = 'queues' and q.state = 'pending' and q.oldest < measurements.at
    and not exists (select from legwork.worker_processes w where w.seen_at > measurements.at - 2 * legwork.worker_grace())
  having count(*) > 0
  union all
  select 'schedule_late', l.schedule, l.seconds, 0, format('Schedule %L was %s late.', l.schedule, legwork.in_words(make_interval(secs => round(least(l.seconds, 3e9)))))
  from legwork.samples s
  cross join lateral jsonb_to_recordset(s.value) as l (schedule text, seconds double precision, due_at timestamptz)
  where s.name = 'schedules' and l.due_at > measurements.at - interval '15 minutes'
  union all
  -- What other rules look at is not looked at twice. A finding counts 1 as a warning and 2 when it is critical.
  select 'database', f."check", max(case f.severity when 'critical' then 2 else 1 end), 0, (array_agg(f.finding order by f.severity))[1]
  from legwork.samples s
  cross join lateral jsonb_to_recordset(s.value) as f ("check" text, severity text, finding text)
  where s.name = 'database' and f.severity <> 'ok' and f."check" not in ('workers', 'waiting', 'failed')
  group by f."check"
  union all
  select h.kind, h.target, h.value, 0,
    case h.kind when 'worker_memory' then format('The objects of worker %s take %s.', h.target, pg_size_pretty(h.value::bigint))
      else format('%s %% of the %s of host %s in use.', round(100 * h.value::numeric), case h.kind when 'host_cpu' then 'processors'
        when 'host_memory' then 'memory' else 'disk' end, h.target) end
  from (
    select k.kind, k.target, max(k.value) as value
    from legwork.worker_processes w
    cross join lateral (values
      ('host_cpu', w.host, w.cpu::double precision), ('host_memory', w.host, w.memory), ('host_disk', w.host, w.disk),
      ('worker_memory', format('%s (%s)', w.host, w.pid), w.heap_bytes)
    ) as k (kind, target, value)
    where k.value is not null and w.host_seen_at > measurements.at - interval '1 minute'
    group by k.kind, k.target
  ) h
$$;
comment on function legwork.measurements(timestamptz) is
  'What the rules compare with their thresholds, but for what depends on the rule''s period. floor: a threshold below it counts as it, such as three times what a task usually takes.';
revoke execute on function legwork.measurements(timestamptz) from public;

create function legwork.alert_conditions(at timestamptz default clock_timestamp()) returns setof legwork.alert_condition
language sql stable security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
  with rules as materialized (
    select r.* from legwork.alert_rules r where r.is_enabled
  ), periods as materialized (
    select p.period, m.task, sum(m.completed) as completed, sum(m.failed) as failed, sum(m.failed_attempts) as failed_attempts,
      legwork.sum_counts(m.runs) filter (where p.has_runs) as runs
    from (
      select r.period, bool_or(r.kind = 'slow_runs') as has_runs from rules r where r.kind in ('error_rate', 'failed_jobs', 'slow_runs') group by r.period
    ) p
    join legwork.task_minutes m on m.minute > alert_conditions.at - p.period and m.minute <= alert_conditions.at
    group by p.period, m.task
  ), measured as (
    select r.name as rule, r.kind, m.target, m.value, r.warning, r.critical, m.floor, m.message
    from legwork.measurements(at) m
    join rules r on r.kind = m.kind and (r.target = m.target or r.target is null and not exists (
      select from rules o where o.kind = r.kind and o.target = m.target))
    union all
    select r.name, r.kind, p.task, v.value, r.warning, r.critical, v.floor, v.message
    from rules r
    join periods p on p.period = r.period and (r.target = p.task or r.target is null and not exists (
      select from rules o where o.kind = r.kind and o.target = p.task))
    left join legwork.task_totals t on t.task = p.task
    cross join lateral (
      select p.failed_attempts / nullif(p.failed_attempts + p.completed, 0)::double precision as value, 0::double precision as floor,
        format('%s of %s attempts of task %L have failed within %s.', p.failed_attempts, p.failed_attempts + p.completed, p.task, r.period) as message
      where r.kind = 'error_rate' and p.failed_attempts + p.completed >= r.at_least
      union all
      select p.failed, 0, format('%s job(s) of task %L have failed for good within %s.', p.failed, p.task, r.period)
      where r.kind = 'failed_jobs'
      union all
      select q.took, 3 * case when t.usual_runs >= 20 then coalesce(t.usual_run, 0) else 0 end,
        format('One of twenty attempts of task %L takes %s s or more within %s%s.', p.task, round(q.took::numeric, 1), r.period,
          case when t.usual_runs >= 20 then format('; usually it is %s s', round(t.usual_run::numeric, 3)) else '' end)
      from (select legwork.quantile(0.95, p.runs) as took, (select sum(n) from unnest(p.runs) n) as number) q
      where r.kind = 'slow_runs' and q.number >= r.at_least
    ) v
  ), found as (
    -- A threshold that is not there stays so: greatest passes over nulls.
    select m.rule, m.kind, m.target, m.value, m.message, case when m.warning is not null then greatest(m.warning, m.floor) end as warning,
      case when m.critical is not null then greatest(m.critical, m.floor) end as critical
    from measured m
  )
  select f.rule, f.kind, f.target, case when f.value >= f.critical then 'critical' else 'warning' end, f.value,
    case when f.value >= f.critical then f.critical else f.warning end, f.message
  from found f
  where f.value >= f.warning or f.value >= f.critical
$$;
comment on function legwork.alert_conditions(timestamptz) is
  'What the rules find wrong at this moment, whether or not it is an alert already. Reads metrics and samples.';
revoke execute on function legwork.alert_conditions(timestamptz) from public;

create function legwork.note_long_runs(at timestamptz) returns void
language sql volatile set search_path = pg_catalog, pg_temp
as $$
  insert into legwork.long_runs (job_id, attempt, task, started_at)
  select j.id, j.attempts, t.identifier, j.locked_at
  from legwork.worker_processes w
  cross join lateral unnest(w.running) as r (id)
  join graphile_worker._private_jobs j on j.id = r.id and j.locked_by = w.id and j.locked_at < note_long_runs.at - interval '1 minute'
  join graphile_worker._private_tasks t on t.id = j.task_id
  where not exists (select from legwork.long_runs l where l.job_id = j.id and l.attempt = j.attempts)
  on conflict do nothing;
  delete from legwork.long_runs l
  where not exists (select from graphile_worker._private_jobs j where j.id = l.job_id and j.attempts = l.attempt and j.locked_at is not null);
$$;
comment on function legwork.note_long_runs(timestamptz) is 'Keeps legwork.long_runs as it is.';
revoke execute on function legwork.note_long_runs(timestamptz) from public;

create function legwork.alert_channels(rule text) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_channels jsonb := (select r.channels from legwork.alert_rules r where r.name = alert_channels.rule);
begin
  if v_channels is null then
    v_channels := (select s.value::jsonb from legwork.settings s where s.name = 'alert_channels');
  end if;
  return case when jsonb_typeof(v_channels) = 'array' then v_channels else '[]' end;
exception when others then
  -- A setting that is no JSON must not keep alerts from being raised.
  return '[]';
end $$;
comment on function legwork.alert_channels(text) is 'Whom a rule tells: its own channels, else those of the setting alert_channels.';
revoke execute on function legwork.alert_channels(text) from public;

create function legwork.tell(alert legwork.alert_records, event text) returns bigint[]
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_channel jsonb;
  v_body jsonb := jsonb_build_object(
    'event', event, 'id', alert.id, 'rule', alert.rule, 'kind', alert.kind, 'target', alert.target, 'severity', alert.severity, 'value', alert.value,
    'threshold', alert.threshold, 'message', alert.message, 'raisedAt', alert.raised_at, 'resolvedAt', alert.resolved_at, 'database', current_database());
  -- One line, whatever a task is called.
  v_title text := left(regexp_replace(format('[%s] %s: %s', case when event = 'resolved' then 'resolved' else alert.severity end, alert.rule, alert.target), '\s+', ' ', 'g'), 200);
  v_text text := v_title || E'\n' || alert.message || case when event = 'resolved' then E'\nIt is well again.' else '' end;
  v_task text;
  v_payload jsonb;
  v_jobs bigint[] := '{}';
begin
  for v_channel in select c from jsonb_array_elements(legwork.alert_channels(alert.rule)) c loop
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
    -- By add_job, which takes a task that no worker has told of yet: the alert must not wait for that.
    v_jobs := v_jobs || (
      select j.id from graphile_worker.add_job(
        identifier => v_task, payload => v_payload::json, priority => -100, flags => array['correlation:alert:' || alert.id]) j);
  end loop;
  return v_jobs;
end $$;
comment on function legwork.tell(legwork.alert_records, text) is
  'Enqueues the jobs that tell of an alert, in the caller''s transaction, and returns their ids. event: raised, escalated or resolved.';
revoke execute on function legwork.tell(legwork.alert_records, text) from public;

create function legwork.is_silenced(rule text, target text, at timestamptz) returns boolean
language sql stable
return exists (
  select from legwork.alert_silences s
  where s.until > is_silenced.at and coalesce(s.rule = is_silenced.rule, true) and coalesce(s.target = is_silenced.target, true));
comment on function legwork.is_silenced(text, text, timestamptz) is 'Whether a silence keeps the alerts of this rule and target from being sent.';
revoke execute on function legwork.is_silenced(text, text, timestamptz) from public;

create function legwork.evaluate_alerts(at timestamptz default clock_timestamp()) returns table (id bigint, event text, rule text, target text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  v_found legwork.alert_condition[];
  v_alert legwork.alert_records;
  v_event text;
begin
  -- Somebody is at it.
  if not pg_try_advisory_xact_lock(hashtext('legwork.evaluate_alerts')) then
    return;
  end if;
  perform legwork.note_long_runs(at);
  v_found := array(select c from legwork.alert_conditions(at) c);

  delete from legwork.alert_pending p where not exists (select from unnest(v_found) f where f.rule = p.rule and f.target = p.target);
  insert into legwork.alert_pending (rule, target, since)
  select f.rule, f.target, at from unnest(v_found) f
  join legwork.alert_rules r on r.name = f.rule
  where r.raise_after > interval '0' and not exists (
    select from legwork.alert_records a where a.rule = f.rule and a.target = f.target and a.resolved_at is null)
  on conflict do nothing;

  for v_alert in
    insert into legwork.alert_records (rule, kind, target, severity, value, threshold, message, raised_at, critical_at)
    select f.rule, f.kind, f.target, f.severity, f.value, f.threshold, f.message, at, case when f.severity = 'critical' then at end
    from unnest(v_found) f
    join legwork.alert_rules r on r.name = f.rule
    where r.raise_after = interval '0' or exists (
      select from legwork.alert_pending p where p.rule = f.rule and p.target = f.target and p.since <= at - r.raise_after)
    on conflict (rule, target) where resolved_at is null do nothing
    returning *
  loop
    id := v_alert.id; event := 'raised'; rule := v_alert.rule; target := v_alert.target; return next;
  end loop;
  delete from legwork.alert_pending p where exists (
    select from legwork.alert_records a where a.rule = p.rule and a.target = p.target and a.resolved_at is null);

  -- What is still so, and what has become worse: an alert never becomes milder, it is resolved.
  update legwork.alert_records a set
    severity = case when f.severity = 'critical' then 'critical' else a.severity end,
    critical_at = coalesce(a.critical_at, case when f.severity = 'critical' then at end),
    value = f.value, threshold = f.threshold, message = f.message, clear_since = null
  from unnest(v_found) f
  where a.rule = f.rule and a.target = f.target and a.resolved_at is null
    and (a.clear_since is not null or a.message <> f.message or (f.severity = 'critical' and a.severity <> 'critical'));
  update legwork.alert_records a set clear_since = at
  where a.resolved_at is null and a.clear_since is null
    and not exists (select from unnest(v_found) f where f.rule = a.rule and f.target = a.target);
  -- Once it has been well for long enough; at once when its rule is gone.
  for v_alert in
    update legwork.alert_records a set resolved_at = at
    where a.resolved_at is null and a.clear_since <= at - coalesce(
      (select r.resolve_after from legwork.alert_rules r where r.name = a.rule and r.is_enabled), interval '0')
    returning *
  loop
    id := v_alert.id; event := 'resolved'; rule := v_alert.rule; target := v_alert.target; return next;
    -- Who was not told that it was raised is not told that it is over.
    if v_alert.told is not null and not legwork.is_silenced(v_alert.rule, v_alert.target, at) then
      update legwork.alert_records a set jobs = a.jobs || legwork.tell(v_alert, 'resolved') where a.id = v_alert.id;
    end if;
  end loop;
  -- Those that were silenced are told of when the silence is over and they are still open.
  for v_alert in
    select * from legwork.alert_records a
    where a.resolved_at is null and a.clear_since is null and a.acknowledged_at is null
      and (a.told is null or (a.told = 'warning' and a.severity = 'critical'))
      and not legwork.is_silenced(a.rule, a.target, at)
    order by a.id
  loop
    v_event := case when v_alert.told is null then 'raised' else 'escalated' end;
    if v_event = 'escalated' then
      id := v_alert.id; event := v_event; rule := v_alert.rule; target := v_alert.target; return next;
    end if;
    update legwork.alert_records a set told = v_alert.severity, jobs = a.jobs || legwork.tell(v_alert, v_event) where a.id = v_alert.id;
  end loop;

  delete from legwork.alert_records a where a.resolved_at < now() - interval '400 days';
  delete from legwork.alert_silences s where s.until < now() - interval '30 days';
end $$;
comment on function legwork.evaluate_alerts(timestamptz) is
  'Compares the rules with what is: raises alerts, makes them critical, resolves them, and enqueues the jobs that tell of it, all in one transaction. A worker calls it every five seconds; '
  'any number may at once. Returns what it did: raised, escalated, resolved. at is there for tests.';
revoke execute on function legwork.evaluate_alerts(timestamptz) from public;
