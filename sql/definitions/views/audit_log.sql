create or replace view legwork.audit_log with (security_barrier) as
select e.id, e.occurred_at, e.actor, e.database_role, e.surface, e.operation, e.target_type, e.target, e.tenant, e.count, e.before, e.after
from legwork_private.audit_entries e
where (select legwork_private.has_role('admin')) and ((select legwork_private.confined_tenant()) is null or e.tenant = (select legwork_private.confined_tenant()));
comment on view legwork.audit_log is 'Who changed which job, queue, task, schedule or token, with the values before and after. Order by id: newest last.';
comment on column legwork.audit_log.id is E'@notNull\nAscending in the order of the operations.';
comment on column legwork.audit_log.occurred_at is E'@notNull\nWhen the operation was performed.';
comment on column legwork.audit_log.actor is 'The user or token on whose behalf it was performed, as named by the login: the server names the token''s subject. Null if the login named no actor.';
comment on column legwork.audit_log.database_role is E'@notNull\nThe login that performed it.';
comment on column legwork.audit_log.surface is E'@notNull\nThe surface: sql, cli, rest, graphql, dashboard or worker.';
comment on column legwork.audit_log.operation is E'@notNull\nThe operation: cancel_job, pause, limit, create_token …';
comment on column legwork.audit_log.target_type is E'@notNull\nThe kind of object: job, jobs, queue, task, all, schedule, workflow, alert_rule, silence, alert, token, login or setting.';
comment on column legwork.audit_log.target is 'The object''s id or name; null for an operation on many objects.';
comment on column legwork.audit_log.tenant is 'The tenant for which the login acted. If it acted for no tenant, the object''s tenant. Null if the object has no tenant either.';
comment on column legwork.audit_log.count is 'The number of objects, for an operation on many; null for one object.';
comment on column legwork.audit_log.before is 'The values before; null if the object did not exist.';
comment on column legwork.audit_log.after is 'The values after; null if the object no longer exists.';

create or replace view legwork_private.all_audit_log as
select e.id, e.occurred_at, e.actor, e.database_role, e.surface, e.operation, e.target_type, e.target, e.tenant, e.count, e.before, e.after
from legwork_private.audit_entries e;
select legwork_private.copy_comments('legwork.audit_log', 'legwork_private.all_audit_log');
comment on view legwork_private.all_audit_log is 'The rows of all tenants, for Legwork''s own functions and views. Users read legwork.audit_log.';

-- Views for the server's pages. Each has a single predicate and no security_barrier, so that the first fifty rows come from the index. The
-- server's search path decides which view it reads.
create or replace view legwork_private.audit_log_page as
select * from legwork_private.all_audit_log where (select legwork_private.confined_tenant() is null);
select legwork_private.copy_comments('legwork.audit_log', 'legwork_private.audit_log_page');

-- Shows nothing to a confined login, regardless of its grants and settings.
create or replace view legwork_confined.audit_log_page as
select * from legwork_private.all_audit_log
where tenant = legwork_private.confined_to()
  and (select not exists (select from legwork_private.confined_logins c where c.login = session_user));
select legwork_private.copy_comments('legwork.audit_log', 'legwork_confined.audit_log_page');
