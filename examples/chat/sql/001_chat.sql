-- The chat example: messages, logs and a cache that expire, and users who get notifications.
--
-- Safe to run at every start. Registers the tasks, so that their queues can be limited before a worker has started.

create schema if not exists chat;
comment on schema chat is 'The chat example: the data for its cleanup, notification and report jobs.';

create table if not exists chat.users (
  id bigint generated always as identity primary key,
  name text not null,
  email text,
  phone text,
  push_subscription jsonb,
  created_at timestamptz not null default now()
);
comment on table chat.users is 'The chat''s users with their contact details.';
comment on column chat.users.push_subscription is 'The browser''s PushSubscription; null if the user has none.';

create table if not exists chat.messages (
  id bigint generated always as identity primary key,
  user_id bigint not null references chat.users on delete cascade,
  body text not null,
  words tsvector generated always as (to_tsvector('simple', body)) stored,
  created_at timestamptz not null default now()
);
comment on table chat.messages is 'The messages of the chat.';
create index if not exists messages_words on chat.messages using gin (words);
create index if not exists messages_created_at on chat.messages (created_at);

create table if not exists chat.logs (
  id bigint generated always as identity primary key,
  event text not null,
  user_id bigint,
  created_at timestamptz not null default now()
);
comment on table chat.logs is 'Events in the chat, with the user who caused them.';
create index if not exists logs_created_at on chat.logs (created_at);

create table if not exists chat.cache (
  key text primary key,
  value jsonb not null,
  expires_at timestamptz not null
);
comment on table chat.cache is 'Cached values. They are reused until they expire.';

select legwork_private.register_tasks(jsonb_agg(jsonb_build_object('name', needed.name, 'queue', needed.queue)))
from (values ('chat/cleanup', 'cleanup'), ('chat/maintenance', 'maintenance'), ('chat/notification', 'notification'),
  ('chat/report', 'report')) as needed (name, queue)
where not exists (select from legwork.tasks t where t.name = needed.name)
having count(*) > 0;
