-- Two users, each with a work calendar, an archive and a few days of events. Created once, when the example database is empty.

insert into calendar.users (id, email, timezone)
select * from (values (1, 'ann@example.com', 'Europe/Vienna'), (2, 'bob@example.com', 'America/New_York')) as u (id, email, timezone)
where not exists (select from calendar.users);

insert into calendar.calendars (id, user_id, name)
select * from (values (1, 1, 'Work'), (2, 1, 'Archive'), (3, 2, 'Work'), (4, 2, 'Archive')) as c (id, user_id, name)
where not exists (select from calendar.calendars) and (select count(*) from calendar.users) = 2;

insert into calendar.archive_configurations (id, user_id, source_id, archive_id)
select c.* from (values (1, 1, 1, 2), (2, 2, 3, 4)) as c (id, user_id, source_id, archive_id)
where not exists (select from calendar.archive_configurations) and (select count(*) from calendar.calendars) = 4;

insert into calendar.events (calendar_id, title, starts_at, ends_at)
select c.id, w.title, day + w.starts, day + w.starts + interval '1 hour'
from calendar.calendars c,
  generate_series(date_trunc('day', now()) - interval '6 days', date_trunc('day', now()), interval '1 day') as d (day),
  (values ('Stand-up', interval '9 hours'), ('Review', interval '14 hours')) as w (title, starts)
where c.name = 'Work' and not exists (select from calendar.events);

-- Rows that are added later get higher ids than the sample.
select setval(pg_get_serial_sequence('calendar.users', 'id'), greatest(max(id), 1)) from calendar.users;
select setval(pg_get_serial_sequence('calendar.calendars', 'id'), greatest(max(id), 1)) from calendar.calendars;
select setval(pg_get_serial_sequence('calendar.archive_configurations', 'id'), greatest(max(id), 1)) from calendar.archive_configurations;
