-- The projects example: repositories whose plan files become tasks, progress and skills.
--
-- Safe to run at every start. Changing a project's address, or asking for a refresh, enqueues its processing in the same
-- transaction: there is no other way in, and nothing to remember.

create schema if not exists projects;
comment on schema projects is 'The projects example: what repositories plan, how far they are and what they are made with.';

create table if not exists projects.projects (
  id uuid primary key default gen_random_uuid(),
  repository_url text not null unique check (length(repository_url) between 1 and 2000),
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
  skills_processed_at timestamptz
);
comment on table projects.projects is 'One row per git repository.';
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

-- A trigger is made for tasks that are known. They are once a worker that has them has started; what a worker has told of
-- them stays as it is.
select legwork.register_tasks(jsonb_agg(jsonb_build_object('name', needed.name)))
from unnest(array['project_processing', 'skills_extraction']) as needed (name)
where not exists (select from legwork.tasks t where t.name = needed.name)
having count(*) > 0;

-- The serial key keeps a project's jobs one after the other, so that none overtakes an older one.
select legwork.enqueue_on(
  'projects.projects', 'insert or update', 'project_processing',
  payload => '{"projectId": "id"}', columns => '{repository_url,refresh_requested_at}', serial_key => 'project', max_attempts => 5);
