-- The projects example: reads tasks, progress and skills from repositories.
--
-- Safe to run at every start. When a project's URL changes or a refresh is requested, a trigger enqueues its processing in the same transaction, so
-- that the app's code cannot forget it.

create schema if not exists projects;
comment on schema projects is 'The projects example: repositories with their tasks, progress and skills.';

create table if not exists projects.users (
  id uuid primary key default gen_random_uuid(),
  email text not null unique
);
comment on table projects.users is 'The users who own projects. Their jobs belong to the tenant projects-user-<id>.';

create table if not exists projects.projects (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references projects.users on delete cascade,
  tenant text generated always as ('projects-user-' || user_id::text) stored,
  repository_url text not null check (length(repository_url) between 1 and 2000),
  plan_file text,
  name text,
  task_count integer not null default 0,
  completed_count integer not null default 0,
  progress_percentage numeric(5, 2) not null default 0,
  found_plan_file text,
  commit text,
  created_at timestamptz not null default now(),
  refresh_requested_at timestamptz,
  processed_at timestamptz,
  skills_processed_at timestamptz,
  unique (user_id, repository_url)
);
comment on table projects.projects is 'One row per git repository.';
comment on column projects.projects.user_id is 'The project''s owner. Other users cannot see the project, its jobs or its history.';
comment on column projects.projects.tenant is 'The tenant of the project''s jobs.';
comment on column projects.projects.repository_url is 'The URL to clone: https, http, ssh, file, the short form git@host:path, or an absolute path.';
comment on column projects.projects.plan_file is 'The path of the plan file in the repository. This file is searched first; if null, only the usual files are searched.';
comment on column projects.projects.name is 'The project''s name. Default: the last part of its URL.';
comment on column projects.projects.task_count is 'The number of check boxes in the plan file.';
comment on column projects.projects.completed_count is 'The number of checked boxes.';
comment on column projects.projects.progress_percentage is 'completed_count as a share of task_count (%); 0 without tasks.';
comment on column projects.projects.found_plan_file is 'The file with the tasks; null if no file has check boxes.';
comment on column projects.projects.commit is 'The commit that was read.';
comment on column projects.projects.refresh_requested_at is 'When a refresh was last requested. Setting it enqueues a refresh.';
comment on column projects.projects.processed_at is 'When the tasks were last stored; null before the first time.';
comment on column projects.projects.skills_processed_at is 'When the skills were last stored; null before the first time.';

create table if not exists projects.tasks (
  project_id uuid not null references projects.projects on delete cascade,
  position integer not null,
  parent integer,
  title text not null,
  done boolean not null,
  depth integer not null,
  section text[] not null default '{}',
  line integer not null,
  primary key (project_id, position),
  foreign key (project_id, parent) references projects.tasks (project_id, position) deferrable initially deferred
);
comment on table projects.tasks is 'The check boxes of a project''s plan file. Replaced as a whole whenever the project is processed.';
comment on column projects.tasks.position is 'The position in the file, from 1.';
comment on column projects.tasks.parent is 'The position of the parent check box; null at the top level.';
comment on column projects.tasks.depth is 'The number of check boxes above it in the hierarchy.';
comment on column projects.tasks.section is 'The headings above it, outermost first.';
comment on column projects.tasks.line is 'The line in the plan file.';

create table if not exists projects.skills (
  project_id uuid not null references projects.projects on delete cascade,
  kind text not null check (kind in ('language', 'library', 'tool')),
  name text not null,
  count integer not null,
  evidence jsonb not null,
  primary key (project_id, kind, name)
);
comment on table projects.skills is 'The languages, libraries and tools of a project. Replaced as a whole whenever the project is processed.';
comment on column projects.skills.kind is 'language, library or tool.';
comment on column projects.skills.count is 'The number of places where it was found: source files of a language, manifests that name a library.';
comment on column projects.skills.evidence is 'The first of these places: an array of {file, line, found}.';

create table if not exists projects.refreshes (
  job_id bigint primary key,
  project_id uuid not null references projects.projects on delete cascade,
  requested_by text not null,
  requested_at timestamptz not null default now()
);
comment on table projects.refreshes is 'Refreshes requested through the app. Written in the transaction that enqueues the refresh, and kept for 30 days.';
comment on column projects.refreshes.job_id is 'The enqueued job: a row of projects.jobs for as long as Legwork keeps its history.';
comment on column projects.refreshes.requested_by is 'The token with which the refresh was requested.';
create index if not exists refreshes_project_id on projects.refreshes (project_id, requested_at);
create index if not exists refreshes_requested_at on projects.refreshes (requested_at);

-- The view reads the jobs themselves, so a status is never out of date. One of the two sources is always empty: sessions that are
-- confined to a tenant find jobs in legwork_confined, other sessions in legwork.
create or replace view projects.jobs with (security_invoker) as
select
  j.id, case when j.task = 'project_processing' and j.payload ->> 'refresh' = 'true' then 'refresh' else j.task end as type,
  j.payload ->> 'projectId' as project_id, substr(j.tenant, length('projects-user-') + 1) as user_id,
  case
    when j.state = 'running' then 'processing'
    when j.state in ('completed', 'failed', 'cancelled', 'expired') then j.state::text
    else 'queued'
  end as status,
  case sign(j.priority) when -1 then 'high' when 0 then 'normal' else 'low' end as priority,
  j.created_at, j.started_at, j.finished_at as completed_at, j.result,
  -- A job that completed in a later attempt has no error.
  case when j.state <> 'completed' then j.error end as error,
  greatest(j.attempts - 1, 0) as retry_count, j.max_attempts - 1 as max_retries, j.progress, j.progress_message
from (
  select id, task, payload, tenant, state, priority, created_at, started_at, finished_at, result, error, attempts, max_attempts, progress, progress_message
  from legwork.jobs
  union all
  select id, task, payload, tenant, state, priority, created_at, started_at, finished_at, result, error, attempts, max_attempts, progress, progress_message
  from legwork_confined.jobs
) j
where j.task in ('project_processing', 'skills_extraction') and j.tenant like 'projects-user-%';
comment on view projects.jobs is 'The app''s jobs, in the app''s terms. A session that is confined to a user sees only that user''s jobs.';
comment on column projects.jobs.type is 'project_processing, skills_extraction, or refresh if a user requested the processing.';
comment on column projects.jobs.project_id is 'The project in the job''s payload.';
comment on column projects.jobs.user_id is 'The project''s owner.';
comment on column projects.jobs.status is 'queued, processing, completed, failed, cancelled or expired.';
comment on column projects.jobs.priority is 'low, normal or high.';
comment on column projects.jobs.error is 'The last error; null for a completed job.';
comment on column projects.jobs.retry_count is 'The number of attempts after the first.';
comment on column projects.jobs.max_retries is 'The maximum number of retries.';
comment on column projects.jobs.progress is 'The progress (%), while the job runs and afterward.';
comment on column projects.jobs.progress_message is 'The current activity of the job.';

-- Triggers can be created only for registered tasks. Workers register their tasks when they start; tasks that are already
-- registered are not changed here.
select legwork_private.register_tasks(jsonb_agg(jsonb_build_object('name', needed.name)))
from unnest(array['project_processing', 'skills_extraction', 'retention/expire']) as needed (name)
where not exists (select from legwork.tasks t where t.name = needed.name)
having count(*) > 0;

select legwork.enqueue_on(
  'projects.projects', 'insert or update', 'project_processing',
  payload => '{"projectId": "id"}', columns => '{repository_url,refresh_requested_at}', tenant_column => 'tenant', max_attempts => 4);
