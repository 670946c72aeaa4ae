-- Jobs that ended since $1, by task: their number, the number of failures, and how long they took (s).
select task, count(*) as jobs, count(*) filter (where state = 'failed') as failed,
  round(avg(extract(epoch from finished_at - started_at)), 3) as mean, round(max(extract(epoch from finished_at - started_at)), 3) as longest
from legwork_private.finished_jobs where finished_at >= $1::timestamptz group by 1 order by 1
