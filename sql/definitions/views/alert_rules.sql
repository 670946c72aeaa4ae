-- Who changed an alert rule, silenced alerts or looks after one is in the audit log; and the rules are to be read by whoever reads.
--
-- Addresses of webhooks are secrets: neither the audit log nor the view has any channel, only how many there are and that they have changed.
-- Locks: SHARE ROW EXCLUSIVE on alert_rules and alert_silences while their triggers are made.
create or replace view legwork.alert_rule_list with (security_barrier) as
select
  r.name, r.kind, r.target, r.warning, r.critical, r.period, r.at_least, r.raise_after, r.resolve_after,
  jsonb_array_length(r.channels) as channels, r.is_enabled, r.changed_by, r.changed_at
from legwork_private.alert_rules r
where (select legwork_private.confined_tenant() is null);
comment on view legwork.alert_rule_list is 'The rules that raise alerts, by name. Change them with set_alert_rule and drop_alert_rule.';
comment on column legwork.alert_rule_list.name is E'@notNull\nNames the rule.';
comment on column legwork.alert_rule_list.kind is E'@notNull\nWhat is looked at; see docs/guides/alerts.md.';
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
