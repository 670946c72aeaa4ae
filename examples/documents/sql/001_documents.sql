-- The documents example: documentation that is fetched from other sites, refreshed before it expires, and deleted when it has expired.
--
-- Safe to run at every start.

create schema if not exists documents;
comment on schema documents is 'The documents example: fetched documents with a time to live, by workspace.';

create table if not exists documents.workspaces (
  id text primary key,
  is_active boolean not null default true
);
comment on table documents.workspaces is 'The workspaces that documents belong to.';
comment on column documents.workspaces.is_active is 'Whether its documents are cleaned up and refreshed.';

create table if not exists documents.documents (
  id uuid primary key default gen_random_uuid(),
  workspace_id text not null references documents.workspaces on delete cascade,
  source_url text not null,
  kind text not null default 'reference' check (kind in ('reference', 'tutorial', 'changelog', 'news')),
  quality real not null default 0.5 check (quality between 0 and 1),
  content text,
  checksum text,
  etag text,
  last_modified text,
  unchanged_count integer not null default 0,
  fetched_at timestamptz,
  expires_at timestamptz not null,
  refresh_failures integer not null default 0,
  refresh_error text,
  created_at timestamptz not null default now(),
  unique (workspace_id, source_url)
);
comment on table documents.documents is 'Fetched documents, with their sources and expiry times.';
comment on column documents.documents.quality is 'From 0 to 1. Better documents are refreshed first and expire later.';
comment on column documents.documents.checksum is 'SHA-256 of the content, from which changes are detected.';
comment on column documents.documents.unchanged_count is 'How many consecutive fetches found no change. Stable documents expire later.';
comment on column documents.documents.refresh_failures is 'How many consecutive fetches have failed. The last error is in refresh_error.';
create index if not exists documents_expiry on documents.documents (workspace_id, expires_at);
create index if not exists documents_expires_at on documents.documents (expires_at);

create or replace function documents.ttl(kind text, quality real, unchanged_count integer) returns interval
language sql immutable as $$
  select make_interval(secs => least(180, greatest(1,
    case kind when 'news' then 3 when 'changelog' then 7 when 'tutorial' then 60 else 30 end
    * (0.5 + quality) * least(2, 1 + 0.25 * unchanged_count))) * 86400)
$$;
comment on function documents.ttl(text, real, integer) is
  'How long a fetched document is valid: a number of days by its kind, multiplied by 0.5 to 1.5 by its quality, and by up to 2 after four fetches without a '
  'change. The result is at least 1 day and at most 180 days.';

create or replace view documents.workspace_health as
select 'workspace:' || w.id as name, s.overdue = 0 and s.failing = 0 as healthy,
  nullif(concat_ws(', ', case when s.overdue > 0 then s.overdue || ' expired more than 36 hours ago and not deleted' end,
    case when s.failing > 0 then s.failing || ' cannot be refreshed' end), '') as error,
  w.id as workspace, s.documents, s.expired
from documents.workspaces w
cross join lateral (
  select count(*) as documents, count(*) filter (where d.expires_at < now()) as expired,
    count(*) filter (where d.expires_at < now() - interval '36 hours') as overdue, count(*) filter (where d.refresh_failures >= 3) as failing
  from documents.documents d where d.workspace_id = w.id
) s
where w.is_active;
comment on view documents.workspace_health is 'One row per active workspace, in the format that health/probe reads.';

-- Views with the names of the original app's job tables. They show data that Legwork stores anyway.

create or replace view documents.background_job_configs as
select substr(s.name, 11) as job_id, s.task, s.payload, coalesce(s.cron, 'every ' || s.every::text, 'at ' || s.at::text) as schedule, s.sentence, s.timezone,
  s.is_enabled as enabled, s.starts_at, s.ends_at, s.max_runs, s.runs, s.next_at as next_run_at, s.last_due_at as last_run_at, s.last_outcome
from legwork.schedules s where s.name like 'documents/%';
comment on view documents.background_job_configs is 'The app''s jobs with their schedules, payloads and next runs.';

create or replace view documents.background_job_executions as
select substr(r.schedule, 11) as job_id, j.id as execution_id, j.task, r.state = 'manual' as by_hand, j.state, j.attempts, j.created_at, j.started_at, j.finished_at,
  round(extract(epoch from j.finished_at - j.started_at) * 1000)::bigint as duration_ms, j.result, j.error,
  coalesce(j.correlation_id, j.id::text) as correlation_id
from legwork.schedule_runs r join legwork.jobs j on j.id = r.job_id
where r.schedule like 'documents/%';
comment on view documents.background_job_executions is 'The executions of the app''s jobs and their outcomes, kept for history_retention. A job without a correlation id uses its own id, in its log lines and for the jobs that it enqueues.';

create or replace view documents.background_job_metrics as
select c.job_id, h.hour, h.completed, h.failed, h.failed_attempts, h.retried, h.run_seconds
from documents.background_job_configs c join legwork_private.task_hours h on h.task = c.task;
comment on view documents.background_job_metrics is 'Hourly totals of each job''s task, kept for metrics_hours.';

-- Registers the tasks, so that schedules and limits can be created before a worker has started.
select legwork_private.register_tasks(jsonb_agg(jsonb_build_object('name', needed.name, 'queue', needed.queue)))
from (values ('documents/refresh', 'documents'), ('documents/refresh_document', 'documents'), ('documents/index', 'documents-index'),
  ('retention/expire', 'cleanup'), ('health/probe', 'default')) as needed (name, queue)
where not exists (select from legwork.tasks t where t.name = needed.name)
having count(*) > 0;
