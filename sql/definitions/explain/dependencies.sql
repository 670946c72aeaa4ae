create or replace function legwork_private.explain_dependencies(job_id bigint) returns table (reason text, detail text, fix text, actions jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select 'dependency'::text,
      case when j.is_hidden then 'It is waiting for a job outside your tenant'
        else format('It is waiting for job %s (%s), which is %s', x.depends_on, coalesce(j.task, 'task unknown'), coalesce(j.state::text, 'gone')) end
        || case when x.n = 5 and x.jobs > 5 then format(', and for %s more.', x.jobs - 5) else '.' end,
      case
        when j.is_hidden then 'Wait, or ask the operator who enqueued it.'
        when a.action ->> 'do' = 'tick' then 'a running Legwork worker will release it within a second. If none is running, ' || legwork_private.suggest('release it now', a.action)
        when a.action is null then 'Wait for that job to end.'
        else legwork_private.suggest('see why that job is not running', a.action)
      end,
      case when j.is_hidden or a.action is null then '[]' else jsonb_build_array(a.action) end
    from (
      select d.depends_on, d.ended_as, row_number() over (order by d.depends_on) as n, count(*) over () as jobs
      from legwork_private.dependencies d where d.job_id = explain_dependencies.job_id
    ) x
    left join lateral (
      -- From all_jobs, because legwork.jobs shows nothing to a session that is confined to a tenant.
      select o.task, o.state, o.finished_at, o.tenant is distinct from coalesce(legwork_private.confined_tenant(), o.tenant) as is_hidden
      from legwork_private.all_jobs o where o.id = x.depends_on limit 1
    ) j on true
    cross join lateral (
      select case
        when x.ended_as is not null or j.finished_at is not null then '{"do": "tick"}'
        when j.state is distinct from 'running' then jsonb_build_object('do', 'explain_job', 'id', x.depends_on::text) end
    ) a (action)
    where x.n <= 5
    order by x.n;
  return query
    select 'set_aside'::text, format('Its dependencies have ended, but releasing it failed: %s.', a.error),
      'fix the cause that the error names. Legwork retries every few minutes. When it is fixed, ' || legwork_private.suggest('retry now', '{"do": "take_up"}'), '[{"do": "take_up"}]'::jsonb
    from legwork_private.set_aside a where a.what = 'job' and a.item = explain_dependencies.job_id::text;
end $$;
comment on function legwork_private.explain_dependencies(bigint) is 'The jobs that a job waits for, five at most, with their states, and the error if releasing the job failed.';
