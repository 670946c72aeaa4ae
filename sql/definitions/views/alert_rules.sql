-- The alert rules, for all readers.
--
-- Webhook URLs are secrets, so this view shows only the number of channels, and the audit log only that they have changed.
-- Locks: SHARE ROW EXCLUSIVE on alert_rules and alert_silences while their triggers are created.
create or replace view legwork.alert_rule_list with (security_barrier) as
select
  r.name, r.kind, r.target, r.warning, r.critical, r.period, r.at_least, r.raise_after, r.resolve_after,
  jsonb_array_length(r.channels) as channels, r.is_enabled, r.changed_by, r.changed_at
from legwork_private.alert_rules r
where (select legwork_private.confined_tenant() is null);
comment on view legwork.alert_rule_list is 'The rules that raise alerts. Change them with set_alert_rule and drop_alert_rule.';
comment on column legwork.alert_rule_list.name is E'@notNull\nThe rule''s name.';
comment on column legwork.alert_rule_list.kind is E'@notNull\nWhat the rule measures; see docs/guides/alerts.md.';
comment on column legwork.alert_rule_list.target is 'The one task, queue, schedule, check or host that the rule applies to; null for each of them separately.';
comment on column legwork.alert_rule_list.warning is 'The alert is a warning at this value and above; null for never.';
comment on column legwork.alert_rule_list.critical is 'The alert is critical at this value and above; null for never.';
comment on column legwork.alert_rule_list.period is E'@notNull\nHow far back the rule looks for rates and running times.';
comment on column legwork.alert_rule_list.at_least is E'@notNull\nThe minimum number of attempts in that period.';
comment on column legwork.alert_rule_list.raise_after is E'@notNull\nHow long the value must stay too large before the alert is raised.';
comment on column legwork.alert_rule_list.resolve_after is E'@notNull\nHow long the value must stay normal before the alert is resolved.';
comment on column legwork.alert_rule_list.channels is 'The number of the rule''s own channels; null if it uses the default channels.';
comment on column legwork.alert_rule_list.is_enabled is E'@notNull\nWhether the rule is evaluated.';
comment on column legwork.alert_rule_list.changed_by is E'@notNull\nThe database role that last changed the rule.';
comment on column legwork.alert_rule_list.changed_at is E'@notNull\nWhen the rule was last changed.';
