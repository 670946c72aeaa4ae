create or replace view legwork_private.all_alerts as
select
  a.id, a.rule, a.kind, a.target, case when a.resolved_at is not null then 'resolved' when a.acknowledged_at is not null then 'acknowledged' else 'open' end as state,
  a.severity, a.message, a.value, a.threshold, a.raised_at, a.critical_at, a.clear_since, a.resolved_at, a.acknowledged_at, a.acknowledged_by, a.note,
  -- As legwork_private.is_silenced, whose rights would be those of the role that reads.
  a.resolved_at is null and exists (
    select from legwork_private.alert_silences s
    where s.until > now() and coalesce(s.rule = a.rule, true) and coalesce(s.target = a.target, true)) as silenced, a.jobs
from legwork_private.alert_records a;
comment on view legwork_private.all_alerts is 'The rows of every tenant, for the functions and views of Legwork. Read legwork.alerts.';
comment on column legwork_private.all_alerts.id is E'@notNull\nNames the alert.';
comment on column legwork_private.all_alerts.rule is E'@notNull\nThe rule that raised it.';
comment on column legwork_private.all_alerts.kind is E'@notNull\nWhat the rule looks at.';
comment on column legwork_private.all_alerts.target is E'@notNull\nWhat it is about: a task, a queue, a host; system for the whole.';
comment on column legwork_private.all_alerts.state is E'@notNull\nopen, acknowledged or resolved.';
comment on column legwork_private.all_alerts.severity is E'@notNull\nThe worst it has been: warning or critical.';
comment on column legwork_private.all_alerts.message is E'@notNull\nWhat is wrong, in a sentence.';
comment on column legwork_private.all_alerts.value is E'@notNull\nThe value that was too large, when it was last looked at and was.';
comment on column legwork_private.all_alerts.threshold is E'@notNull\nFrom which value on it counts.';
comment on column legwork_private.all_alerts.raised_at is E'@notNull\nWhen it was raised.';
comment on column legwork_private.all_alerts.critical_at is 'When it became critical; null when it never was.';
comment on column legwork_private.all_alerts.clear_since is 'Since when it has been well again; it is resolved when that has lasted.';
comment on column legwork_private.all_alerts.resolved_at is 'When it was resolved; null before that.';
comment on column legwork_private.all_alerts.acknowledged_at is 'When somebody said that he has seen it.';
comment on column legwork_private.all_alerts.acknowledged_by is 'Who.';
comment on column legwork_private.all_alerts.note is 'What he said.';
comment on column legwork_private.all_alerts.silenced is E'@notNull\nWhether it is open and nobody is told of it now.';
comment on column legwork_private.all_alerts.jobs is E'@notNull\nThe jobs that told somebody of it.';

-- Alerts are about the whole system and may name what belongs to any tenant.
create or replace view legwork.alerts with (security_barrier) as
select * from legwork_private.all_alerts where (select legwork_private.confined_tenant() is null);
select legwork_private.copy_comments('legwork_private.all_alerts', 'legwork.alerts');
comment on view legwork.alerts is 'Every alert, open and resolved, kept for 400 days. Order by id, newest last.';
