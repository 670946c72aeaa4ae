-- What a Legwork worker says about the jobs that its statement completes or fails; see src/worker/graphile/outcomes.ts. Times are on the
-- database's clock. Completions come as arrays, because they are many and arrays are read four times as fast as JSON objects; their times
-- as whole microseconds, which are read faster than fractions, after a moment that they share (itself since 1970), which leaves few digits.
-- What is taken from an array by its position needs no list of its own. Results are lines, of which an empty one stands for none: the JSON of
-- a result has no line ends, and so nothing in it must be marked and read back.
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
    -- Not to be taken apart: that would read the settings for each job.
    offset 0
  -- Lateral, so that Postgres cannot begin with the list, and read the settings again for each of its elements.
  ) as a, lateral rows from (unnest(a.ids), string_to_table(a.results, E'\n', '')) with ordinality as o (id, result, place)
  -- As a whole: what sorts or hashes these rows would else copy both arrays for each of them.
  offset 0
$$;
comment on function legwork_private.reported_completions() is
  'What the worker on this connection tells of the jobs it is completing. No rows on any other connection.';

create or replace function legwork_private.reported_failures()
returns table (
  id bigint, started_at timestamptz, finished_at timestamptz, error_name text, error_stack text, error_code text, labels text[],
  decision text, retry_at timestamptz, failed_entries integer[], entry_results text
)
language sql stable
as $$
  select o.id, legwork_private.time_from_ms(o.started), legwork_private.time_from_ms(o.finished), o.name, o.stack, o.code, o.labels, o.decision,
    legwork_private.time_from_ms(o.retry), o.failed_entries, o.entry_results
  from json_to_recordset(nullif(current_setting('legwork.failures', true), '')::json)
    as o (id bigint, started float8, finished float8, name text, stack text, code text, labels text[], decision text, retry float8,
      failed_entries integer[], entry_results text)
$$;
comment on function legwork_private.reported_failures() is
  'What the worker on this connection tells of the attempts it is failing. labels: names, codes and classes of the error and of what caused it. '
  'decision: discard, when another attempt is pointless; put_back, when this was none; wait, when it waits for what its steps say; null otherwise. retry_at: when the task wants the '
  'next one. failed_entries and entry_results: of a batch job, as legwork_private.keep_entries takes them. No rows on any other connection.';

create or replace function legwork_private.fingerprint(task text, error_name text, error_message text) returns text
language sql immutable parallel safe
return left(md5(concat_ws(' ', task, error_name,
  -- What differs between two failures of one kind: quoted values, addresses, ids, numbers.
  regexp_replace(regexp_replace(left(error_message, 500), '"[^"]*"|''[^'']*''|`[^`]*`|\S+@\S+', '?', 'g'),
    '[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|0x[0-9a-fA-F]+|\m[0-9a-fA-F]{12,}\M|\d+', '#', 'g'))), 12);
comment on function legwork_private.fingerprint(text, text, text) is
  'The same twelve characters for failures of one task that differ only in quoted values, e-mail addresses, ids and numbers.';

create or replace function legwork_private.wake_workers(jobs integer) returns void
language sql volatile
return pg_notify('jobs:insert', json_build_object('r', random()::text, 'count', jobs)::text);
comment on function legwork_private.wake_workers(integer) is
  'Tells every worker, with the commit, that this many jobs can be fetched, as add_job does it.';

create or replace function legwork_private.true_attempt(job_id bigint, attempts smallint, max_attempts smallint, updated_at timestamptz, locked_at timestamptz) returns smallint
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  -- A key that is used again, or remove_job, takes all attempts from a job that runs. Only that touches updated_at.
  if attempts >= max_attempts and updated_at > locked_at then
    return coalesce((
      select case when f.retry_at is null then 1 else f.attempt + 1 end from legwork_private.failed_attempts f
      where f.job_id = true_attempt.job_id order by f.failed_at desc limit 1), 1);
  end if;
  return attempts;
end $$;
comment on function legwork_private.true_attempt(bigint, smallint, smallint, timestamptz, timestamptz) is
  'Which attempt of a job runs, counted from 1, also when the job was replaced or removed meanwhile: graphile-worker then says that it is the last one.';
