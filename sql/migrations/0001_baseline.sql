-- The schema of Legwork 0.1.0: schemas, types, tables, indexes and initial rows. Functions, views, triggers, policies and comments are in
-- sql/definitions.
-- The exceptions are functions that an index or a default is built on: changing one of those means rebuilding the index or default.
-- Changes to graphile-worker's tables are in 0001_baseline.after.sql.
--
-- Locks: only ACCESS SHARE on graphile-worker's tables.

create schema legwork;
create schema legwork_private;
create schema legwork_confined;
create schema legwork_tenant;

create table legwork.migrations (
  id integer primary key,
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default now()
);
alter table legwork.migrations enable row level security;

-- The definitions that `legwork migrate` has applied from sql/definitions: the hash of each one's text, and of the resulting catalog entry.
create table legwork_private.definitions (
  object text primary key,
  hash text not null,
  catalog_hash text,
  postgres integer
);
alter table legwork_private.definitions enable row level security;

-- One row: the version whose definitions are installed, and the oldest version that may use them.
create table legwork_private.schema_version (
  only_row boolean primary key default true check (only_row),
  version text not null,
  minimum_version text not null,
  definitions_hash text not null,
  migrated_at timestamptz not null default clock_timestamp()
);
alter table legwork_private.schema_version enable row level security;

-- A job's context travels in graphile-worker's flags, as keys such as tenant:acme. That needs no extra row and no join, and when a keyed job is
-- replaced, the context of the old request goes with it.
create function legwork_private.flag_value(flags jsonb, name text) returns text
-- strict: so that an index on rows with flags can serve a query for the value. One expression of Postgres's own strict functions: so that calls are
-- inlined. Otherwise every statement that writes a row with flags would parse this body again for every index.
language sql immutable parallel safe strict
-- Truncated, because a value that is too long for an index would keep the job from ending.
return left(substr(
  jsonb_path_query_first(flags, '$.keyvalue().key ? (@ starts with $start)', ('{"start": "' || name || ':"}')::jsonb, true) #>> '{}',
  length(name) + 2), 256);
comment on function legwork_private.flag_value(jsonb, text) is
  'The value of a name in a job''s flags, at most 256 characters: acme for tenant:acme. Null when the flags do not have the name.';

-- Any client can write flags. A parent that is not a valid job id must not keep the job from ending.
create function legwork_private.parent_of(flags jsonb) returns bigint
language sql immutable parallel safe
return case
  when legwork_private.flag_value(flags, 'parent') ~ '^\d{1,18}$'
    or legwork_private.flag_value(flags, 'parent') ~ '^\d{19}$' and legwork_private.flag_value(flags, 'parent') <= '9223372036854775807'
  then legwork_private.flag_value(flags, 'parent')::bigint end;
comment on function legwork_private.parent_of(jsonb) is 'The id of the parent job in a job''s flags: 7 for parent:7. Null when the flags do not name a parent.';

create function legwork.given_key(key text) returns text
-- One strict expression, as in legwork_private.flag_value, so that an index on it can serve a query for the key.
language sql immutable parallel safe strict
return regexp_replace(key, '^tenant~[^:]*:', '');
comment on function legwork.given_key(text) is 'The job key or serial key that the caller gave, from the key in graphile-worker''s tables: the reverse of legwork.tenant_key.';

create function legwork_private.current_actor() returns text
language sql stable parallel safe
return coalesce(nullif(left(current_setting('legwork.actor', true), 256), ''), session_user);
comment on function legwork_private.current_actor() is
  'The actor to record for a change, as in the audit log: the one on whose behalf this transaction acts, as named by its login (the setting legwork.actor), otherwise the login.';

-- The tenant that each login is confined to. Views and functions in all later files honor it (sql/definitions/access/roles.sql has the rest).
create table legwork_private.confined_logins (
  login name primary key,
  tenant text not null check (tenant <> '')
);
alter table legwork_private.confined_logins enable row level security;

create type legwork.job_state as enum (
  'scheduled', 'pending', 'blocked', 'paused', 'running', 'retrying', 'completed', 'failed', 'cancelled', 'expired'
);

create table legwork.settings (
  name text primary key,
  value text not null,
  description text not null
);
alter table legwork.settings enable row level security;

insert into legwork.settings (name, value, description) values
  ('history_retention', '30 days',
   'How long finished jobs and failed attempts are kept: an interval, 30 days by default. History is deleted in whole partitions, so rows are kept up to an eighth longer.');

create table legwork_private.task_definitions (
  name text primary key check (length(name) between 1 and 128 and name not in ('.', '..')),
  description text,
  queue text not null default 'default' check (length(queue) between 1 and 128 and queue not in ('.', '..')),
  payload_schema jsonb,
  result_schema jsonb,
  redact text[],
  timeout interval,
  registered_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
alter table legwork_private.task_definitions enable row level security;

create table legwork_private.finished_jobs (
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
  fingerprint text,
  traceparent text
) partition by range (finished_at);
alter table legwork_private.finished_jobs enable row level security;

-- Only two indexes cover every job, because each of them costs every job 2 µs of about 30. Values that only few rows have are indexed for those rows
-- alone, which costs each batch of completions about 40 µs per index. Entries are never equal, so deduplication is off.
create index finished_jobs_id on legwork_private.finished_jobs (id) with (deduplicate_items = off);
create index finished_jobs_task_id on legwork_private.finished_jobs (task, id) with (deduplicate_items = off);
create index finished_jobs_state_id on legwork_private.finished_jobs (state, id) with (deduplicate_items = off) where state <> 'completed';
create index finished_jobs_tenant_id on legwork_private.finished_jobs (tenant, id) with (deduplicate_items = off) where tenant is not null;
create index finished_jobs_correlation_id on legwork_private.finished_jobs (correlation_id, id) with (deduplicate_items = off) where correlation_id is not null;
create index finished_jobs_job_key_id on legwork_private.finished_jobs (job_key, id) with (deduplicate_items = off) where job_key is not null;
create index finished_jobs_queue_id on legwork_private.finished_jobs (queue, id) with (deduplicate_items = off) where queue <> 'default';

-- The jobs that ended within a period. Rows are added in the order in which jobs end, so an index of block ranges suffices for all of them and costs
-- a job nothing.
-- Jobs that did not complete are rare and looked up by time, among them the failed jobs that are kept for a retry.
create index finished_jobs_finished_at on legwork_private.finished_jobs using brin (finished_at) with (autosummarize = on);
create index finished_jobs_state_finished_at on legwork_private.finished_jobs (state, finished_at) where state <> 'completed';

create table legwork_private.finished_jobs_default partition of legwork_private.finished_jobs default;
alter table legwork_private.finished_jobs_default enable row level security;

-- The table has no primary key. Full replica identity allows deletes and updates while a publication covers all tables. It costs nothing unless
-- wal_level is logical.
alter table legwork_private.finished_jobs replica identity full;
alter table legwork_private.finished_jobs_default replica identity full;

create table legwork_private.failed_attempts (
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
  correlation_id text,
  run_at timestamptz
) partition by range (failed_at);
alter table legwork_private.failed_attempts enable row level security;
create index failed_attempts_job_id on legwork_private.failed_attempts (job_id, attempt);
create index failed_attempts_task on legwork_private.failed_attempts (task, failed_at);

create table legwork_private.failed_attempts_default partition of legwork_private.failed_attempts default;
alter table legwork_private.failed_attempts_default enable row level security;
alter table legwork_private.failed_attempts replica identity full;
alter table legwork_private.failed_attempts_default replica identity full;

-- The statements that undo changes to graphile-worker's own objects. Uninstalling runs them, the last one first. Every migration or definition that
-- changes such an object adds its statement here. Objects that are only added need none: their names begin with _legwork.
create table legwork_private.undo_statements (
  id integer generated always as identity primary key,
  statement text not null
);
alter table legwork_private.undo_statements enable row level security;

create table legwork_private.limits (
  id integer generated always as identity primary key,
  scope text not null check (scope in ('queue', 'task')),
  name text not null,
  kind text not null check (kind in ('concurrency', 'rate')),
  key text[] not null default '{}',
  max_count integer check (max_count >= 1),
  per interval check (per > interval '0'),
  declared_max integer,
  declared_per interval,
  is_overridden boolean not null default false,
  unique (scope, name, kind, key)
);
alter table legwork_private.limits enable row level security;

create table legwork_private.pauses (
  scope text not null check (scope in ('all', 'queue', 'task')),
  name text not null,
  reason text,
  paused_by text not null default legwork_private.current_actor(),
  paused_at timestamptz not null default clock_timestamp(),
  reason_by text,
  reason_at timestamptz,
  primary key (scope, name)
);
alter table legwork_private.pauses enable row level security;

create table legwork_private.waiting_jobs (
  job_id bigint primary key,
  task_id integer not null,
  line uuid not null,
  gates text[] not null,
  priority smallint not null,
  run_at timestamptz not null,
  held text check (held in ('paused', 'run_at', 'dependency')),
  delay interval,
  entered_at timestamptz not null default clock_timestamp()
);
alter table legwork_private.waiting_jobs enable row level security;
create index waiting_jobs_line on legwork_private.waiting_jobs (line, priority, run_at, job_id) where held is null;
create index waiting_jobs_due on legwork_private.waiting_jobs (run_at) where held = 'run_at';

create table legwork_private.job_waits (
  job_id bigint not null,
  kind text not null,
  started_at timestamptz not null,
  ended_at timestamptz not null,
  gates text[] not null
) partition by range (ended_at);
alter table legwork_private.job_waits enable row level security;
create index job_waits_job_id on legwork_private.job_waits (job_id);

create table legwork_private.job_waits_default partition of legwork_private.job_waits default;
alter table legwork_private.job_waits_default enable row level security;
alter table legwork_private.job_waits replica identity full;
alter table legwork_private.job_waits_default replica identity full;

-- Parts of legwork.job_timeline.
create type legwork_private.timeline_wait as (
  rank integer, kind text, started_at timestamptz, ended_at timestamptz, label text, detail text, actor text, target_type text, target text
);
create type legwork_private.timeline_run as (
  kind text, started_at timestamptz, ended_at timestamptz, due_at timestamptz, retry_at timestamptz, attempt integer, state text, detail text, worker text
);

create table legwork_private.slots (
  -- Compared byte by byte, so that the index below also finds the gates of a limit: from 7: to 7;.
  gate text collate "C" not null,
  job_id bigint not null,
  per interval,
  free_at timestamptz
);
alter table legwork_private.slots enable row level security;
alter table legwork_private.slots replica identity full;
create index slots_gate on legwork_private.slots (gate);
create index slots_job_id on legwork_private.slots (job_id);

create table legwork_private.lines (
  line uuid primary key,
  gates text[] not null,
  waits_at text not null,
  turn bigint not null
);
alter table legwork_private.lines enable row level security;
create index lines_waits_at on legwork_private.lines (waits_at, turn);

-- Shows whether any job has several gates. If none has, admitting jobs is simpler.
create index lines_many on legwork_private.lines (waits_at) where cardinality(gates) > 1;

create sequence legwork_private.line_turns;

create table legwork_private.wakeups (
  id bigint generated always as identity primary key,
  freed text[],
  line uuid,
  gates text[],
  at_commit text check (at_commit in ('wait', 'try')),
  unblocked bigint[],
  advanced bigint[]
);
alter table legwork_private.wakeups enable row level security;
create index wakeups_unblocked on legwork_private.wakeups (id) where unblocked is not null;

create table legwork_private.gate_alarms (
  gate text primary key,
  ring_at timestamptz not null
);
alter table legwork_private.gate_alarms enable row level security;
create index gate_alarms_ring_at on legwork_private.gate_alarms (ring_at);

create table legwork_private.admission_passes (
  pass text primary key default gen_random_uuid()::text
);
alter table legwork_private.admission_passes enable row level security;

insert into legwork_private.admission_passes default values;

create table legwork_private.expirations (
  job_id bigint primary key,
  expires_at timestamptz not null
);
alter table legwork_private.expirations enable row level security;
create index expirations_expires_at on legwork_private.expirations (expires_at);

-- A job to enqueue. Numbers are numeric because 5.0, which is a whole number in JSON, cannot be cast to integer.
create type legwork_private.job_spec as (
  task text,
  payload jsonb,
  run_at timestamptz,
  priority numeric,
  job_key text,
  job_key_mode text,
  serial_key text,
  max_attempts numeric,
  tenant text,
  correlation_id text,
  expires_at timestamptz,
  unique_for interval,
  unique_key text,
  debounce interval,
  debounce_max interval,
  throttle interval,
  rate_limit numeric,
  rate_per interval,
  rate_key text,
  overlap text,
  depends_on bigint[],
  on_dependency_failure text
);

create table legwork_private.unique_requests (
  key text primary key,
  job_id bigint,
  expires_at timestamptz not null
);
alter table legwork_private.unique_requests enable row level security;

create table legwork_private.quota_keys (
  key text primary key,
  requests bigint not null,
  expires_at timestamptz not null
);
alter table legwork_private.quota_keys enable row level security;

create table legwork_private.quota_requests (
  key text not null references legwork_private.quota_keys on delete cascade,
  number bigint not null,
  requested_at timestamptz not null,
  primary key (key, number)
);
alter table legwork_private.quota_requests enable row level security;

create table legwork_private.paced_keys (
  job_key text primary key,
  job_id bigint,
  first_requested_at timestamptz,
  started_at timestamptz,
  throttle interval,
  requested_at timestamptz not null
);
alter table legwork_private.paced_keys enable row level security;

create table legwork_private.worker_processes (
  id text primary key,
  host text not null,
  pid integer not null,
  concurrency integer not null,
  tasks text[] not null,
  running bigint[] not null default '{}',
  started_at timestamptz not null default clock_timestamp(),
  seen_at timestamptz not null default clock_timestamp(),
  suspected_at timestamptz,
  blocked_since timestamptz,
  blocked_jobs bigint[],
  cpu real,
  memory real,
  memory_total bigint,
  disk real,
  disk_total bigint,
  heap_bytes bigint,
  host_seen_at timestamptz,
  version text,
  state text not null default 'active' check (state in ('active', 'quiet', 'draining')),
  quiet_since timestamptz,
  quiet_by text,
  excluded text[] not null default '{}',
  queue_slots jsonb
);
alter table legwork_private.worker_processes enable row level security;

create sequence legwork_private.worker_restarts;

create table legwork_private.limit_changes (
  id bigint generated always as identity primary key,
  task_ids integer[] not null,
  xid bigint not null default pg_current_xact_id()::text::bigint,
  since bigint,
  changed_at timestamptz not null default clock_timestamp(),
  looked_at timestamptz not null default clock_timestamp()
);
alter table legwork_private.limit_changes enable row level security;

create table legwork_private.retry_policies (
  scope text not null check (scope in ('queue', 'task')),
  name text not null,
  is_declared boolean not null default false,
  attempts smallint check (attempts >= 1),
  backoff text check (backoff in ('fixed', 'linear', 'exponential')),
  delay interval check (delay >= interval '0'),
  factor double precision check (factor >= 1),
  max_delay interval check (max_delay >= interval '0'),
  jitter boolean not null default false,
  retry_on text[],
  primary key (scope, name, is_declared)
);
alter table legwork_private.retry_policies enable row level security;

create table legwork_private.cancellations (
  job_id bigint primary key,
  reason text not null,
  cancelled_by text not null default legwork_private.current_actor(),
  cancelled_at timestamptz not null default clock_timestamp()
);
alter table legwork_private.cancellations enable row level security;

create table legwork_private.job_progress (
  job_id bigint primary key,
  attempt smallint not null,
  percent real check (percent between 0 and 100),
  message text,
  updated_at timestamptz not null
);
alter table legwork_private.job_progress enable row level security;

-- Lets retention find old rows without reading the progress of every job.
create index job_progress_updated_at on legwork_private.job_progress (updated_at);

create table legwork_private.job_logs (
  id bigint generated always as identity,
  job_id bigint not null,
  attempt smallint not null,
  logged_at timestamptz not null,
  level text not null,
  message text not null,
  fields jsonb,
  tenant text
) partition by range (logged_at);
alter table legwork_private.job_logs enable row level security;
create index job_logs_job_id on legwork_private.job_logs (job_id, id);

create table legwork_private.job_logs_default partition of legwork_private.job_logs default;
alter table legwork_private.job_logs_default enable row level security;
alter table legwork_private.job_logs replica identity full;
alter table legwork_private.job_logs_default replica identity full;

-- Counting takes time in proportion to the number of live jobs. When there are more than a few thousand, callers get counts that are a few seconds
-- old.
create table legwork_private.queue_counts (
  tenant text not null,
  queue text not null,
  running bigint not null,
  pending bigint not null,
  blocked bigint not null,
  paused bigint not null,
  later bigint not null,
  failed bigint not null,
  oldest timestamptz,
  counted_at timestamptz not null,
  valid_until timestamptz not null,
  primary key (tenant, queue)
);
alter table legwork_private.queue_counts enable row level security;

-- The same counts by task and state, for legwork.count_jobs.
create table legwork_private.live_job_counts (
  tenant text not null,
  task text not null,
  queue text not null,
  state text not null,
  jobs bigint not null,
  valid_until timestamptz not null,
  primary key (tenant, task, state)
);
alter table legwork_private.live_job_counts enable row level security;

create table legwork_private.schedule_definitions (
  name text primary key check (length(name) between 1 and 100),
  task text not null,
  cron text,
  every interval,
  at timestamptz,
  timezone text not null,
  payload jsonb not null,
  starts_at timestamptz,
  ends_at timestamptz,
  max_runs integer,
  jitter interval,
  overlap text not null check (overlap in ('allow', 'skip', 'queue', 'cancel')),
  max_instances integer,
  missed text not null check (missed in ('none', 'one', 'all')),
  missed_window interval not null,
  requires jsonb,
  requires_wait interval not null,
  tenant text,
  priority integer,
  max_attempts integer,
  is_enabled boolean not null,
  disabled_at timestamptz,
  disabled_by text,
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null default legwork_private.current_actor(),
  updated_at timestamptz not null default clock_timestamp(),
  sentence text,
  anchor timestamptz not null,
  planned_to timestamptz not null,
  upcoming timestamptz[] not null default '{}',
  is_complete boolean not null default false,
  backlog_count bigint not null default 0,
  backlog_from timestamptz,
  backlog_to timestamptz,
  problem text,
  failed_at timestamptz,
  runs bigint not null default 0,
  live bigint[] not null default '{}',
  last_due_at timestamptz,
  last_state text,
  last_job_id bigint,
  revision integer not null default 1,
  next_at timestamptz generated always as (case when is_enabled then upcoming[1] end) stored,
  -- Half of a full plan: the rest must last until a worker or server refills it.
  wants_plan boolean generated always as (is_enabled and not is_complete and cardinality(upcoming) < 8) stored,
  check (num_nonnulls(cron, every, at) = 1)
);
alter table legwork_private.schedule_definitions enable row level security;
create index schedule_definitions_next_at on legwork_private.schedule_definitions (next_at) where next_at is not null;
create index schedule_definitions_wants_plan on legwork_private.schedule_definitions (name) where wants_plan;
create index schedule_definitions_failed_at on legwork_private.schedule_definitions (failed_at) where failed_at is not null;
create index schedule_definitions_tenant on legwork_private.schedule_definitions (tenant, name) where tenant is not null;

create table legwork_private.schedule_occurrences (
  schedule text not null,
  due_at timestamptz not null,
  state text not null,
  reason text,
  job_id bigint,
  occurrences bigint default 1,
  last_due_at timestamptz not null,
  recorded_at timestamptz not null default clock_timestamp(),
  tenant text,
  primary key (schedule, due_at)
) partition by range (due_at);
alter table legwork_private.schedule_occurrences enable row level security;

-- Few occurrences wait, and they are checked every second.
create index schedule_occurrences_waiting on legwork_private.schedule_occurrences (due_at) where state = 'waiting';

create table legwork_private.schedule_occurrences_default partition of legwork_private.schedule_occurrences default;
alter table legwork_private.schedule_occurrences_default enable row level security;

create table legwork_private.crontab_entries (
  identifier text primary key,
  task text not null,
  cron text not null,
  payload jsonb,
  sentence text,
  upcoming timestamptz[] not null default '{}',
  seen_at timestamptz not null default clock_timestamp()
);
alter table legwork_private.crontab_entries enable row level security;

create table legwork_private.dependencies (
  depends_on bigint not null,
  job_id bigint,
  run_id bigint,
  on_failure text not null default 'cancel' check (on_failure in ('cancel', 'continue', 'run')),
  ended_as legwork.job_state,
  check (num_nonnulls(job_id, run_id) > 0),
  check (job_id > depends_on),
  unique nulls not distinct (depends_on, job_id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
alter table legwork_private.dependencies enable row level security;
alter table legwork_private.dependencies replica identity full;
create index dependencies_job_id on legwork_private.dependencies (job_id, depends_on) where job_id is not null;
create index dependencies_run_id on legwork_private.dependencies (run_id, depends_on) where run_id is not null and ended_as is null;
create index dependencies_ended on legwork_private.dependencies (job_id) where ended_as is not null;

create table legwork_private.dependency_checks (
  id bigint generated always as identity primary key,
  depends_on bigint not null
);
alter table legwork_private.dependency_checks enable row level security;

create sequence legwork_private.run_ids;

create table legwork_private.run_counts (
  run_id bigint not null,
  completed integer not null,
  failed integer not null,
  cancelled integer not null,
  expired integer not null
);
alter table legwork_private.run_counts enable row level security;
alter table legwork_private.run_counts replica identity full;
create index run_counts_run_id on legwork_private.run_counts (run_id);

create table legwork_private.workflow_runs (
  id bigint primary key default nextval('legwork_private.run_ids'),
  name text not null check (length(name) between 1 and 128),
  state text not null default 'running' check (state in ('running', 'compensating', 'cancelling', 'completed', 'failed', 'cancelled', 'expired')),
  ending text check (ending in ('cancelled', 'expired')),
  reason text,
  tenant text,
  correlation_id text not null,
  parent_id bigint,
  deadline timestamptz,
  total integer not null default 0,
  completed integer not null default 0,
  failed integer not null default 0,
  cancelled integer not null default 0,
  expired integer not null default 0,
  created_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  check ((ended_at is not null) = (state in ('completed', 'failed', 'cancelled', 'expired')))
);
alter table legwork_private.workflow_runs enable row level security;
create index workflow_runs_deadline on legwork_private.workflow_runs (deadline) where ended_at is null;
create index workflow_runs_tenant_id on legwork_private.workflow_runs (tenant, id) where tenant is not null;

create table legwork_private.workflow_run_steps (
  workflow_id bigint not null,
  name text not null,
  position integer,
  groups text[] not null,
  task text,
  payload jsonb,
  options legwork_private.job_spec,
  delay interval,
  depends_on text[] not null,
  on_failure text not null,
  effect text not null,
  compensate jsonb,
  waits_for integer[] not null,
  waits_how text[] not null,
  job_id bigint,
  compensation_job_id bigint,
  primary key (workflow_id, name)
);
alter table legwork_private.workflow_run_steps enable row level security;

create table legwork_private.workflow_step_ends (
  job_id bigint primary key,
  workflow_id bigint not null,
  state legwork.job_state not null,
  attempts smallint not null,
  result jsonb,
  error text,
  started_at timestamptz,
  finished_at timestamptz not null
);
alter table legwork_private.workflow_step_ends enable row level security;
create index workflow_step_ends_workflow_id on legwork_private.workflow_step_ends (workflow_id);

create type legwork_private.parsed_workflow_step as (name text, parent text, groups text[], step jsonb, n integer);

create table legwork_private.batch_runs (
  id bigint primary key default nextval('legwork_private.run_ids'),
  description text,
  job_ids bigint[] not null,
  callback_job_id bigint,
  tenant text,
  correlation_id text not null,
  total integer not null,
  completed integer not null default 0,
  failed integer not null default 0,
  cancelled integer not null default 0,
  expired integer not null default 0,
  created_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz
);
alter table legwork_private.batch_runs enable row level security;
create index batch_runs_open on legwork_private.batch_runs (id) where ended_at is null;
create index batch_runs_tenant_id on legwork_private.batch_runs (tenant, id) where tenant is not null;

create index failed_attempts_tenant on legwork_private.failed_attempts (tenant, job_id, attempt) where tenant is not null;

create table legwork_private.tokens (
  id uuid primary key default gen_random_uuid(),
  name text not null check (length(name) between 1 and 128),
  role text not null check (role in ('viewer', 'enqueuer', 'operator', 'admin')),
  tenant text check (length(tenant) between 1 and 256),
  hash bytea not null unique,
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz
);
alter table legwork_private.tokens enable row level security;

create table legwork_private.audit_entries (
  id bigint generated always as identity,
  occurred_at timestamptz not null default clock_timestamp(),
  database_role text not null default session_user,
  actor text,
  surface text not null,
  operation text not null,
  target_type text not null,
  target text,
  tenant text,
  count bigint,
  before jsonb,
  after jsonb
) partition by range (occurred_at);
alter table legwork_private.audit_entries enable row level security;
create index audit_entries_id on legwork_private.audit_entries (id);
create index audit_entries_target on legwork_private.audit_entries (target_type, target, id);
create index audit_entries_tenant on legwork_private.audit_entries (tenant, id) where tenant is not null;

create table legwork_private.audit_entries_default partition of legwork_private.audit_entries default;
alter table legwork_private.audit_entries_default enable row level security;
alter table legwork_private.audit_entries replica identity full;
alter table legwork_private.audit_entries_default replica identity full;

insert into legwork.settings (name, value, description) values
  ('audit_retention', '1 year', 'How long the audit log is kept: an interval, 1 year by default. It is deleted in whole partitions, so rows are kept up to an eighth longer.');

insert into legwork.settings (name, value, description) values
  ('metrics_minutes', '2 days', 'How long metrics per minute are kept: an interval, 2 days by default. Metrics per hour are kept separately.'),
  ('metrics_hours', '400 days', 'How long metrics per hour are kept: an interval, 400 days by default.');

create table legwork_private.task_minutes (
  minute timestamptz not null,
  task text not null,
  completed bigint not null default 0,
  failed bigint not null default 0,
  cancelled bigint not null default 0,
  expired bigint not null default 0,
  failed_attempts bigint not null default 0,
  retried bigint not null default 0,
  wait_seconds double precision not null default 0,
  run_seconds double precision not null default 0,
  waits bigint[] not null,
  runs bigint[] not null,
  primary key (minute, task)
);
alter table legwork_private.task_minutes enable row level security;

create table legwork_private.task_hours (
  hour timestamptz not null,
  task text not null,
  completed bigint not null default 0,
  failed bigint not null default 0,
  cancelled bigint not null default 0,
  expired bigint not null default 0,
  failed_attempts bigint not null default 0,
  retried bigint not null default 0,
  wait_seconds double precision not null default 0,
  run_seconds double precision not null default 0,
  waits bigint[] not null,
  runs bigint[] not null,
  primary key (hour, task)
);
alter table legwork_private.task_hours enable row level security;

create table legwork_private.task_totals (
  task text primary key,
  first_seen timestamptz not null default clock_timestamp(),
  completed bigint not null default 0,
  failed bigint not null default 0,
  cancelled bigint not null default 0,
  expired bigint not null default 0,
  failed_attempts bigint not null default 0,
  retried bigint not null default 0,
  wait_seconds double precision not null default 0,
  run_seconds double precision not null default 0,
  waits bigint[] not null,
  runs bigint[] not null,
  last_completed_at timestamptz,
  last_failed_at timestamptz,
  usual double precision[],
  usual_from bigint[],
  usual_run double precision,
  usual_runs double precision not null default 0
);
alter table legwork_private.task_totals enable row level security;

create table legwork_private.rollup_relations (
  relation oid primary key,
  filenode oid,
  rows_counted bigint not null default 0,
  inserted bigint not null default 0,
  tolerated bigint not null default 0,
  swept_to bigint
);
alter table legwork_private.rollup_relations enable row level security;

create table legwork_private.rollup_segments (
  relation oid not null references legwork_private.rollup_relations on delete cascade,
  from_block bigint not null,
  to_block bigint not null,
  -- Transaction ids as text, because not every tool that reads the catalog supports their types.
  horizon text,
  counted text[] not null default '{}',
  full_at text,
  is_closed boolean not null default false,
  primary key (relation, from_block)
);
alter table legwork_private.rollup_segments enable row level security;
create index rollup_segments_open on legwork_private.rollup_segments (relation, from_block) where not is_closed;

create type legwork_private.counted_rows as (
  task text, outcome text, minute timestamptz, wait_bucket integer, run_bucket integer, number bigint, waited double precision, ran double precision, last_at timestamptz
);

create table legwork_private.samples (
  name text primary key,
  value jsonb not null,
  sampled_at timestamptz not null default clock_timestamp()
);
alter table legwork_private.samples enable row level security;

create table legwork_private.alert_rules (
  name text primary key check (name ~ '^[a-z0-9][a-z0-9_./-]{0,99}$'),
  kind text not null check (kind in (
    'consecutive_failures', 'error_rate', 'failed_jobs', 'slow_runs', 'stuck_jobs', 'backlog_age', 'schedule_late', 'no_worker', 'database',
    'host_cpu', 'host_memory', 'host_disk', 'worker_memory')),
  target text,
  warning double precision,
  critical double precision,
  period interval not null default '15 minutes' check (period between interval '1 minute' and interval '1 day'),
  at_least integer not null default 1 check (at_least >= 1),
  raise_after interval not null default '0' check (raise_after >= interval '0'),
  resolve_after interval not null default '2 minutes' check (resolve_after >= interval '0'),
  channels jsonb check (jsonb_typeof(channels) = 'array'),
  is_enabled boolean not null default true,
  changed_by text not null default legwork_private.current_actor(),
  changed_at timestamptz not null default clock_timestamp(),
  check (num_nonnulls(warning, critical) > 0 and critical >= warning is not false)
);
alter table legwork_private.alert_rules enable row level security;

insert into legwork.settings (name, value, description) values
  ('alert_channels', '[]',
   'Where alerts are sent, unless the rule has channels of its own: an array of {"webhook": address}, {"slack": address}, {"email": address} or {"task": name, "payload": {}}. '
   'With "from": "critical", a channel gets critical alerts only. Empty by default.');

create table legwork_private.alert_silences (
  id bigint generated always as identity primary key,
  rule text,
  target text,
  until timestamptz not null,
  reason text,
  silenced_by text not null default legwork_private.current_actor(),
  silenced_at timestamptz not null default clock_timestamp()
);
alter table legwork_private.alert_silences enable row level security;

create table legwork_private.alert_records (
  id bigint generated always as identity primary key,
  rule text not null,
  kind text not null,
  target text not null,
  severity text not null check (severity in ('warning', 'critical')),
  value double precision not null,
  threshold double precision not null,
  message text not null,
  raised_at timestamptz not null,
  critical_at timestamptz,
  clear_since timestamptz,
  resolved_at timestamptz,
  acknowledged_at timestamptz,
  acknowledged_by text,
  note text,
  told text check (told in ('warning', 'critical')),
  jobs bigint[] not null default '{}'
);
alter table legwork_private.alert_records enable row level security;

-- Guarantees one open alert per rule and target.
create unique index alert_records_open on legwork_private.alert_records (rule, target) where resolved_at is null;
create index alert_records_resolved_at on legwork_private.alert_records (resolved_at) where resolved_at is not null;

create table legwork_private.alert_pending (
  rule text not null,
  target text not null,
  since timestamptz not null,
  primary key (rule, target)
);
alter table legwork_private.alert_pending enable row level security;

create table legwork_private.long_runs (
  job_id bigint not null,
  attempt smallint not null,
  task text not null,
  started_at timestamptz not null,
  primary key (job_id, attempt)
);
alter table legwork_private.long_runs enable row level security;

create type legwork_private.alert_condition as (
  rule text, kind text, target text, severity text, value double precision, threshold double precision, message text
);

create table legwork_private.duties (
  duty text primary key,
  every interval not null,
  share double precision not null,
  due_at timestamptz not null default clock_timestamp(),
  ran_at timestamptz,
  took interval
);
alter table legwork_private.duties enable row level security;

insert into legwork_private.duties (duty, every, share) values
  ('roll_up', '5 seconds', 0.2), ('queues', '10 seconds', 0.02), ('database', '1 minute', 0.01), ('alerts', '5 seconds', 0.02), ('forget', '10 minutes', 0.01);

create table legwork_private.job_steps (
  job_id bigint not null,
  kind text not null check (kind in ('run', 'wait', 'sleep', 'invoke')),
  name text not null check (length(name) between 1 and 200),
  state text not null check (state in ('completed', 'failed', 'timed_out', 'waiting', 'open')),
  result jsonb,
  error text,
  attempt smallint not null,
  started_at timestamptz not null,
  recorded_at timestamptz not null default clock_timestamp(),
  deadline timestamptz,
  wake_at timestamptz,
  tenant text,
  in_group text,
  child_id bigint,
  child_state legwork.job_state,
  primary key (job_id, kind, name)
);
alter table legwork_private.job_steps enable row level security;
create index job_steps_child_id on legwork_private.job_steps (child_id) where child_id is not null;
create index job_steps_waiting_child on legwork_private.job_steps (child_id) where child_id is not null and state = 'waiting';
create index job_steps_recorded_at on legwork_private.job_steps (recorded_at);

create table legwork_private.job_signals (
  id bigint generated always as identity primary key,
  job_id bigint not null,
  name text not null check (length(name) between 1 and 200),
  payload jsonb,
  sent_by text not null default legwork_private.current_actor(),
  sent_at timestamptz not null default clock_timestamp(),
  is_delivered boolean not null default false,
  unique (job_id, name)
);
alter table legwork_private.job_signals enable row level security;
create index job_signals_undelivered on legwork_private.job_signals (id) where not is_delivered;
create index job_signals_sent_at on legwork_private.job_signals (sent_at);

create table legwork_private.step_secrets (
  job_id bigint not null,
  kind text not null,
  name text not null,
  value jsonb not null,
  primary key (job_id, kind, name)
);
alter table legwork_private.step_secrets enable row level security;

-- How invoked jobs have ended, for the steps that invoked them.
create table legwork_private.child_ends (
  child_id bigint primary key,
  job_id bigint not null,
  name text not null,
  state legwork.job_state not null,
  result jsonb,
  error text,
  ended_at timestamptz not null default clock_timestamp(),
  is_delivered boolean not null default false
);
alter table legwork_private.child_ends enable row level security;
create index child_ends_job_id on legwork_private.child_ends (job_id);
create index child_ends_undelivered on legwork_private.child_ends (child_id) where not is_delivered;

-- The processes that wait for jobs. It only provides hints, so it needs no WAL: after a crash of the server it is empty, and waiting processes then
-- check again.
create unlogged table legwork_private.awaited_jobs (
  job_id bigint not null,
  waiter uuid not null,
  expires_at timestamptz not null,
  primary key (job_id, waiter)
);
alter table legwork_private.awaited_jobs enable row level security;

-- Indexes and counters for GraphQL and the live views: a tenant for every view, pages that begin at an index, a job's children and origin,
-- and counters that cost nothing.

-- A job's children. Only jobs with flags pay for it, and only those with a parent have an entry.
create index finished_jobs_parent_id on legwork_private.finished_jobs (parent_id, id) where parent_id is not null;

-- Shows quickly that a task has no failures when other tasks have many. Only jobs that did not complete pay for it.
create index finished_jobs_task_state_id on legwork_private.finished_jobs (task, state, id) where state <> 'completed';

-- A tenant's jobs of a task or in a state that is rare for this tenant and common for others. Without these indexes, all jobs of the tenant or of the
-- task are read.
create index finished_jobs_tenant_task_id on legwork_private.finished_jobs (tenant, task, id) where tenant is not null;
create index finished_jobs_tenant_state_id on legwork_private.finished_jobs (tenant, state, id) where tenant is not null and state <> 'completed';

-- The workflow or schedule that a job comes from.
create index workflow_run_steps_job_id on legwork_private.workflow_run_steps (job_id) where job_id is not null;
create index schedule_occurrences_job_id on legwork_private.schedule_occurrences (job_id) where job_id is not null;

create table legwork_private.idempotent_requests (
  subject text not null,
  key text not null,
  request_hash text not null,
  response jsonb,
  requested_at timestamptz not null default clock_timestamp(),
  primary key (subject, key)
);
alter table legwork_private.idempotent_requests enable row level security;
create index idempotent_requests_requested_at on legwork_private.idempotent_requests (requested_at);

create table legwork_private.id_marks (
  at timestamptz primary key,
  last_id bigint not null,
  settled_before timestamptz
);
alter table legwork_private.id_marks enable row level security;

create table legwork_private.minute_totals (
  minute timestamptz not null,
  completed bigint not null default 0,
  failed bigint not null default 0,
  cancelled bigint not null default 0,
  expired bigint not null default 0,
  failed_attempts bigint not null default 0,
  retried bigint not null default 0,
  wait_seconds double precision not null default 0,
  run_seconds double precision not null default 0,
  waits bigint[] not null,
  runs bigint[] not null,
  primary key (minute)
);
alter table legwork_private.minute_totals enable row level security;

create table legwork_private.hour_totals (
  hour timestamptz not null,
  completed bigint not null default 0,
  failed bigint not null default 0,
  cancelled bigint not null default 0,
  expired bigint not null default 0,
  failed_attempts bigint not null default 0,
  retried bigint not null default 0,
  wait_seconds double precision not null default 0,
  run_seconds double precision not null default 0,
  waits bigint[] not null,
  runs bigint[] not null,
  primary key (hour)
);
alter table legwork_private.hour_totals enable row level security;

create table legwork_private.backlog_minutes (
  minute timestamptz not null,
  queue text not null,
  pending bigint not null,
  held bigint not null,
  running bigint not null,
  oldest_seconds double precision not null,
  primary key (queue, minute)
);
alter table legwork_private.backlog_minutes enable row level security;
create index backlog_minutes_minute on legwork_private.backlog_minutes (minute);

create table legwork_private.backlog_hours (
  hour timestamptz not null,
  queue text not null,
  pending bigint not null,
  held bigint not null,
  running bigint not null,
  oldest_seconds double precision not null,
  primary key (queue, hour)
);
alter table legwork_private.backlog_hours enable row level security;
create index backlog_hours_hour on legwork_private.backlog_hours (hour);

-- When workers started: shows deployments, and restarts after a crash.
create table legwork_private.worker_starts (
  id text primary key,
  host text not null,
  pid integer not null,
  tasks integer not null,
  started_at timestamptz not null,
  version text
);
alter table legwork_private.worker_starts enable row level security;
create index worker_starts_started_at on legwork_private.worker_starts (started_at);

create table legwork_private.reruns (
  job_id bigint primary key,
  original_id bigint not null,
  payload_changed boolean not null,
  requested_by text not null default legwork_private.current_actor(),
  requested_at timestamptz not null default clock_timestamp()
);
alter table legwork_private.reruns enable row level security;
create index reruns_original_id on legwork_private.reruns (original_id, requested_at);

create table legwork_private.worker_faults (
  id bigint generated always as identity primary key,
  host text not null,
  pid integer not null,
  kind text not null check (kind in ('restart', 'recording', 'pooler')),
  reason text not null,
  job_id bigint,
  at timestamptz not null default clock_timestamp()
);
alter table legwork_private.worker_faults enable row level security;
create index worker_faults_at on legwork_private.worker_faults (at);

create table legwork_private.set_aside (
  what text not null check (what in ('job', 'workflow', 'signal', 'deadline', 'expiry', 'gate', 'line', 'part')),
  item text not null,
  error text not null,
  set_aside_at timestamptz not null default clock_timestamp(),
  primary key (what, item)
);
alter table legwork_private.set_aside enable row level security;

create table legwork_private.job_entries (
  job_id bigint primary key,
  payload json not null,
  results jsonb,
  open_positions integer[]
);
alter table legwork_private.job_entries enable row level security;

-- Actions on all jobs that match a filter, carried out in chunks by workers and servers.
create table legwork_private.bulk_actions (
  id bigint generated always as identity primary key,
  action text not null check (action in ('retry', 'discard', 'cancel', 'rerun', 'priority')),
  filter jsonb not null,
  priority integer,
  reason text,
  actor text not null default legwork_private.current_actor(),
  login name not null default session_user,
  role text,
  named_actor text,
  surface text,
  tenant text,
  state text not null default 'running' check (state in ('running', 'completed', 'stopped', 'failed')),
  total bigint,
  changed bigint not null default 0,
  skipped jsonb not null default '{}',
  last_error text,
  failures integer not null default 0,
  started_at timestamptz not null,
  worked_at timestamptz,
  finished_at timestamptz,
  next_at timestamptz not null default clock_timestamp(),
  chunk integer not null default 200,
  after_id bigint,
  up_to bigint not null,
  left_over bigint[] not null default '{}',
  tries integer not null default 0
);
alter table legwork_private.bulk_actions enable row level security;
create index bulk_actions_next_at on legwork_private.bulk_actions (next_at) where state = 'running';
create index bulk_actions_tenant_id on legwork_private.bulk_actions (tenant, id) where tenant is not null;

create table legwork_private.imported_jobs (
  source text not null,
  source_id text not null,
  server text not null,
  spec jsonb,
  job_id bigint,
  staged_at timestamptz not null default clock_timestamp(),
  imported_at timestamptz,
  primary key (source, source_id)
);
alter table legwork_private.imported_jobs enable row level security;
create index imported_jobs_staged on legwork_private.imported_jobs (source, server) where imported_at is null;
