-- Takes the chat's background jobs back, in one transaction: its queues are paused, so that nothing more starts; their jobs are cancelled, and
-- what runs is told to stop; its schedules are removed. Its tables and the history stay. Starting the example again makes the
-- schedules anew; the queues stay paused until somebody resumes them.

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
