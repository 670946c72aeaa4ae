comment on table legwork_private.alert_rules is 'What raises an alert. Change it with set_alert_rule and drop_alert_rule.';
comment on column legwork_private.alert_rules.name is 'Names the rule.';
comment on column legwork_private.alert_rules.kind is 'What is looked at; see docs/guides/alerts.md.';
comment on column legwork_private.alert_rules.target is 'Only this task, queue, schedule, check or host; null: each of them for itself. A task with a rule of its own is not looked at by a rule of that kind for all.';
comment on column legwork_private.alert_rules.warning is 'From this value on the alert is a warning; null for never.';
comment on column legwork_private.alert_rules.critical is 'From this value on it is critical; null for never.';
comment on column legwork_private.alert_rules.period is 'Over how long error_rate, failed_jobs and slow_runs look back.';
comment on column legwork_private.alert_rules.at_least is 'How many attempts there must have been in that time for error_rate and slow_runs to say anything.';
comment on column legwork_private.alert_rules.raise_after is 'For how long the value must be too large before the alert is raised.';
comment on column legwork_private.alert_rules.resolve_after is 'For how long it must be well again before the alert is resolved, so that one that comes and goes is one alert.';
comment on column legwork_private.alert_rules.channels is 'Whom to tell: an array as the setting alert_channels has it, which holds where this is null.';
comment on column legwork_private.alert_rules.is_enabled is 'Whether anybody looks.';
comment on column legwork_private.alert_rules.changed_by is 'The database role that changed it last.';
comment on column legwork_private.alert_rules.changed_at is 'When.';

create or replace function legwork.restore_alert_rules() returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_count integer;
begin
  perform legwork_private.assert_role('operator', true);
  insert into legwork_private.alert_rules (name, kind, warning, critical, period, at_least, raise_after, resolve_after) values
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

create or replace function legwork_private.alert_channels(rule text) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_channels jsonb := (select r.channels from legwork_private.alert_rules r where r.name = alert_channels.rule);
begin
  if v_channels is null then
    v_channels := (select s.value::jsonb from legwork.settings s where s.name = 'alert_channels');
  end if;
  return case when jsonb_typeof(v_channels) = 'array' then v_channels else '[]' end;
exception when others then
  -- A setting that is no JSON must not keep alerts from being raised.
  return '[]';
end $$;
comment on function legwork_private.alert_channels(text) is 'Whom a rule tells: its own channels, else those of the setting alert_channels.';
revoke execute on function legwork_private.alert_channels(text) from public;

-- What is made of metrics and alerts: the operations on rules, the views, the health of the whole, and the steps that workers take by turns to
-- keep all of it.
create or replace function legwork.set_alert_rule(
  name text, kind text default null, target text default null, warning double precision default null, critical double precision default null,
  period interval default null, at_least integer default null, raise_after interval default null, resolve_after interval default null,
  channels jsonb default null, enabled boolean default null
) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_kind text := coalesce(kind, (select r.kind from legwork_private.alert_rules r where r.name = set_alert_rule.name));
  v_kinds text[] := array['consecutive_failures', 'error_rate', 'failed_jobs', 'slow_runs', 'stuck_jobs', 'backlog_age', 'schedule_late', 'no_worker', 'database',
    'host_cpu', 'host_memory', 'host_disk', 'worker_memory'];
  v_nearest text;
  v_old legwork_private.alert_rules;
  v_constraint text;
begin
  perform legwork_private.assert_role('operator', true);
  if name is null or name !~ '^[a-z0-9][a-z0-9_./-]{0,99}$' then
    raise exception 'A rule cannot be called ''%''.', coalesce(name, '') using errcode = 'LW400',
      hint = 'Names have small letters, digits, _ . / and -, for example mail_failures.';
  end if;
  if v_kind is null then
    raise exception 'There is no rule ''%'', and a new one needs a kind.', name using errcode = 'LW404', hint = 'Kinds are ' || array_to_string(v_kinds, ', ') || '.';
  end if;
  if v_kind <> all (v_kinds) then
    v_nearest := legwork_private.nearest_name(v_kind, v_kinds);
    raise exception 'There is no kind ''%'' of rule.', v_kind using errcode = 'LW400',
      hint = case when v_nearest is not null then format('Did you mean ''%s''? ', v_nearest) else '' end || 'Kinds are ' || array_to_string(v_kinds, ', ') || '.';
  end if;
  perform legwork_private.assert_alert_channels(channels);
  perform legwork_private.assert_interval('period', period, '1 minute', '1 day'), legwork_private.assert_interval('raise_after', raise_after),
    legwork_private.assert_interval('resolve_after', resolve_after), legwork_private.assert_number('at_least', at_least, 1, 2147483647),
    legwork_private.assert_number('warning', warning::numeric, -1e15, 1e15), legwork_private.assert_number('critical', critical::numeric, -1e15, 1e15);
  select * into v_old from legwork_private.alert_rules r where r.name = set_alert_rule.name for update;
  if num_nonnulls(warning, critical) = 0 then
    warning := v_old.warning;
    critical := v_old.critical;
  end if;
  -- What another session has made meanwhile is replaced: the last one counts.
  insert into legwork_private.alert_rules as r (name, kind, target, warning, critical, period, at_least, raise_after, resolve_after, channels, is_enabled)
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
  'Makes an alert rule or changes one; what is not given stays as it is, but thresholds are given together. kind: what is looked at (docs/guides/alerts.md). target: only this task, queue or host; each for itself '
  'by default. warning, critical: from which value on. period and at_least: over how long, and how many attempts there must be. raise_after, resolve_after: for how long it must be so. channels: whom to '
  'tell, as in the setting alert_channels. Raises LW400 for what makes no sense, LW404 for an unknown rule without a kind.';
revoke execute on function legwork.set_alert_rule(text, text, text, double precision, double precision, interval, integer, interval, interval, jsonb, boolean) from public;

create or replace function legwork_private.assert_alert_channels(channels jsonb) returns void
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
comment on function legwork_private.assert_alert_channels(jsonb) is 'Does nothing for channels that can be told of alerts. Raises LW400 for others.';

create or replace function legwork.set_alert_channels(channels jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_role('operator', true);
  perform legwork_private.assert_alert_channels(coalesce(channels, '[]'));
  update legwork.settings s set value = coalesce(channels, '[]')::text where s.name = 'alert_channels';
end $$;
comment on function legwork.set_alert_channels(jsonb) is
  'Says whom the rules without channels of their own tell: an array of {"webhook": address}, {"slack": address}, {"email": address} or {"task": name, "payload": {}}; an address of a '
  'webhook may be the name of one in LEGWORK_WEBHOOK_ENDPOINTS. '
  '"from": "critical" for critical ones only. Raises LW400 for anything else.';
revoke execute on function legwork.set_alert_channels(jsonb) from public;

create or replace function legwork_private.assert_alert_rule(name text) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_nearest text;
begin
  if exists (select from legwork_private.alert_rules r where r.name = assert_alert_rule.name) then
    return;
  end if;
  v_nearest := legwork_private.nearest_name(name, array(select r.name from legwork_private.alert_rules r));
  raise exception 'There is no rule ''%''.', coalesce(name, '') using errcode = 'LW404', detail = '{"do": "list_alert_rules"}',
    hint = case when v_nearest is not null then format('Did you mean ''%s''? ', v_nearest) else '' end || '`select name from legwork.alert_rule_list` lists them.';
end $$;
comment on function legwork_private.assert_alert_rule(text) is 'Does nothing for a known rule. Raises LW404 with the nearest name for an unknown one.';
revoke execute on function legwork_private.assert_alert_rule(text) from public;

create or replace function legwork.drop_alert_rule(name text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_role('operator', true);
  perform legwork_private.assert_alert_rule(name);
  delete from legwork_private.alert_rules r where r.name = drop_alert_rule.name;
end $$;
comment on function legwork.drop_alert_rule(text) is
  'Takes a rule away; its open alerts are resolved at the next look. legwork.restore_alert_rules() brings back one that Legwork came with. Raises LW404 for an unknown rule.';
revoke execute on function legwork.drop_alert_rule(text) from public;

create or replace function legwork_private.tg_alert_rules__audit() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_before jsonb := case when tg_op <> 'INSERT' then (to_jsonb(old) - array['changed_by', 'changed_at']) || jsonb_build_object('channels', jsonb_array_length(old.channels)) end;
  v_after jsonb := case when tg_op <> 'DELETE' then (to_jsonb(new) - array['changed_by', 'changed_at']) || jsonb_build_object('channels', jsonb_array_length(new.channels)) end;
begin
  if tg_op = 'UPDATE' then
    if old.channels is distinct from new.channels then
      v_after := v_after || '{"channels_changed": true}';
    elsif v_before = v_after then
      return null;
    end if;
  end if;
  perform legwork_private.audit(case tg_op when 'DELETE' then 'drop_alert_rule' else 'set_alert_rule' end, 'alert_rule', coalesce(new.name, old.name),
    jsonb_strip_nulls(v_before), jsonb_strip_nulls(v_after));
  return null;
end $$;
comment on function legwork_private.tg_alert_rules__audit() is 'Trigger that adds a line to the audit log for each alert rule that is made, changed or dropped; without its channels.';
revoke execute on function legwork_private.tg_alert_rules__audit() from public;

create or replace trigger _legwork_audit after insert or update or delete on legwork_private.alert_rules
  for each row execute function legwork_private.tg_alert_rules__audit();

create or replace trigger _legwork_audit after insert or delete on legwork_private.alert_silences
  for each row execute function legwork_private.tg_audit__change('silence', 'id', 'silence_alerts', 'end_silence', 'drop_silence');

create or replace trigger _legwork_audit_change after update on legwork_private.alert_silences
  for each row when (old.* is distinct from new.*) execute function legwork_private.tg_audit__change('silence', 'id', 'silence_alerts', 'end_silence', 'drop_silence');
