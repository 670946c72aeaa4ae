-- Details that a Legwork worker reports about the jobs that its statement completes or fails; see src/worker/graphile/outcomes.ts. Times are on the
-- database's clock. Completions are passed as arrays, because there are many of them and Postgres reads arrays four times as fast as JSON objects.
-- Their times are whole microseconds, which are parsed faster than fractions. They are relative to a start time that all completions share (in
-- microseconds since 1970), so that they have few digits. Arrays that are indexed by position need not be unnested. Results are separated by line
-- breaks, and an empty line means that there is no result: the JSON of a result contains no line breaks, so nothing in it has to be escaped.
create or replace function legwork_private.reported_completions()
returns table (id bigint, started_at timestamptz, finished_at timestamptz, result jsonb)
language sql stable
as $$
  select o.id, to_timestamp((a.moment + a.started[o.place]) / 1000000), to_timestamp((a.moment + a.finished[o.place]) / 1000000), o.result::jsonb
  from (
    select coalesce(nullif(current_setting('legwork.completed_from', true), ''), '0')::float8 as moment,
      nullif(current_setting('legwork.completed_ids', true), '')::bigint[] as ids,
      nullif(current_setting('legwork.completed_starts', true), '')::bigint[] as started,
      nullif(current_setting('legwork.completed_ends', true), '')::bigint[] as finished,
      nullif(current_setting('legwork.completed_results', true), '') as results
    -- Keeps Postgres from inlining the subquery, which would read the settings for each job.
    offset 0
  -- Lateral, so that Postgres cannot start with the unnested list and read the settings again for each element.
  ) as a, lateral rows from (unnest(a.ids), string_to_table(a.results, E'\n', '')) with ordinality as o (id, result, place)
  -- Keeps Postgres from inlining this query: sorting or hashing its rows would otherwise copy both arrays for each row.
  offset 0
$$;
comment on function legwork_private.reported_completions() is
  'Results reported by the worker on this connection for the jobs that it is completing. Returns no rows on any other connection.';

create or replace function legwork_private.reported_failure(job_id bigint)
returns table (
  started_at timestamptz, finished_at timestamptz, error_name text, error_stack text, error_code text, labels text[],
  decision text, retry_at timestamptz, failed_entries integer[], entry_results text
)
language sql stable rows 1
as $$
  select legwork_private.time_from_ms(o.started), legwork_private.time_from_ms(o.finished), o.name, o.stack, o.code, o.labels, o.decision,
    legwork_private.time_from_ms(o.retry), o.failed_entries, o.entry_results
  -- A line for each job: its id and a JSON object. The trigger reads the line of one job at a time, so it must not parse those of all the others.
  from json_to_record(
    nullif(split_part(split_part(current_setting('legwork.failures', true), E'\n' || job_id || ' ', 2), E'\n', 1), '')::json)
    as o (started float8, finished float8, name text, stack text, code text, labels text[], decision text, retry float8,
      failed_entries integer[], entry_results text)
$$;
comment on function legwork_private.reported_failure(bigint) is
  'Details reported by the worker on this connection for an attempt that it is failing, or nulls. labels: names, codes and classes of the error and its causes. '
  'decision: discard, if another attempt is pointless; put_back, if this does not count as an attempt; wait, if the job''s steps have to wait; null otherwise. retry_at: when the task requests the '
  'next attempt. failed_entries and entry_results: for a batch job, as in legwork_private.keep_entries.';

create or replace function legwork_private.failure_report(job_id bigint, details json) returns text
language sql immutable parallel safe
return E'\n' || job_id || ' ' || details;
comment on function legwork_private.failure_report(bigint, json) is 'A line of the setting legwork.failures, from which legwork_private.reported_failure reads.';

create or replace function legwork_private.fingerprint(task text, error_name text, error_message text) returns text
language sql immutable parallel safe
return left(md5(concat_ws(' ', task, error_name,
  -- Parts that differ between two failures of the same kind: quoted values, addresses, ids, numbers.
  regexp_replace(regexp_replace(left(error_message, 500), '"[^"]*"|''[^'']*''|`[^`]*`|\S+@\S+', '?', 'g'),
    '[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|0x[0-9a-fA-F]+|\m[0-9a-fA-F]{12,}\M|\d+', '#', 'g'))), 12);
comment on function legwork_private.fingerprint(text, text, text) is
  'Twelve characters that are the same for failures of a task that differ only in quoted values, e-mail addresses, ids and numbers.';

create or replace function legwork_private.wake_workers(jobs integer) returns void
language sql volatile
return pg_notify('jobs:insert', json_build_object('r', random()::text, 'count', jobs)::text);
comment on function legwork_private.wake_workers(integer) is
  'Notifies every worker, when the transaction commits, that this many jobs can be fetched. add_job does the same.';

create or replace function legwork_private.true_attempt(job_id bigint, attempts smallint, max_attempts smallint, updated_at timestamptz, locked_at timestamptz) returns smallint
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  -- Reusing a running job's key, or calling remove_job for it, uses up all its attempts. Nothing else changes updated_at.
  if attempts >= max_attempts and updated_at > locked_at then
    return coalesce((
      select case when f.retry_at is null then 1 else f.attempt + 1 end from legwork_private.failed_attempts f
      where f.job_id = true_attempt.job_id order by f.failed_at desc limit 1), 1);
  end if;
  return attempts;
end $$;
comment on function legwork_private.true_attempt(bigint, smallint, smallint, timestamptz, timestamptz) is
  'The number of a job''s running attempt, counted from 1, even if the job was replaced or removed in the meantime. In that case, graphile-worker''s row says that it is the last attempt.';

create or replace function legwork_private.attempt_verdicts(job_ids bigint[], attempts integer[])
returns table (id bigint, state text, reason text, retry_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select i.id, f.state::text, f.error, a.retry_at
  from unnest(job_ids, attempts) as i (id, attempt)
  left join lateral (select x.state, x.error from legwork_private.finished_jobs x where x.id = i.id limit 1) f on true
  left join lateral (
    select x.retry_at from legwork_private.failed_attempts x
    where x.job_id = i.id and x.attempt = i.attempt order by x.failed_at desc limit 1) a on true
$$;
comment on function legwork_private.attempt_verdicts(bigint[], integer[]) is
  'What the database has decided about failed attempts, for the worker''s log: the state and the reason of jobs that have ended, or when the next attempt is due.';
revoke execute on function legwork_private.attempt_verdicts(bigint[], integer[]) from public;
