-- Events since $1, with the number of occurrences and the time of the last one.
select event, count(*) as times, max(created_at) as last from chat.logs where created_at >= $1::timestamptz group by 1 order by 1
