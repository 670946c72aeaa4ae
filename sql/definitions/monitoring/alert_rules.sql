comment on table legwork_private.alert_rules is 'The rules that raise alerts. Change them with set_alert_rule and drop_alert_rule.';
comment on column legwork_private.alert_rules.name is 'The rule''s name.';
comment on column legwork_private.alert_rules.kind is 'What the rule measures; see docs/guides/alerts.md.';
comment on column legwork_private.alert_rules.target is 'The one task, queue, schedule, check or host that the rule applies to; null for each of them separately. A rule for all tasks does not apply to a task that has its own rule of the same kind.';
comment on column legwork_private.alert_rules.warning is 'The alert is a warning at this value and above; null for never.';
comment on column legwork_private.alert_rules.critical is 'The alert is critical at this value and above; null for never.';
comment on column legwork_private.alert_rules.period is 'How far back error_rate, failed_jobs and slow_runs look.';
comment on column legwork_private.alert_rules.at_least is 'The minimum number of attempts in that period for error_rate and slow_runs to apply.';
comment on column legwork_private.alert_rules.raise_after is 'How long the value must stay too large before the alert is raised.';
comment on column legwork_private.alert_rules.resolve_after is 'How long the value must stay normal before the alert is resolved, so that a problem that comes and goes is one alert.';
comment on column legwork_private.alert_rules.channels is 'The channels that alerts are sent to: an array like that of the setting alert_channels, which applies where this is null.';
comment on column legwork_private.alert_rules.is_enabled is 'Whether the rule is evaluated.';
comment on column legwork_private.alert_rules.changed_by is 'The actor who last changed the rule.';
comment on column legwork_private.alert_rules.changed_at is 'When the rule was last changed.';

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
    -- Half and seven eighths of 2 GB, at which V8 ends a process on a machine with 8 GB: its limit is a quarter of the memory, and 4 GB at most. A
    -- worker that was just started uses about 0.1 GB.
    ('worker_memory', 'worker_memory', 1024 * 1024 * 1024, 1792 * 1024 * 1024, '15 minutes', 1, '5 minutes', '5 minutes')
  on conflict (name) do nothing;
  get diagnostics v_count = row_count;
  return v_count;
end $$;
comment on function legwork.restore_alert_rules() is 'Restores the built-in alert rules that are missing, by name. Returns how many it restored.';
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
  -- A setting that is not valid JSON must not keep alerts from being raised.
  return '[]';
end $$;
comment on function legwork_private.alert_channels(text) is 'The channels that a rule''s alerts are sent to: its own, otherwise those of the setting alert_channels.';
revoke execute on function legwork_private.alert_channels(text) from public;

-- The operations on alert rules and channels.
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
    raise exception '''%'' is not a valid name for an alert rule.', coalesce(name, '') using errcode = 'LW400',
      hint = 'A name has up to 100 lowercase letters, digits, _ . / and -, and begins with a letter or digit, for example mail_failures.';
  end if;
  if v_kind is null then
    raise exception 'Alert rule ''%'' does not exist, and a new rule needs a kind.', name using errcode = 'LW404', hint = 'Kinds are ' || array_to_string(v_kinds, ', ') || '.';
  end if;
  if v_kind <> all (v_kinds) then
    v_nearest := legwork_private.nearest_name(v_kind, v_kinds);
    raise exception 'Unknown kind of alert rule: ''%''.', v_kind using errcode = 'LW400',
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
  -- A rule that another session has created meanwhile is replaced: the last writer wins.
  insert into legwork_private.alert_rules as r (name, kind, target, warning, critical, period, at_least, raise_after, resolve_after, channels, is_enabled)
  values (set_alert_rule.name, v_kind, coalesce(set_alert_rule.target, v_old.target), set_alert_rule.warning, set_alert_rule.critical,
    coalesce(set_alert_rule.period, v_old.period, '15 minutes'), coalesce(set_alert_rule.at_least, v_old.at_least, 1),
    coalesce(set_alert_rule.raise_after, v_old.raise_after, '0'), coalesce(set_alert_rule.resolve_after, v_old.resolve_after, '2 minutes'),
    coalesce(set_alert_rule.channels, v_old.channels), coalesce(enabled, v_old.is_enabled, true))
  on conflict on constraint alert_rules_pkey do update set
    kind = excluded.kind, target = excluded.target, warning = excluded.warning, critical = excluded.critical, period = excluded.period,
    at_least = excluded.at_least, raise_after = excluded.raise_after, resolve_after = excluded.resolve_after, channels = excluded.channels,
    is_enabled = excluded.is_enabled, changed_by = legwork_private.current_actor(), changed_at = clock_timestamp();
exception when check_violation or not_null_violation then
  get stacked diagnostics v_constraint = constraint_name;
  raise exception 'Alert rule ''%'' is not valid: %.', name, case v_constraint
      when 'alert_rules_period_check' then 'its period is too short or too long'
      when 'alert_rules_at_least_check' then 'at_least is less than 1'
      when 'alert_rules_check' then 'it has no threshold, or critical is below warning'
      else 'a value is out of range' end using errcode = 'LW400',
    hint = 'Give warning, critical or both, with critical the larger. period is between a minute and a day, and at_least is 1 or more.';
end $$;
comment on function legwork.set_alert_rule(text, text, text, double precision, double precision, interval, integer, interval, interval, jsonb, boolean) is
  'Creates or changes an alert rule. Omitted arguments keep their values, but the two thresholds must be given together. kind: what the rule measures (docs/guides/alerts.md). target: the one task, queue or host that '
  'it applies to; each of them separately by default. warning, critical: the thresholds. period, at_least: how far to look back, and the minimum number of attempts. raise_after, resolve_after: how long the '
  'value must stay too large or normal. channels: where alerts are sent, as in the setting alert_channels. Raises LW400 for invalid values, LW404 for an unknown rule without a kind.';
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
        -- A URL, or the name of an endpoint that only the workers' environment defines.
        when 'webhook' then coalesce(e.value #>> '{}' !~ '^(https?://.+|[A-Za-z0-9_.-]{1,100})$', true)
        when 'slack' then coalesce(e.value #>> '{}' !~ '^(https?://.+|[A-Za-z0-9_.-]{1,100})$', true)
        else true end)
    end)
  then
    -- The message does not contain the channels, because webhook URLs are secrets.
    raise exception 'These are not valid alert channels.' using errcode = 'LW400',
      hint = 'Channels are an array of {"webhook": "https://…"}, {"slack": "endpoint"}, {"email": "a@b.c"} or {"task": "name"}, each with "payload": {…} and "from": "warning" or "critical" if needed.';
  end if;
end $$;
comment on function legwork_private.assert_alert_channels(jsonb) is 'Does nothing for valid alert channels. Otherwise raises LW400.';

create or replace function legwork.set_alert_channels(channels jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_role('operator', true);
  perform legwork_private.assert_alert_channels(coalesce(channels, '[]'));
  update legwork.settings s set value = coalesce(channels, '[]')::text where s.name = 'alert_channels';
end $$;
comment on function legwork.set_alert_channels(jsonb) is
  'Sets the channels for rules without channels of their own: an array of {"webhook": URL}, {"slack": URL}, {"email": address} or {"task": name, "payload": {}}. A URL may also be the name '
  'of an endpoint in LEGWORK_WEBHOOK_ENDPOINTS. '
  '"from": "critical" sends critical alerts only. Raises LW400 for anything else.';
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
  raise exception 'Alert rule ''%'' does not exist.', coalesce(name, '') using errcode = 'LW404', detail = '{"do": "list_alert_rules"}',
    hint = case when v_nearest is not null then format('Did you mean ''%s''? ', v_nearest) else '' end || '`select name from legwork.alert_rule_list` lists them.';
end $$;
comment on function legwork_private.assert_alert_rule(text) is 'Does nothing for a known rule. Raises LW404, suggesting the most similar name, for an unknown one.';
revoke execute on function legwork_private.assert_alert_rule(text) from public;

create or replace function legwork.drop_alert_rule(name text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_role('operator', true);
  perform legwork_private.assert_alert_rule(name);
  delete from legwork_private.alert_rules r where r.name = drop_alert_rule.name;
end $$;
comment on function legwork.drop_alert_rule(text) is
  'Removes a rule. Its open alerts are resolved at the next evaluation. legwork.restore_alert_rules() restores a built-in rule. Raises LW404 for an unknown rule.';
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
comment on function legwork_private.tg_alert_rules__audit() is 'Trigger that adds an entry to the audit log for each alert rule that is created, changed or removed, without its channels.';
revoke execute on function legwork_private.tg_alert_rules__audit() from public;

create or replace trigger _legwork_audit after insert or update or delete on legwork_private.alert_rules
  for each row execute function legwork_private.tg_alert_rules__audit();

create or replace trigger _legwork_audit after insert or delete on legwork_private.alert_silences
  for each row execute function legwork_private.tg_audit__change('silence', 'id', 'silence_alerts', 'end_silence', 'drop_silence');

create or replace trigger _legwork_audit_change after update on legwork_private.alert_silences
  for each row when (old.* is distinct from new.*) execute function legwork_private.tg_audit__change('silence', 'id', 'silence_alerts', 'end_silence', 'drop_silence');
