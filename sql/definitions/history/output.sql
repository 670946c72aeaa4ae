-- What a job says while it runs: progress and log lines, kept with it.
--
-- Why tables of their own: a line must be seen while the attempt runs, so it cannot ride along with the statement that ends it.
-- A worker sends the lines and progress of all its jobs as one statement, a few times a second, and only while there are any.
-- Locks: none but those on what is made here.

comment on table legwork_private.job_progress is 'How far a job is, in its task''s own words; one row per job whose task has said so.';
comment on column legwork_private.job_progress.job_id is 'The job.';
comment on column legwork_private.job_progress.attempt is 'The attempt that said it, counted from 1.';
comment on column legwork_private.job_progress.percent is 'How much is done, 0 to 100; null when the task gave only a message.';
comment on column legwork_private.job_progress.message is 'What it is doing; null when the task gave only a percentage.';
comment on column legwork_private.job_progress.updated_at is 'When the task said it.';
comment on table legwork_private.job_logs is 'The lines that tasks have logged, in partitions by time; they are dropped with the history.';
comment on column legwork_private.job_logs.id is 'Grows within a job in the order in which its lines were logged.';
comment on column legwork_private.job_logs.job_id is 'The job.';
comment on column legwork_private.job_logs.attempt is 'The attempt that logged the line, counted from 1.';
comment on column legwork_private.job_logs.logged_at is 'When it was logged.';
comment on column legwork_private.job_logs.level is 'info, warn, error or fatal.';
comment on column legwork_private.job_logs.message is 'The text, 4,000 characters at most; where it was cut, it ends by saying so.';
comment on column legwork_private.job_logs.fields is 'What was logged beside the text; null for nothing. More than 4 KB is replaced by {"legwork:cut": {"bytes", "start"}}.';
comment on column legwork_private.job_logs.tenant is 'Whose job it is.';

create or replace function legwork_private.record_output(progress jsonb, logs jsonb) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  insert into legwork_private.job_progress as p (job_id, attempt, percent, message, updated_at)
  -- What no real holds, and what is no percentage, becomes the nearest one: what other jobs have said is in this statement too.
  select r.job_id, least(greatest(r.attempt, 0), 32767), case when r.percent is not null then round(least(greatest(r.percent, 0), 100), 6)::real end, r.message, legwork_private.time_from_ms(r.at)
  from jsonb_to_recordset(record_output.progress) as r (job_id bigint, attempt numeric, percent numeric, message text, at float8)
  -- In one order everywhere, so that two workers wait for each other and do not deadlock.
  order by r.job_id
  on conflict (job_id) do update set
    attempt = excluded.attempt, percent = excluded.percent, message = excluded.message, updated_at = excluded.updated_at
  -- A worker that lost the job, and was slow to send, does not overwrite what the next one says.
  where p.updated_at <= excluded.updated_at;
  insert into legwork_private.job_logs (job_id, attempt, logged_at, level, message, fields, tenant)
  select l.job_id, least(greatest(l.attempt, 0), 32767), legwork_private.time_from_ms(l.at), coalesce(l.level, 'info'), coalesce(l.message, ''), l.fields, left(l.tenant, 256)
  from rows from (jsonb_to_recordset(record_output.logs) as (
    job_id bigint, attempt numeric, at float8, level text, message text, fields jsonb, tenant text)) with ordinality
    as l (job_id, attempt, at, level, message, fields, tenant, n)
  order by l.n;
end;
comment on function legwork_private.record_output(jsonb, jsonb) is
  'Keeps what the jobs of a worker have said: progress as [{job_id, attempt, percent, message, at}], one per job, and log lines in their '
  'order as [{job_id, attempt, at, level, message, fields, tenant}]. Times are milliseconds since 1970 on the database''s clock.';
revoke execute on function legwork_private.record_output(jsonb, jsonb) from public;
