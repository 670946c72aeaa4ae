-- Each provider's requests in the last 24 hours, compared with the daily average of the week before.
with requests as (
  select u.*, u.used_at > now() - interval '1 day' as is_today from assistant.ai_usage u where u.used_at > now() - interval '8 days'
), days as (
  select p.priority, p.provider, p.state, p.percent,
    count(r.id) filter (where r.is_today) as requests, coalesce(sum(r.tokens) filter (where r.is_today), 0) as tokens,
    count(r.id) filter (where r.is_today and not r.ok) as failed,
    round((avg(r.milliseconds) filter (where r.is_today and r.ok))::numeric, 1) as mean_ms,
    round((percentile_cont(0.95) within group (order by r.milliseconds) filter (where r.is_today and r.ok))::numeric, 1) as p95_ms,
    round(count(r.id) filter (where not r.is_today) / 7.0, 1) as usual_requests,
    round((avg(r.milliseconds) filter (where not r.is_today and r.ok))::numeric, 1) as usual_ms
  from assistant.providers p left join requests r on r.provider = p.provider
  group by p.priority, p.provider, p.state, p.percent
)
select d.*, concat_ws('; ',
  case when d.requests >= 10 and d.requests > 3 * d.usual_requests then 'more than three times as many requests as usual' end,
  case when d.usual_requests >= 10 and d.requests < d.usual_requests / 3 then 'less than a third of the usual requests' end,
  case when d.requests >= 10 and d.failed > 0.1 * d.requests then 'more than one in ten requests failed' end,
  case when d.mean_ms > 3 * d.usual_ms then 'three times as slow as usual' end) as anomalies,
  concat_ws('; ',
  case when d.percent >= 80 then 'raise the quota or move requests to another provider' end,
  case when d.requests >= 10 and d.failed > 0.1 * d.requests then 'investigate the failures, or lower the provider''s priority' end) as recommendations
from days d
order by d.priority
