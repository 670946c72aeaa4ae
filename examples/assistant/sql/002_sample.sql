-- Two students with old and new conversations and memories. Created once, when the example database is empty.

with made as (
  insert into assistant.profiles (name) select n from (values ('Ann'), ('Bob')) as s (n) where not exists (select from assistant.profiles) returning id
), subject as (
  insert into assistant.subjects (name) select 'Mathematics' where exists (select from made) returning id
), topic as (
  insert into assistant.topics (subject_id, name) select id, 'Fractions' from subject returning id
), said as (
  insert into assistant.chat_conversations (profile_id, topic_id, title, messages, last_message_at)
  select m.id, t.id, 'Halves and thirds', '[{"role": "user", "content": "What is a half and a third?"}]', now() - age
  from made m, topic t, (values (interval '2 days'), (interval '10 months')) as a (age)
), cached as (
  insert into assistant.response_cache select 'fractions', '"5/6"', now() - interval '1 hour' from subject
)
insert into assistant.study_chat_memory (profile_id, topic_id, content, created_at)
select m.id, t.id, 'Asks about fractions.', now() - age from made m, topic t, (values (interval '1 day'), (interval '9 months')) as a (age);
