-- The projects example: repositories whose plan files become tasks, progress and skills.
--
-- Safe to run at every start. Changing a project's address, or asking for a refresh, enqueues its processing in the same
-- transaction: there is no other way in, and nothing to remember.

create schema if not exists projects;
comment on schema projects is 'The projects example: what repositories plan, how far they are and what they are made with.';

create table if not exists projects.users (
  id uuid primary key default gen_random_uuid(),
  email text not null unique
);
comment on table projects.users is 'Whose projects are read. Their jobs belong to the tenant projects-user-<id>.';

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
comment on column projects.projects.user_id is 'Whose it is: nobody else sees it, its jobs or its history.';
comment on column projects.projects.tenant is 'The tenant of its jobs.';
comment on column projects.projects.repository_url is 'Where to clone it from: https, http, ssh, git@host:path, file or an absolute path.';
comment on column projects.projects.plan_file is 'The file to look at first, by its path in the repository; null looks at the usual ones only.';
comment on column projects.projects.name is 'What to call it; the last part of its address by default.';
comment on column projects.projects.task_count is 'Check boxes in the plan file.';
comment on column projects.projects.completed_count is 'Those that are ticked.';
comment on column projects.projects.progress_percentage is 'completed_count of task_count in percent; 0 when there are none.';
comment on column projects.projects.found_plan_file is 'The file the tasks are from; null when no file has check boxes.';
comment on column projects.projects.commit is 'The commit that was read.';
comment on column projects.projects.refresh_requested_at is 'When somebody last asked for a refresh; setting it enqueues one.';
comment on column projects.projects.processed_at is 'When its tasks were last stored; null before that.';
comment on column projects.projects.skills_processed_at is 'When its skills were last stored; null before that.';

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
comment on column projects.tasks.position is 'Its place in the file, counted from 1.';
comment on column projects.tasks.parent is 'The position of the check box it stands below; null at the top.';
comment on column projects.tasks.depth is 'How many check boxes it stands below.';
comment on column projects.tasks.section is 'The headings it stands under, the outermost first.';
comment on column projects.tasks.line is 'Its line in the plan file.';

create table if not exists projects.skills (
  project_id uuid not null references projects.projects on delete cascade,
  kind text not null check (kind in ('language', 'library', 'tool')),
  name text not null,
  count integer not null,
  evidence jsonb not null,
  primary key (project_id, kind, name)
);
comment on table projects.skills is 'What a project is made with. Replaced as a whole whenever the project is processed.';
comment on column projects.skills.kind is 'language, library or tool.';
comment on column projects.skills.count is 'Places it was found in: source files of a language, manifests that name a library.';
comment on column projects.skills.evidence is 'The first of those places: an array of {file, line, found}.';

create table if not exists projects.refreshes (
  job_id bigint primary key,
  project_id uuid not null references projects.projects on delete cascade,
  requested_by text not null,
  requested_at timestamptz not null default now()
);
comment on table projects.refreshes is 'Who asked for which refresh by way of the app. Written in the transaction that enqueues it, kept for 30 days.';
comment on column projects.refreshes.job_id is 'The job that was enqueued: a row of projects.jobs for as long as Legwork keeps its history.';
comment on column projects.refreshes.requested_by is 'Whose token it was.';
create index if not exists refreshes_project_id on projects.refreshes (project_id, requested_at);
create index if not exists refreshes_requested_at on projects.refreshes (requested_at);

-- A record is the job itself, so that none can be left behind at a status that is not true any more. Of the two views one is
-- empty: who is confined to a tenant finds jobs in legwork_confined, who is not in legwork.
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
  -- A job that has come to a good end in a later attempt has no error.
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
comment on view projects.jobs is 'The jobs of the app, in its own words: of one user for a session that is confined to one.';
comment on column projects.jobs.type is 'project_processing, skills_extraction, or refresh for a processing that somebody asked for.';
comment on column projects.jobs.project_id is 'The project, as its payload names it.';
comment on column projects.jobs.user_id is 'Whose project it is.';
comment on column projects.jobs.status is 'queued, processing, completed, failed, cancelled or expired.';
comment on column projects.jobs.priority is 'low, normal or high.';
comment on column projects.jobs.error is 'What went wrong last; null for a completed job.';
comment on column projects.jobs.retry_count is 'Attempts after the first.';
comment on column projects.jobs.max_retries is 'How many of them there may be.';
comment on column projects.jobs.progress is 'How much is done (%), while it runs and after.';
comment on column projects.jobs.progress_message is 'What it is doing.';

-- A trigger is made for tasks that are known. They are once a worker that has them has started; what a worker has told of
-- them stays as it is.
select legwork_private.register_tasks(jsonb_agg(jsonb_build_object('name', needed.name)))
from unnest(array['project_processing', 'skills_extraction', 'retention/expire']) as needed (name)
where not exists (select from legwork.tasks t where t.name = needed.name)
having count(*) > 0;

select legwork.enqueue_on(
  'projects.projects', 'insert or update', 'project_processing',
  payload => '{"projectId": "id"}', columns => '{repository_url,refresh_requested_at}', tenant_column => 'tenant', max_attempts => 4);
