-- Database roles with least privileges: groups without a login, which a database administrator grants to logins.
--
-- They are not created automatically, because roles belong to the whole server and not to this database. legwork.create_roles() creates them and
-- grants their privileges. Migrating repeats the grants for roles that exist, to cover new objects.
create or replace function legwork_private.role_functions() returns table (role text, function text)
language sql immutable parallel safe
as $$
  select r.role, f.function
  from (values
    ('legwork_reader', array['explain_job', 'explain_schedule', 'explain_workflow', 'explain_queue', 'explain_worker', 'job_timeline', 'describe_limits', 'describe_retry', 'known_queues', 'ids_created', 'emergency_stop_details', 'step_results',
      'health', 'read_metrics', 'task_statistics', 'job_reruns', 'task_series', 'worker_starts_between', 'silences', 'limits_in_use', 'limit_use',
      'awaits_signal', 'results_of', 'await_results', 'policy_attempts', 'count_jobs', 'workers_needed', 'doctor', 'installed_schema', 'find_failed_groups']),
    ('legwork_enqueuer', array['enqueue', 'enqueue_many', 'enqueue_batch', 'start_workflow', 'describe_limits', 'describe_retry', 'installed_schema']),
    ('legwork_operator', array['cancel_job', 'cancel_jobs', 'retry_job', 'retry_jobs', 'discard_job', 'discard_jobs', 'rerun_job', 'rerun_jobs', 'set_priority', 'set_priorities', 'put_pause', 'lift_pause',
      'set_worker_state', 'quiet_worker', 'resume_worker', 'drain_worker', 'pause_queue', 'resume_queue', 'pause_task', 'resume_task', 'emergency_stop', 'resume_all', 'put_limit', 'limit_concurrency', 'limit_rate', 'drop_limit', 'reset_limits', 'set_retry_policy', 'drop_retry_policy', 'give_back_jobs', 'tick', 'tick_one_by_one', 'take_up', 'reconcile',
      'schedule', 'unschedule', 'enable_schedule', 'disable_schedule', 'run_schedule', 'cancel_workflow', 'retry_workflow', 'send_signal',
      'plans_wanted', 'put_plan', 'acknowledge_alert', 'set_alert_rule', 'drop_alert_rule', 'restore_alert_rules', 'set_alert_channels', 'silence_alerts', 'end_silence',
      'start_bulk_action', 'stop_bulk_action', 'preview_bulk_action', 'run_bulk_action',
      'stage_imports', 'enqueue_imports', 'settle_imports', 'known_imports']),
    ('legwork_worker', array['register_tasks', 'worker_beat', 'worker_poll', 'worker_blocked', 'worker_stopped', 'attempt_verdicts', 'recover_jobs', 'give_back_jobs', 'tick', 'tick_one_by_one', 'reconcile',
      'maintain_history', 'record_output', 'trim_logs', 'fire_schedules', 'plan_intervals', 'plans_wanted', 'put_plan', 'register_crontab', 'load_steps', 'record_step', 'record_failed_step',
      'await_step', 'invoke_step', 'step_results', 'due_duties', 'run_duty', 'worker_host', 'note_worker_fault', 'cancelled_jobs', 'enqueue', 'enqueue_many', 'enqueue_batch', 'start_workflow',
      'installed_schema', 'run_bulk_action', 'workers_needed']),
    ('legwork_admin', array['create_token', 'revoke_token', 'find_token', 'change_setting', 'confine_login', 'claim_request', 'keep_response', 'activity', 'last_worker_faults', 'due_duties', 'run_duty', 'run_bulk_action'])
  ) as r (role, functions)
  cross join lateral unnest(r.functions) as f (function)
$$;
comment on function legwork_private.role_functions() is
  'The functions that each database role may call, in addition to those granted to public. Every new security definer function must be listed here.';

create or replace function legwork_private.grant_roles() returns setof text
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_role text;
  v_function regprocedure;
  v_relation regclass;
begin
  for v_role in
    select r.rolname from pg_roles r
    where r.rolname in ('legwork_reader', 'legwork_enqueuer', 'legwork_operator', 'legwork_worker', 'legwork_admin') order by 1
  loop
    -- Revokes all earlier privileges, so that the role has exactly those that are granted below.
    execute format('revoke all on all tables in schema legwork, legwork_private, legwork_tenant, legwork_confined from %I', v_role);
    execute format('revoke all on all functions in schema legwork, legwork_private from %I', v_role);
    execute format('grant usage on schema legwork, legwork_private to %I', v_role);
    for v_function in
      select p.oid::regprocedure from pg_proc p
      join legwork_private.role_functions() f on f.function = p.proname
      where p.pronamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace) and f.role = v_role
    loop
      execute format('grant execute on function %s to %I', v_function, v_role);
    end loop;
    return next v_role;
  end loop;

  if to_regrole('legwork_reader') is not null then
    grant usage on schema legwork_tenant to legwork_reader;
    for v_relation in
      select c.oid::regclass from pg_class c
      where c.relkind = 'v' and (c.relnamespace = 'legwork_tenant'::regnamespace
        or c.relnamespace = 'legwork'::regnamespace and c.relname not in ('token_list', 'audit_log')
        or c.oid in ('legwork_private.workflows_page'::regclass, 'legwork_private.schedule_runs_page'::regclass))
    loop
      execute format('grant select on %s to legwork_reader', v_relation);
    end loop;
  end if;
  if to_regrole('legwork_enqueuer') is not null then
    grant select on legwork.tasks to legwork_enqueuer;
  end if;
  if to_regrole('legwork_admin') is not null then
    grant usage on schema legwork_confined to legwork_admin;
    grant select on all tables in schema legwork_confined to legwork_admin;
    grant select on legwork.token_list, legwork.audit_log, legwork_private.audit_log_page, legwork.settings, legwork.migrations to legwork_admin;
  end if;
  if to_regrole('legwork_worker') is not null then
    grant select on legwork_private.task_limits, legwork.tasks, legwork.migrations to legwork_worker;
    grant usage on schema graphile_worker to legwork_worker;
    grant usage on all sequences in schema graphile_worker to legwork_worker;
    grant execute on all functions in schema graphile_worker to legwork_worker;
    for v_relation in
      select c.oid::regclass from pg_class c where c.relnamespace = 'graphile_worker'::regnamespace and c.relkind in ('r', 'v')
    loop
      execute format('grant %s on %s to legwork_worker',
        case when v_relation::text like '%.\_private\_%' then 'select, insert, update, delete' else 'select' end, v_relation);
      -- graphile-worker's tables have row security and no policy, so only their owner sees rows.
      if (select c.relrowsecurity from pg_class c where c.oid = v_relation)
        and not exists (select from pg_policy p where p.polrelid = v_relation and p.polname = '_legwork_worker')
      then
        execute format('create policy _legwork_worker on %s to legwork_worker using (true) with check (true)', v_relation);
      end if;
    end loop;
  end if;
end $$;
comment on function legwork_private.grant_roles() is
  'Grants each existing role of legwork.create_roles() exactly the privileges that it needs in this database. Returns those roles. Only the owner of the schemas can call it.';
revoke execute on function legwork_private.grant_roles() from public;

create or replace function legwork.create_roles() returns setof text
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_role text;
  v_member record;
begin
  foreach v_role in array array['legwork_reader', 'legwork_enqueuer', 'legwork_operator', 'legwork_worker', 'legwork_admin'] loop
    begin
      if to_regrole(v_role) is null then
        execute format('create role %I nologin', v_role);
      end if;
    exception when duplicate_object or unique_violation then
      -- The role was created at the same moment from another database of this server.
      null;
    end;
  end loop;
  for v_member in
    select * from (values ('legwork_reader', 'legwork_operator'), ('legwork_enqueuer', 'legwork_operator'), ('legwork_operator', 'legwork_admin'),
      ('legwork_enqueuer', 'legwork_worker')) as m (role, member)
    where not exists (select from pg_auth_members a where a.roleid = to_regrole(m.role) and a.member = to_regrole(m.member))
  loop
    execute format('grant %I to %I', v_member.role, v_member.member);
  end loop;
  return query select legwork_private.grant_roles();
end $$;
comment on function legwork.create_roles() is
  'Creates those of the roles legwork_reader, legwork_enqueuer, legwork_operator, legwork_worker and legwork_admin that do not exist, and grants all of them the privileges that they need in this '
  'database. They are groups: grant legwork_worker to some_login. Needs createrole and ownership of the schemas. docs/guides/access.md lists what each role may do.';
revoke execute on function legwork.create_roles() from public;
