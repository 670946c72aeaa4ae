-- Why a workflow does not progress, or how it ended.
create or replace function legwork_private.explain_step(step legwork_private.workflow_run_steps, job_id bigint) returns table (reason text, detail text, fix text, actions jsonb)
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_job record;
  v_why record;
  v_trouble record;
  v_what text := case when job_id = step.compensation_job_id then format('The compensation of step ''%s'' (job %s)', step.name, job_id) else format('Step ''%s'' (job %s)', step.name, job_id) end;
begin
  select j.state, j.finished_at into v_job from legwork_private.all_jobs j where j.id = explain_step.job_id limit 1;
  if v_job.state is null then
    return;
  end if;
  select e.reason, e.detail, e.fix, e.actions into v_why from legwork.explain_job(explain_step.job_id) e order by e."position" limit 1;
  reason := case v_job.state when 'running' then 'step_running' when 'retrying' then 'step_retrying' else 'step_waits' end;
  detail := case when starts_with(v_why.detail, 'It is running: ') then format('%s %s', v_what, substr(v_why.detail, 4)) else format('%s is %s. %s', v_what, v_job.state, v_why.detail) end;
  fix := v_why.fix;
  actions := v_why.actions;
  if v_why.reason = 'running' then
    -- What keeps it from ending comes after what it is doing.
    select e.detail, e.fix, e.actions into v_trouble from legwork.explain_job(explain_step.job_id) e
    where e.reason in ('worker_silent', 'worker_blocked', 'cancelling') order by e."position" limit 1;
    if found then
      detail := detail || ' ' || v_trouble.detail;
      fix := v_trouble.fix;
      actions := v_trouble.actions;
    end if;
  end if;
  return next;
end $$;
comment on function legwork_private.explain_step(legwork_private.workflow_run_steps, bigint) is
  'The reason that explain_workflow returns for an open job of a workflow step: its state, and the first reason of explain_job; for a running job also the first one that keeps it from ending. No row if the job no longer exists.';

create or replace function legwork_private.explain_open_steps(run legwork_private.workflow_runs) returns table (reason text, detail text, fix text, actions jsonb)
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_open bigint[];
  v_ready bigint[];
  v_job bigint;
  v_step legwork_private.workflow_run_steps;
  v_behind bigint;
  v_next record;
begin
  -- Only the oldest two thousand, because a workflow may have twenty thousand steps.
  v_open := array(select distinct d.depends_on from legwork_private.dependencies d where d.run_id = run.id and d.ended_as is null order by d.depends_on limit 2000);
  v_ready := array(
    select o.id from unnest(v_open) as o (id)
    where not exists (select from legwork_private.dependencies d where d.job_id = o.id and d.ended_as is null) order by o.id);
  foreach v_job in array v_ready[:5] loop
    select * into v_step from legwork_private.workflow_run_steps s where s.workflow_id = run.id and v_job in (s.job_id, s.compensation_job_id);
    return query select s.* from legwork_private.explain_step(v_step, v_job) s;
  end loop;
  if cardinality(v_ready) > 5 then
    reason := 'steps_open'; actions := '[]';
    detail := format('%s can also make progress.', legwork_private.counted(cardinality(v_ready) - 5, 'more step'));
    fix := 'See them in legwork.workflow_steps';
    return next;
  end if;
  v_behind := cardinality(v_open) - cardinality(v_ready);
  if v_behind > 0 then
    select s.name, array_to_string(s.depends_on[:5], ''', ''') as before into v_next from legwork_private.workflow_run_steps s
    where s.workflow_id = run.id and s.job_id = any (v_open) and s.job_id <> all (v_ready) order by s.position limit 1;
    reason := 'steps_behind'; actions := '[]';
    detail := format('%s %s for other steps to end%s.', legwork_private.counted(v_behind, case when cardinality(v_open) = 2000 then 'or more step' else 'step' end), case v_behind when 1 then 'waits' else 'wait' end,
      case when v_next.before <> '' then format('; the first, ''%s'', for ''%s''', v_next.name, v_next.before) end);
    fix := 'Nothing to do: each starts when the steps before it have ended';
    return next;
  elsif v_open = '{}' then
    reason := 'workflow_ending'; actions := '[{"do": "tick"}]';
    detail := 'All of its steps have ended, and it is about to end.';
    fix := 'A running Legwork worker ends it within a second; ' || legwork_private.suggest('end it now', actions -> 0);
    return next;
  end if;
end $$;
comment on function legwork_private.explain_open_steps(legwork_private.workflow_runs) is
  'What the open steps of a workflow wait for: the first five that could run, each with the first reason of explain_job, and how many wait for other steps.';

create or replace function legwork_private.explain_bad_steps(run legwork_private.workflow_runs) returns table (reason text, detail text, fix text, actions jsonb)
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select 'step_' || x.state, format('Step ''%s'' (job %s, task %s) %s at %s%s', x.name, x.job_id, x.task, x.state, to_char(x.finished_at, 'YYYY-MM-DD HH24:MI:SS TZ'), coalesce(': ' || left(x.error, 500), '.')),
    legwork_private.suggest('see why', a.action), jsonb_build_array(a.action)
  from (
    select s.name, s.job_id, s.task, f.state, f.error, f.finished_at
    from legwork_private.workflow_run_steps s
    cross join lateral legwork_private.workflow_step_end(s.job_id) f
    where s.workflow_id = run.id and s.position is not null and f.state in ('failed', 'expired')
    order by f.finished_at, s.position limit 5
  ) x
  cross join lateral (select jsonb_build_object('do', 'explain_job', 'id', x.job_id::text)) as a (action)
$$;
comment on function legwork_private.explain_bad_steps(legwork_private.workflow_runs) is 'The first five steps of a workflow that failed or expired, with their errors.';

create or replace function legwork_private.explain_run(run legwork_private.workflow_runs) returns table (reason text, detail text, fix text, actions jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_counts record;
  v_done bigint;
  v_retry jsonb := jsonb_build_object('do', 'retry_workflow', 'id', run.id::text);
begin
  select * into v_counts from legwork_private.run_counts_so_far(run.id);
  v_done := run.completed + case when run.state = 'compensating' or run.ended_at is not null then 0 else coalesce(v_counts.completed, 0) end;
  reason := case run.state when 'running' then 'workflow_running' when 'compensating' then 'workflow_compensating' when 'cancelling' then 'workflow_cancelling' else 'workflow_' || run.state end;
  detail := format('%s %s completed.%s',
    case run.state
      when 'running' then format('It has been running for %s.', legwork_private.in_words(date_trunc('second', legwork_private.elapsed(run.created_at, clock_timestamp()))))
      when 'compensating' then 'It failed, and its completed steps are being undone, the last one first.'
      when 'cancelling' then 'It was cancelled and waits for running steps to stop.'
      when 'cancelled' then format('It was cancelled at %s.', to_char(run.ended_at, 'YYYY-MM-DD HH24:MI:SS TZ'))
      else format('It %s at %s.', run.state, to_char(run.ended_at, 'YYYY-MM-DD HH24:MI:SS TZ')) end,
    case when v_done = run.total and run.total > 1 then 'All ' || legwork_private.counted(run.total, 'step') else format('%s of its %s', trim(to_char(v_done, '9,999,999')), legwork_private.counted(run.total, 'step')) end,
    case when run.reason <> '' then ' ' || run.reason end);
  actions := '[]';
  case
    when run.state = 'completed' then fix := 'Nothing to do';
    when run.ended_at is not null then
      fix := legwork_private.suggest(case when run.state = 'failed' then 'fix the cause, then retry the steps that did not complete' else 'retry the steps that did not complete' end, v_retry);
      actions := jsonb_build_array(v_retry);
    when run.deadline is not null and run.state = 'running' then
      fix := format('Nothing to do. Steps that have not ended by %s are cancelled', legwork_private.time_ahead(run.deadline));
    else fix := 'Nothing to do';
  end case;
  return next;
  return query
    select 'workflow_set_aside', format('%s failed: %s.', case a.what when 'deadline' then 'Ending it at its deadline' else 'Ending it' end, left(a.error, 500)),
      'Fix the cause that the error names. Legwork retries every few minutes; ' || legwork_private.suggest('retry now', '{"do": "take_up"}'), '[{"do": "take_up"}]'::jsonb
    from legwork_private.set_aside a where a.what in ('workflow', 'deadline') and a.item = run.id::text;
end $$;
comment on function legwork_private.explain_run(legwork_private.workflow_runs) is 'The reasons that explain_workflow returns for the workflow as a whole: its state, when and why it changed, and the error if ending it failed.';

create or replace function legwork.explain_workflow(workflow_id bigint)
returns table ("position" integer, reason text, detail text, fix text, actions jsonb)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_run legwork_private.workflow_runs;
begin
  perform legwork_private.assert_role('viewer');
  select * into v_run from legwork_private.workflow_runs r
  where r.id = explain_workflow.workflow_id and (legwork_private.confined_tenant() is null or r.tenant = legwork_private.confined_tenant());
  if v_run.id is null then
    raise exception 'No workflow has id %.', coalesce(workflow_id::text, 'null') using
      errcode = 'LW404', detail = '{"do": "list_workflows"}',
      hint = 'Ended workflows are kept for the period set in history_retention; `select id, name from legwork.workflows` lists them.';
  end if;
  "position" := 0;
  for reason, detail, fix, actions in
    select r.reason, r.detail, legwork_private.as_fix(r.fix), legwork_private.open_actions(r.actions) from legwork_private.explain_run(v_run) r
    union all
    select b.reason, b.detail, legwork_private.as_fix(b.fix), legwork_private.open_actions(b.actions) from legwork_private.explain_bad_steps(v_run) b
      -- Finding them reads every step, and a workflow may have twenty thousand steps.
      where v_run.state <> 'completed' and (select w.failed + w.expired from legwork_private.all_workflows w where w.id = v_run.id) > 0
    union all
    select o.reason, o.detail, legwork_private.as_fix(o.fix), legwork_private.open_actions(o.actions) from legwork_private.explain_open_steps(v_run) o where v_run.ended_at is null
  loop
    "position" := "position" + 1;
    return next;
  end loop;
end $$;
comment on function legwork.explain_workflow(bigint) is
  'Explains why a workflow does not progress, in the columns of explain_job. reason is workflow_ and its state (running, compensating, cancelling, completed, failed, cancelled, expired) or workflow_set_aside; '
  'step_failed or step_expired for steps that failed or expired; step_running, step_retrying or step_waits for the steps that could run, with the first reason of explain_job; steps_open, steps_behind or '
  'workflow_ending for the others. Raises LW404 for an unknown workflow.';
revoke execute on function legwork.explain_workflow(bigint) from public;
