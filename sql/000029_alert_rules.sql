-- Who changed an alert rule, silenced alerts or looks after one is in the audit log; and the rules are to be read by whoever reads.
--
-- Addresses of webhooks are secrets: neither the audit log nor the view has any channel, only how many there are and that they have changed.
-- Locks: SHARE ROW EXCLUSIVE on alert_rules and alert_silences while their triggers are made.

create view legwork.alert_rule_list with (security_barrier) as
select
  r.name, r.kind, r.target, r.warning, r.critical, r.period, r.at_least, r.raise_after, r.resolve_after,
  jsonb_array_length(r.channels) as channels, r.is_enabled, r.changed_by, r.changed_at
from legwork.alert_rules r
where (select legwork.confined_tenant() is null);
comment on view legwork.alert_rule_list is 'The rules that raise alerts, by name. Change them with set_alert_rule and drop_alert_rule.';
comment on column legwork.alert_rule_list.name is E'@notNull\nNames the rule.';
comment on column legwork.alert_rule_list.kind is E'@notNull\nWhat is looked at; see docs/alerts.md.';
comment on column legwork.alert_rule_list.target is 'Only this task, queue, schedule, check or host; null: each of them for itself.';
comment on column legwork.alert_rule_list.warning is 'From this value on the alert is a warning; null for never.';
comment on column legwork.alert_rule_list.critical is 'From this value on it is critical; null for never.';
comment on column legwork.alert_rule_list.period is E'@notNull\nOver how long rates and running times are looked at.';
comment on column legwork.alert_rule_list.at_least is E'@notNull\nHow many attempts there must have been in that time.';
comment on column legwork.alert_rule_list.raise_after is E'@notNull\nFor how long the value must be too large before the alert is raised.';
comment on column legwork.alert_rule_list.resolve_after is E'@notNull\nFor how long it must be well again before the alert is resolved.';
comment on column legwork.alert_rule_list.channels is 'How many channels the rule has of its own; null for those that hold for all.';
comment on column legwork.alert_rule_list.is_enabled is E'@notNull\nWhether anybody looks.';
comment on column legwork.alert_rule_list.changed_by is E'@notNull\nThe database role that changed it last.';
comment on column legwork.alert_rule_list.changed_at is E'@notNull\nWhen.';

create function legwork.tg_alert_rules__audit() returns trigger
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
  perform legwork.audit(case tg_op when 'DELETE' then 'drop_alert_rule' else 'set_alert_rule' end, 'alert_rule', coalesce(new.name, old.name),
    jsonb_strip_nulls(v_before), jsonb_strip_nulls(v_after));
  return null;
end $$;
comment on function legwork.tg_alert_rules__audit() is 'Trigger that adds a line to the audit log for each alert rule that is made, changed or dropped; without its channels.';
revoke execute on function legwork.tg_alert_rules__audit() from public;
create trigger _legwork_audit after insert or update or delete on legwork.alert_rules
  for each row execute function legwork.tg_alert_rules__audit();

-- Through a server it is whoever asks it.
alter table legwork.alert_silences alter column silenced_by set default legwork.who();
create trigger _legwork_audit after insert or delete on legwork.alert_silences
  for each row execute function legwork.tg_audit__change('silence', 'id', 'silence_alerts', 'end_silence', 'drop_silence');
create trigger _legwork_audit_change after update on legwork.alert_silences
  for each row when (old.* is distinct from new.*) execute function legwork.tg_audit__change('silence', 'id', 'silence_alerts', 'end_silence', 'drop_silence');

create function legwork.tg_alert_records__audit() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork.audit('acknowledge_alert', 'alert', new.id::text, null,
    jsonb_strip_nulls(jsonb_build_object('rule', new.rule, 'target', new.target, 'acknowledged_by', new.acknowledged_by, 'note', new.note)));
  return null;
end $$;
comment on function legwork.tg_alert_records__audit() is 'Trigger that adds a line to the audit log when somebody looks after an alert.';
revoke execute on function legwork.tg_alert_records__audit() from public;
-- What the steps of legwork.watch() change is nobody's doing.
create trigger _legwork_audit after update of acknowledged_at on legwork.alert_records
  for each row when (new.acknowledged_at is distinct from old.acknowledged_at) execute function legwork.tg_alert_records__audit();
