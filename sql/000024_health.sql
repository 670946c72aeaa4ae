-- What is made of metrics and alerts: the operations on rules, the views, the health of the whole, and the steps that workers take by turns to
-- keep all of it.

create function legwork.set_alert_rule(
  name text, kind text default null, target text default null, warning double precision default null, critical double precision default null,
  period interval default null, at_least integer default null, raise_after interval default null, resolve_after interval default null,
  channels jsonb default null, enabled boolean default null
) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_kind text := coalesce(kind, (select r.kind from legwork.alert_rules r where r.name = set_alert_rule.name));
  v_kinds text[] := array['consecutive_failures', 'error_rate', 'failed_jobs', 'slow_runs', 'stuck_jobs', 'backlog_age', 'schedule_late', 'no_worker', 'database',
    'host_cpu', 'host_memory', 'host_disk', 'worker_memory'];
  v_nearest text;
  v_old legwork.alert_rules;
  v_constraint text;
begin
  perform legwork.assert_may('operator', true);
  if name is null or name !~ '^[a-z0-9][a-z0-9_./-]{0,99}$' then
    raise exception 'A rule cannot be called ''%''.', coalesce(name, '') using errcode = 'LW400',
      hint = 'Names have small letters, digits, _ . / and -, for example mail_failures.';
  end if;
  if v_kind is null then
    raise exception 'There is no rule ''%'', and a new one needs a kind.', name using errcode = 'LW404', hint = 'Kinds are ' || array_to_string(v_kinds, ', ') || '.';
  end if;
  if v_kind <> all (v_kinds) then
    v_nearest := legwork.nearest_name(v_kind, v_kinds);
    raise exception 'There is no kind ''%'' of rule.', v_kind using errcode = 'LW400',
      hint = case when v_nearest is not null then format('Did you mean ''%s''? ', v_nearest) else '' end || 'Kinds are ' || array_to_string(v_kinds, ', ') || '.';
  end if;
  perform legwork.assert_alert_channels(channels);
  perform legwork.assert_interval('period', period, '1 minute', '1 day'), legwork.assert_interval('raise_after', raise_after),
    legwork.assert_interval('resolve_after', resolve_after), legwork.assert_number('at_least', at_least, 1, 2147483647),
    legwork.assert_number('warning', warning::numeric, -1e15, 1e15), legwork.assert_number('critical', critical::numeric, -1e15, 1e15);
  select * into v_old from legwork.alert_rules r where r.name = set_alert_rule.name for update;
  if num_nonnulls(warning, critical) = 0 then
    warning := v_old.warning;
    critical := v_old.critical;
  end if;
  -- What another session has made meanwhile is replaced: the last one counts.
  insert into legwork.alert_rules as r (name, kind, target, warning, critical, period, at_least, raise_after, resolve_after, channels, is_enabled)
  values (set_alert_rule.name, v_kind, coalesce(set_alert_rule.target, v_old.target), set_alert_rule.warning, set_alert_rule.critical,
    coalesce(set_alert_rule.period, v_old.period, '15 minutes'), coalesce(set_alert_rule.at_least, v_old.at_least, 1),
    coalesce(set_alert_rule.raise_after, v_old.raise_after, '0'), coalesce(set_alert_rule.resolve_after, v_old.resolve_after, '2 minutes'),
    coalesce(set_alert_rule.channels, v_old.channels), coalesce(enabled, v_old.is_enabled, true))
  on conflict on constraint alert_rules_pkey do update set
    kind = excluded.kind, target = excluded.target, warning = excluded.warning, critical = excluded.critical, period = excluded.period,
    at_least = excluded.at_least, raise_after = excluded.raise_after, resolve_after = excluded.resolve_after, channels = excluded.channels,
    is_enabled = excluded.is_enabled, changed_by = session_user, changed_at = clock_timestamp();
exception when check_violation or not_null_violation then
  get stacked diagnostics v_constraint = constraint_name;
  raise exception 'The rule ''%'' makes no sense: %.', name, case v_constraint
      when 'alert_rules_period_check' then 'its period is too short or too long'
      when 'alert_rules_at_least_check' then 'it asks for less than one attempt'
      when 'alert_rules_check' then 'it has no threshold, or one below the other'
      else 'a value is out of range' end using errcode = 'LW400',
    hint = 'It needs warning, critical or both, critical being the larger one; period lies between a minute and a day; at_least is 1 or more.';
end $$;
comment on function legwork.set_alert_rule(text, text, text, double precision, double precision, interval, integer, interval, interval, jsonb, boolean) is
  'Makes an alert rule or changes one; what is not given stays as it is, but thresholds are given together. kind: what is looked at (docs/alerts.md). target: only this task, queue or host; each for itself '
  'by default. warning, critical: from which value on. period and at_least: over how long, and how many attempts there must be. raise_after, resolve_after: for how long it must be so. channels: whom to '
  'tell, as in the setting alert_channels. Raises LW400 for what makes no sense, LW404 for an unknown rule without a kind.';
revoke execute on function legwork.set_alert_rule(text, text, text, double precision, double precision, interval, integer, interval, interval, jsonb, boolean) from public;

create function legwork.assert_alert_channels(channels jsonb) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if channels is null then
    return;
  end if;
  if jsonb_typeof(channels) <> 'array' or exists (
    select from jsonb_array_elements(case when jsonb_typeof(channels) = 'array' then channels else '[]' end) c
    where case when jsonb_typeof(c) <> 'object' then true else
      (select count(*) from jsonb_object_keys(c) k where k in ('webhook', 'slack', 'email', 'task')) <> 1
      or exists (select from jsonb_each(c) e where case e.key
        when 'payload' then jsonb_typeof(e.value) <> 'object'
        when 'from' then e.value not in ('"warning"', '"critical"')
        when 'email' then jsonb_typeof(e.value) not in ('string', 'array')
        when 'task' then jsonb_typeof(e.value) <> 'string' or length(e.value #>> '{}') not between 1 and 128
        -- An address, or the name of one that only the workers' environment knows.
        when 'webhook' then coalesce(e.value #>> '{}' !~ '^(https?://.+|[A-Za-z0-9_.-]{1,100})$', true)
        when 'slack' then coalesce(e.value #>> '{}' !~ '^(https?://.+|[A-Za-z0-9_.-]{1,100})$', true)
        else true end)
    end)
  then
    -- Not the channels themselves: addresses of webhooks are secrets.
    raise exception 'These channels cannot be told of alerts.' using errcode = 'LW400',
      hint = 'They are an array of {"webhook": "https://…"}, {"slack": "endpoint"}, {"email": "a@b.c"} or {"task": "name"}, each with "payload": {…} and "from": "warning" or "critical" if needed.';
  end if;
end $$;
comment on function legwork.assert_alert_channels(jsonb) is 'Does nothing for channels that can be told of alerts. Raises LW400 for others.';

create function legwork.set_alert_channels(channels jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork.assert_may('operator', true);
  perform legwork.assert_alert_channels(coalesce(channels, '[]'));
  update legwork.settings s set value = coalesce(channels, '[]')::text where s.name = 'alert_channels';
end $$;
comment on function legwork.set_alert_channels(jsonb) is
  'Says whom the rules without channels of their own tell: an array of {"webhook": address}, {"slack": address}, {"email": address} or {"task": name, "payload": {}}; an address of a '
  'webhook may be the name of one in LEGWORK_WEBHOOK_ENDPOINTS. '
  '"from": "critical" for critical ones only. Raises LW400 for anything else.';
revoke execute on function legwork.set_alert_channels(jsonb) from public;

create function legwork.assert_alert_rule(name text) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_nearest text;
begin
  if exists (select from legwork.alert_rules r where r.name = assert_alert_rule.name) then
    return;
  end if;
  v_nearest := legwork.nearest_name(name, array(select r.name from legwork.alert_rules r));
  raise exception 'There is no rule ''%''.', coalesce(name, '') using errcode = 'LW404',
    hint = case when v_nearest is not null then format('Did you mean ''%s''? ', v_nearest) else '' end || 'select name from legwork.alert_rules lists them.';
end $$;
comment on function legwork.assert_alert_rule(text) is 'Does nothing for a known rule. Raises LW404 with the nearest name for an unknown one.';
revoke execute on function legwork.assert_alert_rule(text) from public;

create function legwork.drop_alert_rule(name text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork.assert_may('operator', true);
  perform legwork.assert_alert_rule(name);
  delete from legwork.alert_rules r where r.name = drop_alert_rule.name;
end $$;
comment on function legwork.drop_alert_rule(text) is
  'Takes a rule away; its open alerts are resolved at the next look. legwork.restore_alert_rules() brings back one that Legwork came with. Raises LW404 for an unknown rule.';
revoke execute on function legwork.drop_alert_rule(text) from public;

create function legwork.silence_alerts(duration interval, rule text default null, target text default null, reason text default null) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_id bigint;
begin
  perform legwork.assert_may('operator', true);
  if duration is null then
    raise exception 'Silencing alerts needs a duration.' using errcode = 'LW400', hint = 'For example ''2 hours''.';
  end if;
  perform legwork.assert_interval('duration', duration, '1 second');
  if rule is not null then
    perform legwork.assert_alert_rule(rule);
  end if;
  insert into legwork.alert_silences (rule, target, until, reason)
  values (silence_alerts.rule, silence_alerts.target, clock_timestamp() + duration, silence_alerts.reason) returning alert_silences.id into v_id;
  return v_id;
end $$;
comment on function legwork.silence_alerts(interval, text, text, text) is
  'For so long nobody is told of alerts, of all or of those of a rule, a target or both. They are raised and resolved all the same; one that is still open afterwards is told of then. '
  'Returns the silence''s id. Raises LW404 for an unknown rule, LW400 for a time that is none.';
revoke execute on function legwork.silence_alerts(interval, text, text, text) from public;

create function legwork.end_silence(id bigint) returns boolean
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  select legwork.assert_may('operator', true);
  with ended as (
    update legwork.alert_silences s set until = clock_timestamp() where s.id = end_silence.id and s.until > clock_timestamp() returning 1
  )
  select exists (select from ended)
$$;
comment on function legwork.end_silence(bigint) is 'Ends a silence before its time; returns whether there was one.';
revoke execute on function legwork.end_silence(bigint) from public;

create function legwork.acknowledge_alert(id bigint, note text default null, by text default session_user) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_resolved_at timestamptz;
begin
  perform legwork.assert_may('operator', true);
  select a.resolved_at into v_resolved_at from legwork.alert_records a where a.id = acknowledge_alert.id for update;
  if not found then
    raise exception 'There is no alert %.', id using errcode = 'LW404', hint = 'select id, message from legwork.alerts where state <> ''resolved'' lists the open ones.';
  elsif v_resolved_at is not null then
    raise exception 'Alert % was resolved %.', id, v_resolved_at using errcode = 'LW409', hint = 'There is nothing left to acknowledge.';
  end if;
  update legwork.alert_records a set acknowledged_at = clock_timestamp(), acknowledged_by = by, note = coalesce(acknowledge_alert.note, a.note)
  where a.id = acknowledge_alert.id;
end $$;
comment on function legwork.acknowledge_alert(bigint, text, text) is
  'Says that somebody has seen an open alert and looks after it: nobody is told of it again before it is resolved. Raises LW404 for an unknown alert, LW409 for one that is resolved.';
revoke execute on function legwork.acknowledge_alert(bigint, text, text) from public;

create view legwork.alerts as
select
  a.id, a.rule, a.kind, a.target, case when a.resolved_at is not null then 'resolved' when a.acknowledged_at is not null then 'acknowledged' else 'open' end as state,
  a.severity, a.message, a.value, a.threshold, a.raised_at, a.critical_at, a.clear_since, a.resolved_at, a.acknowledged_at, a.acknowledged_by, a.note,
  -- As legwork.is_silenced, whose rights would be those of the role that reads.
  a.resolved_at is null and exists (
    select from legwork.alert_silences s
    where s.until > now() and coalesce(s.rule = a.rule, true) and coalesce(s.target = a.target, true)) as silenced, a.jobs
from legwork.alert_records a;
comment on view legwork.alerts is 'Every alert, open and resolved, kept for 400 days. Order by id, newest last.';
comment on column legwork.alerts.id is E'@notNull\nNames the alert.';
comment on column legwork.alerts.rule is E'@notNull\nThe rule that raised it.';
comment on column legwork.alerts.kind is E'@notNull\nWhat the rule looks at.';
comment on column legwork.alerts.target is E'@notNull\nWhat it is about: a task, a queue, a host; system for the whole.';
comment on column legwork.alerts.state is E'@notNull\nopen, acknowledged or resolved.';
comment on column legwork.alerts.severity is E'@notNull\nThe worst it has been: warning or critical.';
comment on column legwork.alerts.message is E'@notNull\nWhat is wrong, in a sentence.';
comment on column legwork.alerts.value is E'@notNull\nThe value that was too large, when it was last looked at and was.';
comment on column legwork.alerts.threshold is E'@notNull\nFrom which value on it counts.';
comment on column legwork.alerts.raised_at is E'@notNull\nWhen it was raised.';
comment on column legwork.alerts.critical_at is 'When it became critical; null when it never was.';
comment on column legwork.alerts.clear_since is 'Since when it has been well again; it is resolved when that has lasted.';
comment on column legwork.alerts.resolved_at is 'When it was resolved; null before that.';
comment on column legwork.alerts.acknowledged_at is 'When somebody said that he has seen it.';
comment on column legwork.alerts.acknowledged_by is 'Who.';
comment on column legwork.alerts.note is 'What he said.';
comment on column legwork.alerts.silenced is E'@notNull\nWhether it is open and nobody is told of it now.';
comment on column legwork.alerts.jobs is E'@notNull\nThe jobs that told somebody of it.';

create function legwork.sample_queues() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set jit = off as $$
declare
  -- From so many live jobs on, of everybody or of a tenant, legwork.queues shows what was counted here.
  c_many constant integer := 2000;
  v_began timestamptz := clock_timestamp();
  v_counted jsonb;
begin
  select coalesce(jsonb_agg(to_jsonb(c)), '[]') into v_counted
  from (
    select l.tenant, l.queue, l.place, count(*) as jobs, min(l.due_at) as oldest
    from legwork.all_live_places l
    group by 1, 2, 3
  ) c;

  insert into legwork.samples as s (name, value)
  select 'queues', coalesce(jsonb_agg(to_jsonb(q)), '[]')
  from (
    select c.queue, c.place as state, sum(c.jobs) as jobs, min(c.oldest) as oldest
    from jsonb_to_recordset(v_counted) as c (queue text, place text, jobs bigint, oldest timestamptz)
    where c.place <> 'failed'
    group by 1, 2
  ) q
  on conflict (name) do update set value = excluded.value, sampled_at = clock_timestamp();

  delete from legwork.queue_counts;
  insert into legwork.queue_counts (tenant, queue, running, pending, blocked, paused, later, failed, oldest, counted_at, valid_until)
  select
    x.tenant, c.queue, coalesce(sum(c.jobs) filter (where c.place = 'running'), 0), coalesce(sum(c.jobs) filter (where c.place = 'pending'), 0),
    coalesce(sum(c.jobs) filter (where c.place = 'blocked'), 0), coalesce(sum(c.jobs) filter (where c.place = 'paused'), 0),
    coalesce(sum(c.jobs) filter (where c.place in ('scheduled', 'retrying')), 0), coalesce(sum(c.jobs) filter (where c.place = 'failed'), 0),
    min(c.oldest), v_began,
    -- Twice as long as until the next time, which the step's share of the time says.
    clock_timestamp() + greatest(interval '30 seconds', (clock_timestamp() - v_began) * 100)
  from jsonb_to_recordset(v_counted) as c (tenant text, queue text, place text, jobs bigint, oldest timestamptz)
  cross join lateral (select '' as tenant union all select c.tenant where c.tenant is not null) x
  where x.tenant in (
    select y.tenant
    from jsonb_to_recordset(v_counted) as a (tenant text, jobs bigint)
    cross join lateral (select '' as tenant union all select a.tenant where a.tenant is not null) y
    group by 1
    having sum(a.jobs) > c_many)
  group by 1, 2;

  insert into legwork.samples as s (name, value)
  select 'limits', coalesce(jsonb_agg(to_jsonb(u)), '[]')
  from (
    select l.scope, l.name, l.kind, array_to_string(l.key, '.') as key, l.max_count as max, coalesce(sum(g.used), 0) as used, count(g.gate) as keys,
      count(g.gate) filter (where g.used >= l.max_count) as full
    from legwork.limits l
    left join (
      select x.gate, split_part(x.gate, ':', 1)::integer as limit_id, count(*) as used
      from legwork.slots x where x.free_at is null or x.free_at > now() group by x.gate
    ) g on g.limit_id = l.id
    where l.max_count is not null
    group by l.id
  ) u
  on conflict (name) do update set value = excluded.value, sampled_at = clock_timestamp();
end $$;
comment on function legwork.sample_queues() is
  'Counts the live jobs by queue and state, and what limits are in use, into legwork.samples. Takes as long as there are many live jobs; a worker calls it every ten seconds, or less often when it takes long.';
revoke execute on function legwork.sample_queues() from public;

create function legwork.sample_database() returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  insert into legwork.samples as s (name, value)
  select 'database', coalesce(jsonb_agg(jsonb_build_object('check', d."check", 'severity', d.severity, 'finding', d.finding, 'remedy', d.remedy, 'detail', d.detail)), '[]')
  from legwork.doctor() d
  on conflict (name) do update set value = excluded.value, sampled_at = clock_timestamp();
$$;
comment on function legwork.sample_database() is 'Keeps what legwork.doctor() finds in legwork.samples. A worker calls it every minute.';
revoke execute on function legwork.sample_database() from public;

create function legwork.task_statistics(
  period interval default '1 hour',
  out task text, out completed bigint, out failed bigint, out cancelled bigint, out expired bigint, out failed_attempts bigint, out retried bigint,
  out error_rate double precision, out wait_average double precision, out wait_p95 double precision, out run_average double precision,
  out run_p50 double precision, out run_p95 double precision, out run_p99 double precision
) returns setof record
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select legwork.assert_may('viewer', true);
  select s.task, s.completed, s.failed, s.cancelled, s.expired, s.failed_attempts, s.retried,
    s.failed_attempts / nullif(s.failed_attempts + s.completed, 0)::double precision,
    s.wait_seconds / nullif((select sum(n) from unnest(s.waits) n), 0), legwork.quantile(0.95, s.waits), s.run_seconds / nullif((select sum(n) from unnest(s.runs) n), 0),
    legwork.quantile(0.5, s.runs), legwork.quantile(0.95, s.runs), legwork.quantile(0.99, s.runs)
  from (
    select m.task, sum(m.completed)::bigint as completed, sum(m.failed)::bigint as failed, sum(m.cancelled)::bigint as cancelled, sum(m.expired)::bigint as expired,
      sum(m.failed_attempts)::bigint as failed_attempts, sum(m.retried)::bigint as retried, sum(m.wait_seconds) as wait_seconds, sum(m.run_seconds) as run_seconds,
      legwork.sum_counts(m.waits) as waits, legwork.sum_counts(m.runs) as runs
    from (
      select m.minute as at, m.* from legwork.task_minutes m where period <= interval '3 hours'
      union all
      select h.hour, h.* from legwork.task_hours h where period > interval '3 hours'
    ) m
    where m.at >= now() - period
    group by m.task
  ) s
  order by s.task
$$;
comment on function legwork.task_statistics(interval) is
  'What became of each task''s jobs in the last so long (an hour): counts, the share of attempts that failed, and how long jobs were due before they started and attempts ran '
  '(seconds; quantiles are estimates). By whole minutes, and by whole hours for a period of more than three.';
revoke execute on function legwork.task_statistics(interval) from public;

create function legwork.health()
returns table (scope text, name text, status text, reasons text[])
language sql stable security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
  select legwork.assert_may('viewer', true);
  with found as materialized (
    select c.*, case
      when c.kind in ('consecutive_failures', 'error_rate', 'failed_jobs', 'slow_runs', 'stuck_jobs') then 'task'
      when c.kind = 'backlog_age' then 'queue' when c.kind = 'schedule_late' then 'schedule' when c.kind in ('no_worker', 'database') then 'system' else 'host' end as scope
    from legwork.alert_conditions() c
  ), things as (
    select 'task' as scope, t.identifier as name from graphile_worker._private_tasks t
    union select 'queue', q from unnest(legwork.known_queues()) q
    union select 'host', w.host from legwork.worker_processes w
    union select f.scope, f.target from found f where f.scope <> 'system'
  ), judged as materialized (
    select x.scope, x.name, case when bool_or(f.severity = 'critical') then 'unhealthy' when count(f.rule) > 0 then 'degraded' else 'healthy' end as status,
      coalesce(array_agg(f.message order by f.severity, f.rule) filter (where f.rule is not null), '{}') as reasons
    from things x
    left join found f on f.scope = x.scope and f.target = x.name
    group by x.scope, x.name
  )
  -- The whole is as ill as what concerns it all; one task that fails degrades it.
  select 'system', 'system', case when bool_or(s.status = 'unhealthy' and s.is_all) then 'unhealthy' when bool_or(s.status <> 'healthy') then 'degraded' else 'healthy' end,
    coalesce(array_agg(s.reason order by s.is_all desc, s.reason) filter (where s.status <> 'healthy'), '{}')
  from (
    select true as is_all, case when f.severity = 'critical' then 'unhealthy' else 'degraded' end as status, f.message as reason from found f where f.scope = 'system'
    union all
    select false, j.status, format('%s %s is %s.', initcap(j.scope), j.name, j.status) from judged j
  ) s
  union all
  select j.scope, j.name, j.status, j.reasons from judged j
$$;
comment on function legwork.health() is
  'How the system and each task, queue, schedule and host are at this moment: healthy, degraded (a rule''s warning is reached) or unhealthy (its critical value is), and why. '
  'The system is unhealthy when something that concerns it all is critical (no worker, the database), degraded when anything else is not healthy.';
revoke execute on function legwork.health() from public;

create function legwork.sample_schedules() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if to_regclass('legwork.schedule_runs') is null or to_regclass('legwork.schedule_definitions') is null then
    return;
  end if;
  -- How late the last occurrence of each schedule was.
  execute $q$
    insert into legwork.samples as s (name, value)
    select 'schedules', coalesce(jsonb_agg(jsonb_build_object('schedule', d.name, 'seconds', round(greatest(0, extract(epoch from legwork.elapsed(r.due_at, r.recorded_at))), 3), 'due_at', r.due_at)), '[]')
    from legwork.schedule_definitions d
    cross join lateral (
      select x.due_at, x.recorded_at from legwork.schedule_runs x
      where x.schedule = d.name and x.state = 'enqueued' and x.due_at > now() - interval '7 days' and x.due_at <= now()
      order by x.due_at desc limit 1
    ) r
    on conflict (name) do update set value = excluded.value, sampled_at = clock_timestamp() $q$;
end $$;
comment on function legwork.sample_schedules() is 'Keeps in legwork.samples how late schedules were.';
revoke execute on function legwork.sample_schedules() from public;

create table legwork.watch_steps (
  step text primary key,
  every interval not null,
  share double precision not null,
  due_at timestamptz not null default clock_timestamp(),
  ran_at timestamptz,
  took interval
);
comment on table legwork.watch_steps is 'What workers do by turns to keep the metrics and to look after the rules.';
comment on column legwork.watch_steps.step is 'What.';
comment on column legwork.watch_steps.every is 'How often.';
comment on column legwork.watch_steps.share is 'Less often when it takes long: this share of the time at most.';
comment on column legwork.watch_steps.due_at is 'When it is due next.';
comment on column legwork.watch_steps.ran_at is 'When it ran last.';
comment on column legwork.watch_steps.took is 'How long that took.';
alter table legwork.watch_steps enable row level security;
insert into legwork.watch_steps (step, every, share) values
  ('roll_up', '5 seconds', 0.2), ('queues', '10 seconds', 0.02), ('database', '1 minute', 0.01), ('alerts', '5 seconds', 0.02), ('forget', '10 minutes', 0.01);

create function legwork.due_steps() returns text[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select array(select w.step from legwork.watch_steps w where w.due_at <= clock_timestamp()
    order by array_position(array['roll_up', 'queues', 'database', 'alerts', 'forget'], w.step))
$$;
comment on function legwork.due_steps() is 'What legwork.watch is to be called for now.';
revoke execute on function legwork.due_steps() from public;

create function legwork.watch(step text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_began timestamptz := clock_timestamp();
  v_number bigint;
begin
  -- Whoever has the row is at it, or has just done it.
  perform from legwork.watch_steps w where w.step = watch.step and w.due_at <= v_began for update skip locked;
  if not found then
    return false;
  end if;
  case step
    when 'roll_up' then v_number := legwork.roll_up();
    when 'queues' then perform legwork.sample_queues(), legwork.sample_schedules();
    when 'database' then perform legwork.sample_database();
    when 'alerts' then perform legwork.evaluate_alerts();
    when 'forget' then
      v_number := legwork.forget_metrics();
      perform legwork.note_usual_runs();
  end case;
  update legwork.watch_steps w set ran_at = v_began, took = clock_timestamp() - v_began,
    due_at = clock_timestamp() + case when watch.step = 'forget' and v_number = 20000 then interval '1 second'
      else greatest(w.every, (clock_timestamp() - v_began) / w.share) end
  where w.step = watch.step;
  return true;
end $$;
comment on function legwork.watch(text) is
  'Does one of legwork.due_steps(), if it is still due and nobody else is at it, in a transaction of its own. Returns whether it did. Workers and servers call it.';
revoke execute on function legwork.watch(text) from public;

create function legwork.read_metrics() returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
  select legwork.assert_may('viewer', true);
  select jsonb_build_object(
    'bounds', legwork.histogram_bounds(),
    -- Those that came first keep their place, so that what is summed up as the others only grows.
    'tasks', coalesce((select jsonb_agg(to_jsonb(t) - array['first_seen', 'last_completed_at', 'last_failed_at', 'usual', 'usual_from', 'usual_run', 'usual_runs'] order by t.first_seen, t.task) from legwork.task_totals t), '[]'),
    'samples', coalesce((select jsonb_object_agg(s.name, s.value) from legwork.samples s where s.name <> 'database'), '{}'),
    'sampledAt', coalesce((select jsonb_object_agg(s.name, s.sampled_at) from legwork.samples s), '{}'),
    'now', clock_timestamp(),
    'findings', coalesce((select jsonb_object_agg(f.severity, f.number) from (
      select d ->> 'severity' as severity, count(*) as number from legwork.samples s, jsonb_array_elements(s.value) d where s.name = 'database' group by 1) f), '{}'),
    'connections', (select d -> 'detail' from legwork.samples s, jsonb_array_elements(s.value) d where s.name = 'database' and d ->> 'check' = 'connections' limit 1),
    'workers', coalesce((select jsonb_agg(jsonb_build_object('host', w.host, 'pid', w.pid, 'concurrency', w.concurrency, 'running', cardinality(w.running), 'cpu', w.cpu, 'memory', w.memory, 'disk', w.disk, 'heap', w.heap_bytes)
      order by w.started_at) from legwork.worker_processes w where w.seen_at > clock_timestamp() - 2 * legwork.worker_grace()), '[]'),
    'restarts', (select case when s.is_called then s.last_value else 0 end from legwork.worker_restarts s),
    'alerts', coalesce((select jsonb_object_agg(a.severity, a.number) from (
      select r.severity, count(*) as number from legwork.alert_records r where r.resolved_at is null group by 1) a), '{}'),
    'steps', coalesce((select jsonb_object_agg(w.step, extract(epoch from clock_timestamp() - w.ran_at)) from legwork.watch_steps w where w.ran_at is not null), '{}'))
$$;
comment on function legwork.read_metrics() is 'Everything that /metrics shows, from what has been counted already. Tells of all tenants.';
revoke execute on function legwork.read_metrics() from public;
