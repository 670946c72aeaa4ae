-- Rolls back the chat's background jobs in one transaction: pauses the queues, so that no more jobs start, cancels their jobs, including running
-- ones, and removes the schedules. The tables and the history stay. Starting the example again recreates the schedules, but the queues stay
-- paused until an operator resumes them.

begin;

select q.name as queue, legwork.pause_queue(q.name, 'The chat''s jobs are rolled back.')
from unnest(array['cleanup', 'maintenance', 'notification', 'report']) as q (name);

select q.name as queue, count(c.id) as cancelled
from unnest(array['cleanup', 'maintenance', 'notification', 'report']) as q (name)
left join lateral legwork.cancel_jobs(jsonb_build_object('queue', q.name), 'Rolled back', at_most => 1000000) as c (id) on true
group by q.name;

select s.name as schedule, legwork.unschedule(s.name)
from legwork.schedules s
where s.name in ('chat-cleanup', 'chat-maintenance', 'chat-report');

commit;
