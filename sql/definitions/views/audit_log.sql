create or replace view legwork.audit_log with (security_barrier) as
select e.id, e.occurred_at, e.actor, e.database_role, e.surface, e.operation, e.target_type, e.target, e.tenant, e.count, e.before, e.after
from legwork_private.audit_entries e
where (select legwork_private.has_role('admin')) and ((select legwork_private.confined_tenant()) is null or e.tenant = (select legwork_private.confined_tenant()));
comment on view legwork.audit_log is 'Who did what to which job, queue, task, schedule or token, and what it was before and afterwards. Order by id: newest last.';
comment on column legwork.audit_log.id is E'@notNull\nGrows in the order in which things were done.';
comment on column legwork.audit_log.occurred_at is E'@notNull\nWhen.';
comment on column legwork.audit_log.actor is 'For whom, in the words of the login that did it: the server names the token''s subject. Null when it named nobody.';
comment on column legwork.audit_log.database_role is E'@notNull\nThe login that did it.';
comment on column legwork.audit_log.surface is E'@notNull\nBy which way: sql, cli, rest, graphql, dashboard or worker.';
comment on column legwork.audit_log.operation is E'@notNull\nWhat was done: cancel_job, pause, limit, create_token …';
comment on column legwork.audit_log.target_type is E'@notNull\nTo what: job, jobs, queue, task, all, schedule, workflow, alert_rule, silence, alert, token, login or setting.';
comment on column legwork.audit_log.target is 'Which one: its id or name; null for many.';
comment on column legwork.audit_log.tenant is 'The tenant that acted; when the login acted for none, whose it was. Null for nobody''s in particular.';
comment on column legwork.audit_log.count is 'To how many, for what is done to many; null for one.';
comment on column legwork.audit_log.before is 'What it was before; null when it was not there.';
comment on column legwork.audit_log.after is 'What it was afterwards; null when it was not there any more.';

create or replace view legwork_private.all_audit_log as
select e.id, e.occurred_at, e.actor, e.database_role, e.surface, e.operation, e.target_type, e.target, e.tenant, e.count, e.before, e.after
from legwork_private.audit_entries e;
select legwork_private.copy_comments('legwork.audit_log', 'legwork_private.all_audit_log');
comment on view legwork_private.all_audit_log is 'The rows of every tenant, for the functions and views of Legwork. Read legwork.audit_log.';

-- For the server's pages: one predicate each and no barrier, so that the first fifty rows come from the index. Its search path decides which one it reads.
create or replace view legwork_private.audit_log_page as
select * from legwork_private.all_audit_log where (select legwork_private.confined_tenant() is null);
select legwork_private.copy_comments('legwork.audit_log', 'legwork_private.audit_log_page');

-- A login that is confined itself sees nothing here, whatever it was granted and whatever it sets.
create or replace view legwork_confined.audit_log_page as
select * from legwork_private.all_audit_log
where tenant = legwork_private.confined_to()
  and (select not exists (select from legwork_private.confined_logins c where c.login = session_user));
select legwork_private.copy_comments('legwork.audit_log', 'legwork_confined.audit_log_page');
