-- The documents example: documentation that was fetched from elsewhere, kept until it expires, fetched again before it does.
--
-- Safe to run at every start.

create schema if not exists documents;
comment on schema documents is 'The documents example: fetched documents with a time to live, by workspace.';

create table if not exists documents.workspaces (
  id text primary key,
  is_active boolean not null default true
);
comment on table documents.workspaces is 'Who documents are kept for.';
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
comment on table documents.documents is 'What was fetched, from where, and until when it is good.';
comment on column documents.documents.quality is 'From 0 to 1; better ones are refreshed first and live longer.';
comment on column documents.documents.checksum is 'SHA-256 of the content, by which a changed document is told from one that is the same.';
comment on column documents.documents.unchanged_count is 'How often in a row it was fetched and had not changed: what is stable lives longer.';
comment on column documents.documents.refresh_failures is 'How often in a row fetching it has failed; the last error is in refresh_error.';
create index if not exists documents_expiry on documents.documents (workspace_id, expires_at);
create index if not exists documents_expires_at on documents.documents (expires_at);

create or replace function documents.ttl(kind text, quality real, unchanged_count integer) returns interval
language sql immutable as $$
  select make_interval(secs => least(180, greatest(1,
    case kind when 'news' then 3 when 'changelog' then 7 when 'tutorial' then 60 else 30 end
    * (0.5 + quality) * least(2, 1 + 0.25 * unchanged_count))) * 86400)
$$;
comment on function documents.ttl(text, real, integer) is
  'How long a document is good once it was fetched: days by its kind, half to one and a half of them by its quality, up to twice as long when it has not changed for four '
  'fetches; from a day to 180.';

create or replace view documents.workspace_health as
select 'workspace:' || w.id as name, s.overdue = 0 and s.failing = 0 as healthy,
  nullif(concat_ws(', ', case when s.overdue > 0 then s.overdue || ' expired more than 36 hours ago and still here' end,
    case when s.failing > 0 then s.failing || ' cannot be refreshed' end), '') as error,
  w.id as workspace, s.documents, s.expired
from documents.workspaces w
cross join lateral (
  select count(*) as documents, count(*) filter (where d.expires_at < now()) as expired,
    count(*) filter (where d.expires_at < now() - interval '36 hours') as overdue, count(*) filter (where d.refresh_failures >= 3) as failing
  from documents.documents d where d.workspace_id = w.id
) s
where w.is_active;
comment on view documents.workspace_health is 'A row for each active workspace, in the form that health/probe reads.';

-- The tables that the source has for its jobs. They are what Legwork keeps anyway, under the names that its users know.

create or replace view documents.background_job_configs as
select substr(s.name, 11) as job_id, s.task, s.payload, coalesce(s.cron, 'every ' || s.every::text, 'at ' || s.at::text) as schedule, s.sentence, s.timezone,
  s.is_enabled as enabled, s.starts_at, s.ends_at, s.max_runs, s.runs, s.next_at as next_run_at, s.last_due_at as last_run_at, s.last_outcome
from legwork.schedules s where s.name like 'documents/%';
comment on view documents.background_job_configs is 'The jobs of this app: when they run, with what, and when next.';

create or replace view documents.background_job_executions as
select substr(r.schedule, 11) as job_id, j.id as execution_id, j.task, r.state = 'manual' as by_hand, j.state, j.attempts, j.created_at, j.started_at, j.finished_at,
  round(extract(epoch from j.finished_at - j.started_at) * 1000)::bigint as duration_ms, j.result, j.error,
  coalesce(j.correlation_id, j.id::text) as correlation_id
from legwork.schedule_runs r join legwork.jobs j on j.id = r.job_id
where r.schedule like 'documents/%';
comment on view documents.background_job_executions is 'What they ran and how it ended; kept for the setting history_retention. A job that was given no correlation id is its own, in its log lines and for what it enqueues.';

create or replace view documents.background_job_metrics as
select c.job_id, h.hour, h.completed, h.failed, h.failed_attempts, h.retried, h.run_seconds
from documents.background_job_configs c join legwork_private.task_hours h on h.task = c.task;
comment on view documents.background_job_metrics is 'Sums by hour of the task of each job; kept for the setting metrics_hours.';

-- Schedules and limits can be made before a worker has started.
select legwork_private.register_tasks(jsonb_agg(jsonb_build_object('name', needed.name, 'queue', needed.queue)))
from (values ('documents/refresh', 'documents'), ('documents/refresh_document', 'documents'), ('documents/index', 'documents-index'),
  ('retention/expire', 'cleanup'), ('health/probe', 'default')) as needed (name, queue)
where not exists (select from legwork.tasks t where t.name = needed.name)
having count(*) > 0;
