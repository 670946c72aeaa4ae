-- Messages and authors per day since $1.
select created_at::date as day, count(*) as messages, count(distinct user_id) as writers
from chat.messages where created_at >= $1::timestamptz group by 1 order by 1
