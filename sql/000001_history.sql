-- History: every job that ends and every attempt that fails is recorded by the database itself.
--
-- Why triggers: a job enqueued by raw SQL and run by a plain graphile-worker is recorded like any other, in the very
-- transaction that ends it; nothing has to be awaited and nothing can be forgotten.
-- Locks: SHARE ROW EXCLUSIVE on graphile_worker._private_jobs while the triggers are made (writers wait, for
-- milliseconds plus the copy of jobs that have already failed), and ACCESS EXCLUSIVE while its indexes change (as long as it takes to sort the jobs that wait).

create type legwork.job_state as enum (
  'scheduled', 'pending', 'blocked', 'paused', 'running', 'retrying', 'completed', 'failed', 'cancelled', 'expired'
);
comment on type legwork.job_state is
  'Where a job is. scheduled: its run_at is ahead. pending: may start now. blocked: waits for a dependency or a limit. '
  'paused: its queue or task is paused. running: a worker has it. retrying: failed before and waits for its next attempt. '
  'The ends: completed, failed (attempts used up; kept and can be retried), cancelled, expired.';

create table legwork.settings (
  name text primary key,
  value text not null,
  description text not null
);
comment on table legwork.settings is 'Settings that every process on this database shares. Change a value with an update; it holds from the next maintenance on.';
comment on column legwork.settings.name is 'What is set.';
comment on column legwork.settings.value is 'The value, as text.';
comment on column legwork.settings.description is 'What the setting means, its unit and its default.';
alter table legwork.settings enable row level security;

insert into legwork.settings (name, value, description) values
  ('history_retention', '30 days',
   'How long finished jobs and failed attempts are kept: an interval, 30 days by default. History is dropped by whole partitions, so rows live up to an eighth longer.');

create table legwork.task_definitions (
  name text primary key check (length(name) between 1 and 128 and name not in ('.', '..')),
  description text,
  queue text not null default 'default' check (length(queue) between 1 and 128 and queue not in ('.', '..')),
  payload_schema jsonb,
  result_schema jsonb,
  redact text[],
  registered_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on table legwork.task_definitions is 'What workers have told about the tasks they can run. Written by legwork.register_tasks.';
comment on column legwork.task_definitions.name is 'The task''s name: its file''s path below the tasks directory, without the extension.';
comment on column legwork.task_definitions.description is 'What the task does, in its author''s words.';
comment on column legwork.task_definitions.queue is 'The queue the task belongs to.';
comment on column legwork.task_definitions.payload_schema is 'JSON Schema of the payload; null when the task takes anything.';
comment on column legwork.task_definitions.result_schema is 'JSON Schema of the result; null when it is not described.';
comment on column legwork.task_definitions.redact is 'The paths in its payloads and results that nobody may read, such as cards.*.number; null for none. See legwork.redact.';
comment on column legwork.task_definitions.registered_at is 'When a worker first told of the task.';
comment on column legwork.task_definitions.updated_at is 'When a worker last told something new of the task.';
alter table legwork.task_definitions enable row level security;

create table legwork.finished_jobs (
  id bigint not null,
  task text not null,
  queue text not null,
  state legwork.job_state not null,
  priority smallint not null,
  attempts smallint not null,
  max_attempts smallint not null,
  payload json,
  result jsonb,
  error text,
  run_at timestamptz not null,
  created_at timestamptz not null,
  started_at timestamptz,
  finished_at timestamptz not null,
  worker text,
  job_key text,
  serial_key text,
  tenant text,
  correlation_id text,
  parent_id bigint,
  fingerprint text
) partition by range (finished_at);
comment on table legwork.finished_jobs is
  'One row per job that has ended, in partitions by the time it ended. A failed job also stays in graphile-worker''s table '
  'so that it can be retried; when it is, its row here goes and comes back with its next end.';
comment on column legwork.finished_jobs.id is 'The job''s id, as given by add_job.';
comment on column legwork.finished_jobs.task is 'The task that was to run.';
comment on column legwork.finished_jobs.queue is 'The queue the task belonged to when the job ended.';
comment on column legwork.finished_jobs.state is 'How it ended: completed, failed, cancelled or expired.';
comment on column legwork.finished_jobs.priority is 'Smaller runs first.';
comment on column legwork.finished_jobs.attempts is 'Attempts used; all of them for a job that graphile-worker''s permanently_fail_jobs has failed.';
comment on column legwork.finished_jobs.max_attempts is 'Attempts allowed.';
comment on column legwork.finished_jobs.payload is 'What the task was given.';
comment on column legwork.finished_jobs.result is 'What the task returned; null when it returned nothing or a worker without Legwork ran it.';
comment on column legwork.finished_jobs.error is 'Why it did not complete; null for one that did, whose failed attempts are in legwork.failed_attempts.';
comment on column legwork.finished_jobs.run_at is 'When it was allowed to start.';
comment on column legwork.finished_jobs.created_at is 'When it was enqueued.';
comment on column legwork.finished_jobs.started_at is 'When its last attempt started; null when it never ran. Exact from a Legwork worker, the time of fetching from any other.';
comment on column legwork.finished_jobs.finished_at is 'When it ended.';
comment on column legwork.finished_jobs.worker is 'The worker that ran the last attempt; null when no worker did.';
comment on column legwork.finished_jobs.job_key is 'The job''s key as it was given, if it had one.';
comment on column legwork.finished_jobs.serial_key is 'Jobs with the same serial key run one at a time (graphile-worker''s queue_name, so with the tenant before it: see legwork.tenant_key).';
comment on column legwork.finished_jobs.tenant is 'Whose job it was.';
comment on column legwork.finished_jobs.correlation_id is 'Shared by everything that came from one cause.';
comment on column legwork.finished_jobs.parent_id is 'The job that enqueued this one.';
comment on column legwork.finished_jobs.fingerprint is 'Of a failed job: the same for failures that look alike. See legwork.failed_groups.';
alter table legwork.finished_jobs enable row level security;

-- Two plain indexes a job, because each costs every job (2 µs of some 30); what only few rows have is indexed only for those
-- rows, which costs every batch of completions some 40 µs an index. No entry comes twice, so none are looked for.
create index finished_jobs_id on legwork.finished_jobs (id) with (deduplicate_items = off);
create index finished_jobs_task_id on legwork.finished_jobs (task, id) with (deduplicate_items = off);
create index finished_jobs_state_id on legwork.finished_jobs (state, id) with (deduplicate_items = off) where state <> 'completed';
create index finished_jobs_tenant_id on legwork.finished_jobs (tenant, id) with (deduplicate_items = off) where tenant is not null;
create index finished_jobs_correlation_id on legwork.finished_jobs (correlation_id, id) with (deduplicate_items = off) where correlation_id is not null;
create index finished_jobs_job_key_id on legwork.finished_jobs (job_key, id) with (deduplicate_items = off) where job_key is not null;
create index finished_jobs_queue_id on legwork.finished_jobs (queue, id) with (deduplicate_items = off) where queue <> 'default';
create table legwork.finished_jobs_default partition of legwork.finished_jobs default;
alter table legwork.finished_jobs_default enable row level security;
-- No row has a key. Known as a whole, rows may be deleted and changed while a publication covers all tables. It costs nothing unless wal_level is logical.
alter table legwork.finished_jobs replica identity full;
alter table legwork.finished_jobs_default replica identity full;

create table legwork.failed_attempts (
  job_id bigint not null,
  attempt smallint not null,
  task text not null,
  queue text not null,
  error_name text,
  error_message text,
  error_stack text,
  error_code text,
  started_at timestamptz,
  failed_at timestamptz not null,
  retry_at timestamptz,
  worker text,
  tenant text,
  correlation_id text
) partition by range (failed_at);
comment on table legwork.failed_attempts is 'One row per attempt that did not complete its job, in partitions by the time it failed.';
comment on column legwork.failed_attempts.job_id is 'The job.';
comment on column legwork.failed_attempts.attempt is 'Which attempt, counted from 1.';
comment on column legwork.failed_attempts.task is 'The task that ran.';
comment on column legwork.failed_attempts.queue is 'The queue of the task.';
comment on column legwork.failed_attempts.error_name is 'The error''s class, such as TypeError; WorkerLost when its worker died; null from a worker without Legwork.';
comment on column legwork.failed_attempts.error_message is 'The error''s message.';
comment on column legwork.failed_attempts.error_stack is 'Where it was thrown; null from a worker without Legwork.';
comment on column legwork.failed_attempts.error_code is 'The error''s code, such as ECONNREFUSED or a SQLSTATE.';
comment on column legwork.failed_attempts.started_at is 'When the attempt started.';
comment on column legwork.failed_attempts.failed_at is 'When it failed.';
comment on column legwork.failed_attempts.retry_at is 'When the next attempt was due; null after the last one.';
comment on column legwork.failed_attempts.worker is 'The worker that ran it.';
comment on column legwork.failed_attempts.tenant is 'Whose job it was.';
comment on column legwork.failed_attempts.correlation_id is 'Shared by everything that came from one cause.';
alter table legwork.failed_attempts enable row level security;
create index failed_attempts_job_id on legwork.failed_attempts (job_id, attempt);
create index failed_attempts_task on legwork.failed_attempts (task, failed_at);
create table legwork.failed_attempts_default partition of legwork.failed_attempts default;
alter table legwork.failed_attempts_default enable row level security;
alter table legwork.failed_attempts replica identity full;
alter table legwork.failed_attempts_default replica identity full;

-- A job's context travels in graphile-worker's flags, as keys such as tenant:acme: no row of its own, no join, and gone
-- with the request when a keyed job is replaced.
create function legwork.flag_value(flags jsonb, name text) returns text
-- strict: so that an index of rows that have flags serves a question about the value. One expression of Postgres's own strict functions: so that it is
-- put in its place wherever it is called; else whatever writes a row that has flags would read this body anew for every index.
language sql immutable parallel safe strict
-- Cut, because what is too long for an index would keep the job from ending.
return left(substr(
  jsonb_path_query_first(flags, '$.keyvalue().key ? (@ starts with $start)', ('{"start": "' || name || ':"}')::jsonb, true) #>> '{}',
  length(name) + 2), 256);
comment on function legwork.flag_value(jsonb, text) is
  'What a job''s flags say of a name, 256 characters at most: the acme of tenant:acme. Null when they say nothing.';

-- Anybody may write a flag: one that is no job id must not stop the job from ending.
create function legwork.parent_of(flags jsonb) returns bigint
language sql immutable parallel safe
return case
  when legwork.flag_value(flags, 'parent') ~ '^\d{1,18}$'
    or legwork.flag_value(flags, 'parent') ~ '^\d{19}$' and legwork.flag_value(flags, 'parent') <= '9223372036854775807'
  then legwork.flag_value(flags, 'parent')::bigint end;
comment on function legwork.parent_of(jsonb) is 'The job that a job''s flags name as its parent: the 7 of parent:7. Null when they name none.';

create function legwork.expiry_of(flags jsonb) returns timestamptz
language sql immutable parallel safe
return case when legwork.flag_value(flags, 'expires') ~ '^\d{1,15}$' then
  to_timestamp(legwork.flag_value(flags, 'expires')::float8 / 1000) end;
comment on function legwork.expiry_of(jsonb) is
  'When a job''s flags say that it is too late to start it: expires:1767225600000, milliseconds since 1970. Null when they say nothing.';

-- Each tenant has job keys, serial keys and enqueue quotas of its own. graphile-worker knows one name for all, so Legwork puts the tenant before the key:
-- tenant~acme:import. In the tenant's name % and : are written %25 and %3A, so that no two pairs of tenant and key become one. A long name counts by its hash,
-- which is one character longer than any name that is written out. Keys of no tenant stay as they are, unless they look like one of a tenant.
create function legwork.key_prefix(tenant text) returns text
language sql immutable parallel safe
-- A tenant is known by its first 256 characters (legwork.flag_value).
return case
  when tenant is null then ''
  when length(replace(replace(left(tenant, 256), '%', '%25'), ':', '%3A')) <= 32
    then 'tenant~' || replace(replace(left(tenant, 256), '%', '%25'), ':', '%3A') || ':'
  else 'tenant~%' || md5(left(tenant, 256)) || ':'
end;
comment on function legwork.key_prefix(text) is
  'What stands before the keys of a tenant in graphile-worker''s tables: tenant~acme: for acme, 41 characters at most. Empty for no tenant.';

create function legwork.tenant_key(key text, tenant text) returns text
language sql immutable parallel safe
return case when tenant is null and starts_with(key, 'tenant~') then 'tenant~%:' else legwork.key_prefix(tenant) end || key;
comment on function legwork.tenant_key(text, text) is
  'A job key or serial key as graphile-worker''s tables have it, for its own functions: select graphile_worker.remove_job(legwork.tenant_key(''import'', ''acme'')). '
  'tenant: null for a job of no tenant.';

create function legwork.given_key(key text) returns text
-- One strict expression, as in legwork.flag_value: an index of it serves a question about the key.
language sql immutable parallel safe strict
return regexp_replace(key, '^tenant~[^:]*:', '');
comment on function legwork.given_key(text) is 'A job key or serial key as it was given, from the one in graphile-worker''s tables: the reverse of legwork.tenant_key.';

create function legwork.kept_key(key text, tenant text, field text default 'job_key') returns text
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_kept text := legwork.tenant_key(key, tenant);
  -- What graphile-worker takes.
  v_most integer := case field when 'serial_key' then 128 else 512 end - (length(v_kept) - length(key));
begin
  if length(key) > v_most then
    raise exception '% has % characters, and % are allowed.', field, length(key), v_most using
      errcode = 'LW400', hint = 'Use a shorter key, or a hash of it.' || case when tenant is not null then ' The name of the tenant counts too.' else '' end;
  elsif key = '' and field = 'job_key' then
    raise exception 'job_key is empty.' using errcode = 'LW400', hint = 'Leave it out for a job without a key.';
  end if;
  return v_kept;
end $$;
comment on function legwork.kept_key(text, text, text) is
  'The same as legwork.tenant_key, checked first: raises LW400, naming the field (job_key or serial_key), for a key that is longer than graphile-worker takes together with the tenant.';

-- What a Legwork worker says about the jobs that its statement completes or fails; see src/worker/outcomes.ts. Times are on the
-- database's clock. Completions come as arrays, because they are many and arrays are read four times as fast as JSON objects; their times
-- as whole microseconds, which are read faster than fractions, after a moment that they share (itself since 1970), which leaves few digits.
-- What is taken from an array by its position needs no list of its own. Results are lines, of which an empty one stands for none: the JSON of
-- a result has no line ends, and so nothing in it must be marked and read back.
create function legwork.reported_completions()
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
comment on function legwork.reported_completions() is
  'What the worker on this connection tells of the jobs it is completing. No rows on any other connection.';

create function legwork.reported_failures()
returns table (
  id bigint, started_at timestamptz, finished_at timestamptz, error_name text, error_stack text, error_code text, labels text[],
  decision text, retry_at timestamptz, failed_entries integer[], entry_results text
)
language sql stable
as $$
  select o.id, legwork.time_from_ms(o.started), legwork.time_from_ms(o.finished), o.name, o.stack, o.code, o.labels, o.decision,
    legwork.time_from_ms(o.retry), o.failed_entries, o.entry_results
  from json_to_recordset(nullif(current_setting('legwork.failures', true), '')::json)
    as o (id bigint, started float8, finished float8, name text, stack text, code text, labels text[], decision text, retry float8,
      failed_entries integer[], entry_results text)
$$;
comment on function legwork.reported_failures() is
  'What the worker on this connection tells of the attempts it is failing. labels: names, codes and classes of the error and of what caused it. '
  'decision: discard, when another attempt is pointless; put_back, when this was none; wait, when it waits for what its steps say; null otherwise. retry_at: when the task wants the '
  'next one. failed_entries and entry_results: of a batch job, as legwork.keep_entries takes them. No rows on any other connection.';

create function legwork.fingerprint(task text, error_name text, error_message text) returns text
language sql immutable parallel safe
return left(md5(concat_ws(' ', task, error_name,
  -- What differs between two failures of one kind: quoted values, addresses, ids, numbers.
  regexp_replace(regexp_replace(left(error_message, 500), '"[^"]*"|''[^'']*''|`[^`]*`|\S+@\S+', '?', 'g'),
    '[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|0x[0-9a-fA-F]+|\m[0-9a-fA-F]{12,}\M|\d+', '#', 'g'))), 12);
comment on function legwork.fingerprint(text, text, text) is
  'The same twelve characters for failures of one task that differ only in quoted values, e-mail addresses, ids and numbers.';

create function legwork.wake_workers(jobs integer) returns void
language sql volatile
return pg_notify('jobs:insert', json_build_object('r', random()::text, 'count', jobs)::text);
comment on function legwork.wake_workers(integer) is
  'Tells every worker, with the commit, that this many jobs can be fetched, as add_job does it.';

create function legwork.true_attempt(job_id bigint, attempts smallint, max_attempts smallint, updated_at timestamptz, locked_at timestamptz) returns smallint
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  -- A key that is used again, or remove_job, takes all attempts from a job that runs. Only that touches updated_at.
  if attempts >= max_attempts and updated_at > locked_at then
    return coalesce((
      select case when f.retry_at is null then 1 else f.attempt + 1 end from legwork.failed_attempts f
      where f.job_id = true_attempt.job_id order by f.failed_at desc limit 1), 1);
  end if;
  return attempts;
end $$;
comment on function legwork.true_attempt(bigint, smallint, smallint, timestamptz, timestamptz) is
  'Which attempt of a job runs, counted from 1, also when the job was replaced or removed meanwhile: graphile-worker then says that it is the last one.';

create function legwork.tg_jobs__record_finished() returns trigger
language plpgsql volatile security definer
-- Planning anew for each batch would take longer than the batch.
set search_path = pg_catalog, pg_temp set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  v_context text;
  v_unheld bigint;
  v_stale bigint;
  v_serial bigint;
  v_waiting bigint;
  v_first bigint;
  v_last bigint;
  v_has_entries boolean;
  -- How a job ended that no worker held: removed, unless somebody called it complete or says otherwise.
  v_end legwork.job_state := 'cancelled';
  v_ended_as text := nullif(current_setting('legwork.ended_as', true), '');
begin
  select count(*) filter (where g.locked_at is null), count(*) filter (where g.locked_at < now() - interval '4 hours'),
    count(g.job_queue_id), count(*) filter (where g.run_at = 'infinity'), min(g.id), max(g.id)
  into v_unheld, v_stale, v_serial, v_waiting, v_first, v_last
  from gone g;
  if v_first is null then
    return null;
  end if;
  v_has_entries := exists (select from legwork.job_entries);
  -- graphile-worker's own functions touch a job only when nobody holds it or its lock is older than four hours.
  if v_ended_as in ('cancelled', 'expired') then
    v_end := v_ended_as::legwork.job_state;
  elsif v_ended_as = 'dependency' then
    v_end := 'cancelled';
  elsif v_unheld > 0 or v_stale > 0 then
    get diagnostics v_context = pg_context;
    -- Lines of the call stack, in whatever language the server speaks: SQL function "complete_jobs" statement 1.
    if v_context ~ '(?n)^\S*SQL\S*( \S+)? ["«»„“]complete_jobs["«»“”]' then
      v_end := 'completed';
    elsif v_context !~ '(?n)^PL/pgSQL\S* .*\mremove_job\(text\)' and v_unheld = 0 then
      -- A plain worker that needed more than four hours.
      v_end := 'completed';
    end if;
  end if;
  if v_unheld > 0 or v_stale > 0 then
    -- A failed job is in the history already. It stays there as failed when it is thrown away, but not when it turns
    -- out to be done after all.
    delete from legwork.finished_jobs f
    using gone g
    where f.id = g.id and g.locked_at is null and g.attempts >= g.max_attempts
      and (v_end = 'completed' or exists (select from legwork.reported_completions() o where o.id = g.id));
  end if;

  if v_ended_as is distinct from 'recorded' then
    insert into legwork.finished_jobs (
      id, task, queue, state, priority, attempts, max_attempts, payload, result, error, run_at, created_at, started_at,
      finished_at, worker, job_key, serial_key, tenant, correlation_id, parent_id
    )
    select
      g.id, coalesce(t.identifier, 'task ' || g.task_id), coalesce(d.queue, 'default'),
      case when o.id is not null or g.locked_at >= now() - interval '4 hours' then 'completed' else v_end end,
      g.priority,
      case when g.attempts >= g.max_attempts and g.updated_at > g.locked_at
        then legwork.true_attempt(g.id, g.attempts, g.max_attempts, g.updated_at, g.locked_at) else g.attempts end,
      g.max_attempts,
      -- What must not be read never gets here. Most tasks have nothing of the kind and pay for a look at a null.
      case when v_has_entries and g.last_error is not null then legwork.redact(legwork.first_payload(g.id, g.payload), d.redact)
        when d.redact is null then g.payload else legwork.redact(g.payload, d.redact) end,
      case when v_has_entries and g.last_error is not null then legwork.redact(legwork.all_results(g.id, o.result), d.redact)
        when d.redact is null then o.result else legwork.redact(o.result, d.redact) end,
      -- What failed before it completed is among its attempts.
      case when o.id is not null or g.locked_at >= now() - interval '4 hours' or v_end = 'completed' then null
        when v_end = 'expired' and g.locked_at is null then
          'Expired: it had not started by ' || to_char(legwork.expiry_of(g.flags) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '.'
        when v_ended_as = 'dependency' then legwork.dependency_failure(g.id)
        when v_ended_as is not null and current_setting('legwork.end_reason', true) <> '' then current_setting('legwork.end_reason', true)
        when d.redact is null then g.last_error else legwork.redact_text(g.last_error, g.payload, d.redact) end,
      -- The waiting room has the true time of a job that waited there.
      case when g.run_at = 'infinity' then coalesce((select w.run_at from legwork.waiting_jobs w where w.job_id = g.id), g.run_at)
        else g.run_at end,
      g.created_at, coalesce(o.started_at, g.locked_at), coalesce(o.finished_at, clock_timestamp()), g.locked_by, legwork.given_key(g.key),
      case when g.job_queue_id is not null then
        (select q.queue_name from graphile_worker._private_job_queues q where q.id = g.job_queue_id)
      end,
      case when g.flags is not null then legwork.flag_value(g.flags, 'tenant') end,
      case when g.flags is not null then legwork.flag_value(g.flags, 'correlation') end,
      case when g.flags is not null then legwork.parent_of(g.flags) end
    -- A full join, which Postgres cannot do row by row: the plan is made once for a connection, and the one for a first batch of a single job would
    -- go through all that is reported for each of five hundred. What is reported and did not go is left out below, in words that do not make it
    -- a left join.
    from gone g
    full join legwork.reported_completions() o on o.id = g.id
    left join graphile_worker._private_tasks t on t.id = g.task_id
    left join legwork.task_definitions d on d.name = t.identifier
    where coalesce(g.id, 0) <> 0
      and (g.locked_at is not null or g.attempts < g.max_attempts or v_end = 'completed' or o.id is not null);
  end if;

  if v_waiting > 0 then
    delete from legwork.waiting_jobs w using gone g where w.job_id = g.id;
  end if;
  if v_has_entries then
    delete from legwork.job_entries e using gone g where e.job_id = g.id;
  end if;
  if exists (select from legwork.step_secrets) then
    delete from legwork.step_secrets x using gone g where x.job_id = g.id;
  end if;
  -- Where no job waits for another this is a look at an empty table; else one into an index for the whole batch.
  if (exists (select from legwork.dependencies) or current_setting('transaction_isolation') <> 'read committed')
    and legwork.has_dependants(v_first, v_last)
  then
    perform legwork.close_dependencies(array_agg(g.id),
      array_agg(case when o.id is not null and v_ended_as is distinct from 'recorded' or g.locked_at >= now() - interval '4 hours'
        then 'completed' else v_end end),
      v_ended_as is not distinct from 'dependency')
    from gone g
    full join legwork.reported_completions() o on o.id = g.id
    -- One that had failed has ended before, and is thrown away now.
    where coalesce(g.id, 0) <> 0 and (g.locked_at is not null or g.attempts < g.max_attempts or v_ended_as = 'recorded');
  end if;
  if exists (select from legwork.limits) then
    perform legwork.release_slots(array_agg(g.id), array_agg(o.started_at))
    from gone g
    full join legwork.reported_completions() o on o.id = g.id
    where coalesce(g.id, 0) <> 0 and g.task_id in (select r.task_id from legwork.task_rules r where r.limits <> '{}')
    having count(*) > 0;
  end if;

  -- The next job of a serial key may start now. A worker that fetches ahead has looked before this commits and found the key
  -- taken; without a word it would look again only after its poll interval.
  if v_serial > 0 then
    perform legwork.wake_workers(v_serial::integer);
  end if;
  return null;
end $$;
comment on function legwork.tg_jobs__record_finished() is
  'Writes what has just left graphile-worker''s job table into legwork.finished_jobs: completed by a worker or by complete_jobs, else cancelled. '
  'The setting legwork.ended_as says otherwise: cancelled or expired, with legwork.end_reason as the error; dependency, for cancelled because of one; or recorded.';

create function legwork.tg_jobs__record_change() returns trigger
language plpgsql volatile security definer
-- Planning anew for each batch would take longer than the batch. Always by index: a plan that was made while a table was empty would go on reading
-- all of it for each of a hundred thousand jobs.
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
declare
  v_attempt_ended boolean := old.locked_at is not null and new.locked_at is null and new.attempts >= old.attempts;
  v_had_failed boolean := old.locked_at is null and old.attempts >= old.max_attempts;
  v_has_failed boolean := new.locked_at is null and new.attempts >= new.max_attempts;
  -- Releasing a lock leaves run_at where it is or moves it to now at most; failing always moves it ahead.
  v_lost boolean := v_attempt_ended and new.run_at <= now();
  -- A job that was removed or replaced while it ran has no attempt left on purpose (only that touches updated_at).
  v_removed boolean := v_attempt_ended and old.attempts >= old.max_attempts and old.updated_at > old.locked_at;
  v_attempt smallint := old.attempts;
  v_has_rules boolean := exists (select from legwork.limits) or exists (select from legwork.pauses);
  v_state legwork.job_state := 'failed';
  v_error text := new.last_error;
  v_max_attempts smallint := new.max_attempts;
  v_retry_at timestamptz := new.run_at;
  v_run_at timestamptz;
  v_task text;
  v_queue text;
  v_redact text[];
  v_failure record;
  v_policy record;
  v_cancellation text;
  v_payload json;
  v_stack text;
begin
  -- Anybody may make the setting; only the definers know what to make it.
  if current_setting('legwork.admitting', true) <> '' and current_setting('legwork.admitting', true) = legwork.admission_pass() then
    return null;
  end if;
  if v_had_failed and not v_has_failed then
    delete from legwork.finished_jobs where id = new.id;
    if found then
      -- It had failed, and not only used its last attempt: another chance is one to wait again for what did not come in time.
      delete from legwork.job_steps s where s.job_id = new.id and s.state = 'timed_out';
    end if;
  end if;
  if new.revision <> old.revision and new.key is not null then
    delete from legwork.job_entries e where e.job_id = new.id;
    if legwork.begin_anew(new) then
      return null;
    end if;
  end if;
  if old.locked_at is not null and not v_attempt_ended then
    select c.reason into v_cancellation from legwork.cancellations c where c.job_id = new.id;
    if found then
      -- It was cancelled while a worker had it, and is given back unfinished.
      perform set_config('legwork.ended_as', 'cancelled', true), set_config('legwork.end_reason', v_cancellation, true);
      delete from graphile_worker._private_jobs j where j.id = new.id;
      perform set_config('legwork.ended_as', '', true), set_config('legwork.end_reason', '', true);
      return null;
    end if;
  end if;
  if not v_attempt_ended and (v_had_failed or not v_has_failed) then
    if old.locked_at is not null and not v_has_failed and new.run_at = old.run_at then
      -- A plain graphile-worker gave it back. It keeps its place ahead of those that are due at the same time (see legwork.places_of). The change comes by here again.
      update graphile_worker._private_jobs j set run_at = legwork.earlier(least(old.run_at, now()), interval '1 microsecond') where j.id = new.id;
      return null;
    end if;
    -- Replaced, rescheduled, revived or given back: it may have to wait for something else now, or still.
    if not v_has_failed and (v_has_rules or exists (select from legwork.waiting_jobs w where w.job_id = new.id)
      or exists (select from legwork.dependencies d where d.job_id = new.id))
    then
      perform legwork.readmit(new);
    end if;
    return null;
  end if;
  select * into v_failure from legwork.reported_failures() f where f.id = new.id and v_attempt_ended;

  if v_failure.decision in ('put_back', 'wait') and not v_removed and not exists (select from legwork.cancellations c where c.job_id = new.id) then
    -- It has not failed, and the attempt does not count: it was put off by its task, must not run now, or waits for a signal.
    v_run_at := case when v_failure.decision = 'wait' then legwork.suspend_job(new.id) else v_failure.retry_at end;
    if v_has_rules and v_run_at is not null then
      perform legwork.release_slots(array[new.id], array[v_failure.started_at]);
    end if;
    update graphile_worker._private_jobs j
    set attempts = greatest(0, j.attempts - 1), last_error = old.last_error, run_at = coalesce(v_run_at, old.run_at - interval '1 microsecond'),
      -- It has started in time.
      flags = case when v_failure.decision = 'wait' then legwork.without_expiry(j.flags) else j.flags end
    where j.id = new.id;
    if v_run_at <= clock_timestamp() then
      perform legwork.wake_workers(1);
    end if;
    if new.job_queue_id is not null then
      perform legwork.wake_workers(1);
    end if;
    return null;
  end if;

  select t.identifier, d.queue, d.redact into v_task, v_queue, v_redact
  from graphile_worker._private_tasks t
  left join legwork.task_definitions d on d.name = t.identifier
  where t.id = new.task_id;
  -- graphile-worker's clean-up of unused tasks may have taken the name.
  v_task := coalesce(v_task, 'task ' || new.task_id);
  v_queue := coalesce(v_queue, 'default');
  v_stack := v_failure.error_stack;
  if v_attempt_ended and json_typeof(old.payload) = 'array' and (v_failure.failed_entries is not null or new.payload::text <> old.payload::text) then
    perform legwork.keep_entries(new.id, old.payload, v_failure.failed_entries, v_failure.entry_results::jsonb);
  end if;
  v_payload := legwork.first_payload(new.id, new.payload);
  if v_redact is not null then
    -- What ran is what the job had before: of a batch that failed, only the entries that did are kept.
    v_error := legwork.redact_text(v_error, old.payload, v_redact);
    v_stack := legwork.redact_text(v_stack, old.payload, v_redact);
    v_payload := legwork.redact(v_payload, v_redact);
  end if;

  if v_attempt_ended then
    if v_removed then
      v_attempt := legwork.true_attempt(old.id, old.attempts, old.max_attempts, old.updated_at, old.locked_at);
    else
      select * into v_policy from legwork.retry_policy(v_task, v_queue);
      -- 25 is what add_job gives a job of which nobody has said how many attempts it has.
      if new.max_attempts = 25 and v_policy.attempts is not null then
        v_max_attempts := v_policy.attempts;
      end if;
      -- A job is run until it ends: that a worker died does not use up its last attempt. How often that may happen is said below.
      if v_lost and new.attempts >= v_max_attempts then
        v_max_attempts := least(new.attempts + 1, 32767);
      end if;
      if v_lost and new.run_at > old.run_at then
        -- graphile-worker releases a stale lock by itself and would send the job behind all that are due.
        v_retry_at := old.run_at - interval '1 microsecond';
      elsif v_failure.retry_at is not null then
        v_retry_at := v_failure.retry_at;
      elsif v_policy.backoff is not null and not v_lost then
        v_retry_at := now() + legwork.retry_delay(
          v_policy.backoff, v_policy.delay, v_policy.factor, v_policy.max_delay, v_policy.jitter, new.attempts);
      end if;
      -- The worker says that another attempt is pointless, or the policy does: an error that is not in its list.
      v_has_failed := new.attempts >= v_max_attempts or coalesce(v_failure.decision = 'discard', false)
        or coalesce(not v_failure.labels && v_policy.retry_on, false);
    end if;
    if v_lost then
      v_error := 'The worker did not finish this attempt and its lock was released.';
      if not v_has_failed and 2 <= (
        select count(*) from legwork.failed_attempts f
        where f.job_id = new.id and f.error_name = 'WorkerLost' and f.failed_at > new.updated_at
      ) then
        v_has_failed := true;
        v_error := 'Quarantined: three workers died while they ran this job.';
      end if;
    end if;
    select c.reason into v_cancellation from legwork.cancellations c where c.job_id = new.id;
    if found then
      v_has_failed := true;
      v_state := 'cancelled';
    end if;

    insert into legwork.failed_attempts (
      job_id, attempt, task, queue, error_name, error_message, error_stack, error_code, started_at, failed_at, retry_at,
      worker, tenant, correlation_id
    ) values (
      new.id, v_attempt, v_task, v_queue,
      case when v_lost then 'WorkerLost' else v_failure.error_name end, v_error,
      v_stack, v_failure.error_code, coalesce(v_failure.started_at, old.locked_at),
      coalesce(v_failure.finished_at, clock_timestamp()),
      case when not v_has_failed then case when v_lost then greatest(v_retry_at, now()) else v_retry_at end end, old.locked_by,
      case when new.flags is not null then legwork.flag_value(new.flags, 'tenant') end,
      case when new.flags is not null then legwork.flag_value(new.flags, 'correlation') end
    );
    if new.job_queue_id is not null then
      perform legwork.wake_workers(1);
    end if;
  end if;

  -- An attempt that ended for good has written this row before it makes the update below, which comes by here again.
  if v_has_failed and not v_had_failed and not exists (select from legwork.finished_jobs f where f.id = new.id) then
    insert into legwork.finished_jobs (
      id, task, queue, state, priority, attempts, max_attempts, payload, result, error, run_at, created_at, started_at,
      finished_at, worker, job_key, serial_key, tenant, correlation_id, parent_id, fingerprint
    ) values (
      new.id, v_task, v_queue, v_state, new.priority, case when v_attempt_ended then v_attempt else new.attempts end, v_max_attempts, v_payload,
      legwork.redact(legwork.all_results(new.id, null), v_redact), coalesce(v_cancellation, v_error),
      case when old.run_at = 'infinity' then coalesce((select w.run_at from legwork.waiting_jobs w where w.job_id = new.id), old.run_at)
        else old.run_at end,
      new.created_at, coalesce(v_failure.started_at, old.locked_at),
      coalesce(v_failure.finished_at, clock_timestamp()), old.locked_by, legwork.given_key(new.key),
      (select q.queue_name from graphile_worker._private_job_queues q where q.id = new.job_queue_id),
      case when new.flags is not null then legwork.flag_value(new.flags, 'tenant') end,
      case when new.flags is not null then legwork.flag_value(new.flags, 'correlation') end,
      case when new.flags is not null then legwork.parent_of(new.flags) end,
      case when v_state = 'failed' then
        legwork.fingerprint(v_task, case when v_lost then 'WorkerLost' else v_failure.error_name end, v_error) end
    );
    -- One that was cancelled is deleted below, which closes them.
    if v_state = 'failed' and legwork.has_dependants(new.id, new.id) then
      perform legwork.close_dependencies(array[new.id], array[v_state]);
    end if;
  end if;

  if v_has_rules and v_attempt_ended then
    perform legwork.release_slots(array[new.id], array[v_failure.started_at]);
  end if;
  if v_has_failed and (v_has_rules or old.run_at = 'infinity') then
    delete from legwork.waiting_jobs w where w.job_id = new.id returning w.run_at into v_run_at;
    -- Whoever gives it another chance may not say when.
    if found and not v_attempt_ended and new.run_at = 'infinity' then
      update graphile_worker._private_jobs j set run_at = v_run_at where j.id = new.id;
    end if;
  end if;
  if v_attempt_ended then
    if v_state = 'cancelled' then
      perform set_config('legwork.ended_as', 'recorded', true);
      delete from graphile_worker._private_jobs j where j.id = new.id;
      perform set_config('legwork.ended_as', '', true);
    elsif v_has_failed then
      -- As permanently_fail_jobs does it: the job is kept, is not fetched again, and all its attempts are there for a retry. Not in
      -- a trigger before the update: that would lock every row that is fetched a second time.
      if new.attempts < new.max_attempts or v_error is distinct from new.last_error or v_max_attempts <> new.max_attempts then
        update graphile_worker._private_jobs j
        set max_attempts = v_max_attempts, attempts = v_max_attempts, last_error = v_error where j.id = new.id;
      end if;
    elsif v_retry_at <> new.run_at or v_max_attempts <> new.max_attempts then
      update graphile_worker._private_jobs j set max_attempts = v_max_attempts, run_at = v_retry_at where j.id = new.id;
    end if;
    if v_has_rules and not v_has_failed then
      perform legwork.make_wait(array[new.id]);
    end if;
  end if;
  return null;
end $$;
comment on function legwork.tg_jobs__record_change() is
  'Records an attempt that ended without completing its job, decides by the retry policy when the next one is due or that there is none, and '
  'records a job that has failed for good and the return of one that was given another chance.';

create function legwork.tg_jobs__truncate() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from graphile_worker._private_jobs;
  return null;
end $$;
comment on function legwork.tg_jobs__truncate() is 'Deletes the jobs before the table is truncated, so that they are in the history as cancelled.';

-- Whoever may make a table could otherwise write history with the owner's rights, through a trigger of his own.
revoke execute on function legwork.tg_jobs__record_finished(), legwork.tg_jobs__record_change(), legwork.tg_jobs__truncate() from public;

create trigger _legwork_truncate before truncate on graphile_worker._private_jobs
  for each statement execute function legwork.tg_jobs__truncate();
create trigger _legwork_record_finished after delete on graphile_worker._private_jobs
  referencing old table as gone for each statement execute function legwork.tg_jobs__record_finished();
-- One trigger for all that a change of a row may mean, because each costs every job that is fetched. Fetching falls out at the
-- first condition. What admit_waiting and apply_rules do themselves, who say so in a setting, is let pass by the function; make_wait sets infinity.
create trigger _legwork_record_change after update on graphile_worker._private_jobs
  for each row when (
    new.locked_at is null and (
      -- An attempt has ended, or the job was given back.
      old.locked_at is not null
      or (old.attempts >= old.max_attempts) <> (new.attempts >= new.max_attempts)
      -- It was replaced or rescheduled.
      or new.revision <> old.revision or new.priority <> old.priority
      or (new.run_at <> old.run_at and new.run_at <> 'infinity')
    )
  ) execute function legwork.tg_jobs__record_change();

-- What is changed of graphile-worker's own objects, and not only added to them, is written down with the statement that changes it back: uninstalling runs these,
-- the last one first. Whoever adds such a change adds its statement. What is only added has a name that begins with _legwork.
create table legwork.undo_statements (
  id integer generated always as identity primary key,
  statement text not null
);
comment on table legwork.undo_statements is 'The statements with which uninstalling gives graphile-worker''s own objects the form back that they had before Legwork.';
comment on column legwork.undo_statements.id is 'The last one is run first.';
comment on column legwork.undo_statements.statement is 'One statement; it does nothing where its object is gone.';
alter table legwork.undo_statements enable row level security;

-- Fetching makes a second version of a job's row and of its entry in the primary key, beside the first one. Where the index's page is full, Postgres looks
-- through it for entries to drop, finds none, since what is replaced is of this very transaction, and splits it: 5 % of a worker's throughput. Half
-- empty, it takes the second versions too.
do $$
declare
  v_index text;
  v_options text;
begin
  select format('%I.%I', c.relnamespace::regnamespace::name, c.relname),
    (select string_agg(format('%I = %L', o.option_name, o.option_value), ', ') from pg_options_to_table(c.reloptions) o
      where o.option_name in ('fillfactor', 'deduplicate_items'))
  into strict v_index, v_options
  from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = 'graphile_worker._private_jobs'::regclass and i.indisprimary;
  if v_options is not null then
    insert into legwork.undo_statements (statement) values (format('alter index if exists %s set (%s)', v_index, v_options));
  end if;
  insert into legwork.undo_statements (statement) values (format('alter index if exists %s reset (fillfactor, deduplicate_items)', v_index));
  execute format('alter index %s set (fillfactor = 50, deduplicate_items = off)', v_index);
end $$;

-- What waits, by task, and what runs or has failed: so that neither is looked for among a hundred thousand jobs that wait. A job gets an entry in the
-- first when it is enqueued and in the second when it is fetched. The first takes the place of an index that no statement of graphile-worker 0.18 can
-- use, since all of them also take jobs that have a serial key: enqueueing costs no more than before.
insert into legwork.undo_statements (statement)
select regexp_replace(i.indexdef, '^CREATE INDEX ', 'create index if not exists ') from pg_indexes i
where i.schemaname = 'graphile_worker' and i.indexname = 'jobs_no_queue_index';
drop index if exists graphile_worker.jobs_no_queue_index;
create index _legwork_waiting on graphile_worker._private_jobs (task_id, id) with (deduplicate_items = off) where is_available;
create index _legwork_taken on graphile_worker._private_jobs (id) with (deduplicate_items = off) where not is_available;

-- An earlier Legwork kept the keys of tenants' tokens as acme:import, and left such jobs behind when it was removed. Only these are known to be Legwork's: any other
-- key may be one that callers of graphile_worker.add_job go on using.
with old as (
  select j.id, legwork.tenant_key(substr(j.key, length(p.prefix) + 1), t.tenant) as key
  from graphile_worker._private_jobs j
  cross join lateral (select legwork.flag_value(j.flags, 'tenant') as tenant) t
  cross join lateral (select replace(replace(t.tenant, '%', '%25'), ':', '%3A') || ':' as prefix) p
  where j.key is not null and j.flags is not null and starts_with(j.key, p.prefix) and length(j.key) > length(p.prefix)
)
update graphile_worker._private_jobs j set key = o.key from old o
where j.id = o.id and length(o.key) <= 512 and not exists (select from graphile_worker._private_jobs x where x.key = o.key);
with old as (
  select q.id, legwork.tenant_key(substr(q.queue_name, length(p.prefix) + 1), t.tenant) as name
  from (
    select j.job_queue_id, min(legwork.flag_value(j.flags, 'tenant')) as tenant from graphile_worker._private_jobs j where j.job_queue_id is not null
    group by j.job_queue_id
    having min(legwork.flag_value(j.flags, 'tenant')) = max(legwork.flag_value(j.flags, 'tenant')) and count(legwork.flag_value(j.flags, 'tenant')) = count(*)
  ) t
  join graphile_worker._private_job_queues q on q.id = t.job_queue_id
  cross join lateral (select replace(replace(t.tenant, '%', '%25'), ':', '%3A') || ':' as prefix) p
  where starts_with(q.queue_name, p.prefix) and length(q.queue_name) > length(p.prefix)
)
update graphile_worker._private_job_queues q set queue_name = o.name from old o
where q.id = o.id and length(o.name) <= 128 and not exists (select from graphile_worker._private_job_queues x where x.queue_name = o.name);

-- Jobs that failed before Legwork came are shown too, for a whole retention from now: when they failed nobody wrote down.
insert into legwork.finished_jobs (
  id, task, queue, state, priority, attempts, max_attempts, payload, error, run_at, created_at, finished_at, job_key,
  serial_key, tenant, correlation_id, fingerprint
)
select
  j.id, t.identifier, 'default', 'failed', j.priority, j.attempts, j.max_attempts, j.payload, j.last_error, j.run_at,
  j.created_at, now(), legwork.given_key(j.key), q.queue_name, legwork.flag_value(j.flags, 'tenant'),
  legwork.flag_value(j.flags, 'correlation'), legwork.fingerprint(t.identifier, null, j.last_error)
from graphile_worker._private_jobs j
join graphile_worker._private_tasks t on t.id = j.task_id
left join graphile_worker._private_job_queues q on q.id = j.job_queue_id
where j.locked_at is null and j.attempts >= j.max_attempts;
