-- Output of a job while it runs: progress and log lines, stored for the job.
--
-- Why separate tables: a line must be visible while the attempt runs, so it cannot be part of the statement that ends it.
-- A worker sends the lines and progress of all its jobs in one statement, a few times a second, and only if there are any.
-- Locks: none on existing tables.

comment on table legwork_private.job_progress is 'The progress of jobs, as reported by their tasks: one row per job that has reported any.';
comment on column legwork_private.job_progress.job_id is 'The job.';
comment on column legwork_private.job_progress.attempt is 'The attempt that reported it, counted from 1.';
comment on column legwork_private.job_progress.percent is 'The completed part, 0 to 100. Null if the task gave only a message.';
comment on column legwork_private.job_progress.message is 'The task''s message. Null if the task gave only a percentage.';
comment on column legwork_private.job_progress.updated_at is 'When the task reported it.';
comment on table legwork_private.job_logs is 'The log lines of tasks, partitioned by time. They are deleted with the history.';
comment on column legwork_private.job_logs.id is 'Increases within a job in the order in which its lines were logged.';
comment on column legwork_private.job_logs.job_id is 'The job.';
comment on column legwork_private.job_logs.attempt is 'The attempt that logged the line, counted from 1.';
comment on column legwork_private.job_logs.logged_at is 'When it was logged.';
comment on column legwork_private.job_logs.level is 'info, warn, error or fatal.';
comment on column legwork_private.job_logs.message is 'The text, at most 4,000 characters. If it was truncated, its end says so.';
comment on column legwork_private.job_logs.fields is 'Fields logged with the text. Null if it has none. More than 4 KB is replaced by {"legwork:cut": {"bytes", "start"}}.';
comment on column legwork_private.job_logs.tenant is 'The tenant that the job belongs to.';

create or replace function legwork_private.record_output(progress jsonb, logs jsonb) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  insert into legwork_private.job_progress as p (job_id, attempt, percent, message, updated_at)
  -- Values that a real cannot hold, or that are not percentages, become the nearest valid value, because this statement also stores the output of
  -- other jobs.
  select r.job_id, least(greatest(r.attempt, 0), 32767), case when r.percent is not null then round(least(greatest(r.percent, 0), 100), 6)::real end, r.message, legwork_private.time_from_ms(r.at)
  from jsonb_to_recordset(record_output.progress) as r (job_id bigint, attempt numeric, percent numeric, message text, at float8)
  -- Always in the same order, so that workers queue up instead of deadlocking.
  order by r.job_id
  on conflict (job_id) do update set
    attempt = excluded.attempt, percent = excluded.percent, message = excluded.message, updated_at = excluded.updated_at
  -- A worker that has lost the job and sends its output late does not overwrite the next worker's progress.
  where p.updated_at <= excluded.updated_at;
  insert into legwork_private.job_logs (job_id, attempt, logged_at, level, message, fields, tenant)
  select l.job_id, least(greatest(l.attempt, 0), 32767), legwork_private.time_from_ms(l.at), coalesce(l.level, 'info'), coalesce(l.message, ''), l.fields, left(l.tenant, 256)
  from rows from (jsonb_to_recordset(record_output.logs) as (
    job_id bigint, attempt numeric, at float8, level text, message text, fields jsonb, tenant text)) with ordinality
    as l (job_id, attempt, at, level, message, fields, tenant, n)
  order by l.n;
end;
comment on function legwork_private.record_output(jsonb, jsonb) is
  'Stores the output of a worker''s jobs: progress as [{job_id, attempt, percent, message, at}], one per job, and log lines in their '
  'order as [{job_id, attempt, at, level, message, fields, tenant}]. Times are milliseconds since 1970 on the database''s clock.';
revoke execute on function legwork_private.record_output(jsonb, jsonb) from public;

create or replace function legwork_private.trim_logs(attempts jsonb, head integer, tail integer) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  with lines as (
    select l.id, l.job_id, t.missing, row_number() over w as n, count(*) over (partition by l.job_id, l.attempt) as lines
    from jsonb_to_recordset(trim_logs.attempts) as t (job_id bigint, attempt integer, missing bigint)
    join legwork_private.job_logs l on l.job_id = t.job_id and l.attempt = t.attempt
    window w as (partition by l.job_id, l.attempt order by l.id)
  ), deleted as (
    delete from legwork_private.job_logs l using lines x
    where l.job_id = x.job_id and l.id = x.id and x.n > trim_logs.head + 1 and x.n <= x.lines - trim_logs.tail
  )
  -- The line after the first ones that are kept is replaced by the note, so that the note is between them and the last ones.
  update legwork_private.job_logs l set
    level = 'warn', message = format('… %s in between %s not kept.', legwork_private.counted(x.missing, 'line'), case x.missing when 1 then 'was' else 'were' end),
    fields = jsonb_build_object('legwork:cut', jsonb_build_object('lines', x.missing))
  from lines x where l.job_id = x.job_id and l.id = x.id and x.n = trim_logs.head + 1 and x.lines > trim_logs.head + trim_logs.tail;
$$;
comment on function legwork_private.trim_logs(jsonb, integer, integer) is
  'Shortens the logs of attempts that have too many lines, given as [{job_id, attempt, missing}]: keeps the first and the last lines, with a line between them that says how many are missing. Safe to repeat.';
revoke execute on function legwork_private.trim_logs(jsonb, integer, integer) from public;
