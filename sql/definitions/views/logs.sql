-- Few rows, or looked up by job: one view for all, confined by a condition of its own, with security_barrier. Whoever adds a view of what
-- belongs to tenants does the same, or as above where there may be a million rows. Sub-selects, because they are asked once a query.
create or replace view legwork.logs with (security_barrier) as
select l.id, l.job_id, l.attempt, l.logged_at, l.level, l.message, l.fields, l.tenant from legwork_private.job_logs l where (select legwork_private.confined_tenant()) is null or l.tenant = (select legwork_private.confined_tenant());
comment on view legwork.logs is 'Every line that a task has logged, at level info and above. Look up by job_id, order by id.';
comment on column legwork.logs.id is E'@notNull\nGrows within a job in the order in which its lines were logged.';
comment on column legwork.logs.job_id is E'@notNull\nThe job.';
comment on column legwork.logs.attempt is E'@notNull\nThe attempt that logged the line, counted from 1.';
comment on column legwork.logs.logged_at is E'@notNull\nWhen it was logged.';
comment on column legwork.logs.level is E'@notNull\ninfo, warn, error or fatal.';
comment on column legwork.logs.message is E'@notNull\nThe text; where it was cut, it ends by saying so.';
comment on column legwork.logs.fields is 'What was logged beside the text; null for nothing.';
comment on column legwork.logs.tenant is 'Whose job it is.';

