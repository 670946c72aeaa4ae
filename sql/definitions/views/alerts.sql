create or replace view legwork_private.all_alerts as
select
  a.id, a.rule, a.kind, a.target, case when a.resolved_at is not null then 'resolved' when a.acknowledged_at is not null then 'acknowledged' else 'open' end as state,
  a.severity, a.message, a.value, a.threshold, a.raised_at, a.critical_at, a.clear_since, a.resolved_at, a.acknowledged_at, a.acknowledged_by, a.note,
  -- Repeats legwork_private.is_silenced, which would run with the reading role's rights.
  a.resolved_at is null and exists (
    select from legwork_private.alert_silences s
    where s.until > now() and coalesce(s.rule = a.rule, true) and coalesce(s.target = a.target, true)) as silenced, a.jobs
from legwork_private.alert_records a;
comment on view legwork_private.all_alerts is 'The rows of all tenants, for Legwork''s own functions and views. Users read legwork.alerts.';
comment on column legwork_private.all_alerts.id is E'@notNull\nThe alert''s id.';
comment on column legwork_private.all_alerts.rule is E'@notNull\nThe rule that raised it.';
comment on column legwork_private.all_alerts.kind is E'@notNull\nWhat the rule measures.';
comment on column legwork_private.all_alerts.target is E'@notNull\nWhat the alert is about: a task, a queue, a host; system for the whole system.';
comment on column legwork_private.all_alerts.state is E'@notNull\nopen, acknowledged or resolved.';
comment on column legwork_private.all_alerts.severity is E'@notNull\nThe highest severity so far: warning or critical.';
comment on column legwork_private.all_alerts.message is E'@notNull\nThe problem, in a sentence.';
comment on column legwork_private.all_alerts.value is E'@notNull\nThe value at the last evaluation at which it was too large.';
comment on column legwork_private.all_alerts.threshold is E'@notNull\nThe threshold that the value reached.';
comment on column legwork_private.all_alerts.raised_at is E'@notNull\nWhen it was raised.';
comment on column legwork_private.all_alerts.critical_at is 'When it became critical; null if it never did.';
comment on column legwork_private.all_alerts.clear_since is 'When the value became normal. The alert is resolved once it has stayed normal for long enough.';
comment on column legwork_private.all_alerts.resolved_at is 'When it was resolved; null while it is open.';
comment on column legwork_private.all_alerts.acknowledged_at is 'When it was acknowledged.';
comment on column legwork_private.all_alerts.acknowledged_by is 'Who acknowledged it.';
comment on column legwork_private.all_alerts.note is 'The note that was given when it was acknowledged.';
comment on column legwork_private.all_alerts.silenced is E'@notNull\nWhether it is open and a silence keeps it from being sent.';
comment on column legwork_private.all_alerts.jobs is E'@notNull\nThe jobs that sent it.';

-- Alerts are about the whole system and may name objects of any tenant.
create or replace view legwork.alerts with (security_barrier) as
select * from legwork_private.all_alerts where (select legwork_private.confined_tenant() is null);
select legwork_private.copy_comments('legwork_private.all_alerts', 'legwork.alerts');
comment on view legwork.alerts is 'All alerts, open and resolved. Resolved alerts are kept for 400 days. Order by id: newest last.';
