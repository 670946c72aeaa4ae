-- The demo's own table. Safe to run at every start.

create schema if not exists demo;
comment on schema demo is 'The demo of npm start, which runs all examples together.';

create table if not exists demo.examples (
  name text primary key,
  started_at timestamptz not null default now()
);
comment on table demo.examples is 'The examples that have been started on this database. What they do at the first start is not repeated.';

select legwork_private.register_tasks('[{"name": "demo/newsletter", "queue": "newsletter"}]')
where not exists (select from legwork.tasks t where t.name = 'demo/newsletter');
