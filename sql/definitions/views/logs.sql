-- A view that has few rows, or that is queried by job, is one view for all sessions: its condition restricts the tenant, and it has
-- security_barrier. A new view of tenants' rows should follow this pattern, or that of legwork.jobs if it may have a million rows. The
-- sub-selects run once per query.
create or replace view legwork.logs with (security_barrier) as
select l.id, l.job_id, l.attempt, l.logged_at, l.level, l.message, l.fields, l.tenant from legwork_private.job_logs l where (select legwork_private.confined_tenant()) is null or l.tenant = (select legwork_private.confined_tenant());
comment on view legwork.logs is 'All log lines of tasks, at level info and above. Look up by job_id, order by id.';
comment on column legwork.logs.id is E'@notNull\nAscending within a job in the order in which its lines were logged.';
comment on column legwork.logs.job_id is E'@notNull\nThe job.';
comment on column legwork.logs.attempt is E'@notNull\nThe attempt that logged the line, counted from 1.';
comment on column legwork.logs.logged_at is E'@notNull\nWhen it was logged.';
comment on column legwork.logs.level is E'@notNull\ninfo, warn, error or fatal.';
comment on column legwork.logs.message is E'@notNull\nThe text. A truncated text says so at its end.';
comment on column legwork.logs.fields is 'The fields logged with the text; null if it has none.';
comment on column legwork.logs.tenant is 'The job''s tenant.';

