-- What GraphQL and the live views need beyond the views themselves: tenants for every view, pages that begin at an index, an index for the
-- children and the origin of a job, and counters that cost nothing.
-- Locks: SHARE on graphile_worker._private_jobs while its index is made.

-- The children of a job. Costs only the jobs that have flags, and only those of them that have a parent take room.
create index finished_jobs_parent_id on legwork.finished_jobs (parent_id, id) where parent_id is not null;
create index _legwork_parent on graphile_worker._private_jobs ((case when flags is not null then legwork.parent_of(flags) end), id)
  where (case when flags is not null then legwork.parent_of(flags) end) is not null;
create index _legwork_correlation on graphile_worker._private_jobs ((case when flags is not null then legwork.flag_value(flags, 'correlation') end), id)
  where (case when flags is not null then legwork.flag_value(flags, 'correlation') end) is not null;
-- A task that has never failed, among many failures. Costs only those.
create index finished_jobs_task_state_id on legwork.finished_jobs (task, state, id) where state <> 'completed';
-- A tenant's jobs of a task, or in a state, that are rare with it and common with others: without these, all of the tenant's or all of the task's are read.
create index finished_jobs_tenant_task_id on legwork.finished_jobs (tenant, task, id) where tenant is not null;
create index finished_jobs_tenant_state_id on legwork.finished_jobs (tenant, state, id) where tenant is not null and state <> 'completed';
-- Where a job comes from.
create index workflow_run_steps_job_id on legwork.workflow_run_steps (job_id) where job_id is not null;
create index schedule_occurrences_job_id on legwork.schedule_occurrences (job_id) where job_id is not null;

create function legwork.copy_comments(from_view regclass, to_view regclass) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_comment record;
begin
  for v_comment in
    select a.attname, d.description
    from pg_description d
    left join pg_attribute a on a.attrelid = d.objoid and a.attnum = d.objsubid and d.objsubid > 0
    where d.objoid = from_view and d.classoid = 'pg_class'::regclass
  loop
    if v_comment.attname is null then
      execute format('comment on view %s is %L', to_view, v_comment.description);
    else
      execute format('comment on column %s.%I is %L', to_view, v_comment.attname, v_comment.description);
    end if;
  end loop;
end $$;
comment on function legwork.copy_comments(regclass, regclass) is 'Gives a view, and those of its columns that both have, the comments of another; for migrations.';

-- What belongs to tenants, and has been everybody's so far. Sub-selects, because they are asked once a query. Those that grow and are read in pages
-- have the order of the pages in them: a barrier hides from the planner in which order its caller wants the rows, and a page of fifty would be
-- sorted out of everything. A query that asks for another order sorts as ever.
do $$
declare
  v_name text;
  v_order text;
begin
  for v_name, v_order in
    values ('workflows', 'order by id desc'), ('workflow_steps', ''), ('batches', 'order by id desc'), ('steps', ''), ('schedules', ''),
      ('schedule_runs', 'order by schedule, due_at desc')
  loop
    execute format('alter view legwork.%1$I rename to %2$I', v_name, 'all_' || v_name);
    execute format(
      'create view legwork.%1$I with (security_barrier) as select * from legwork.%2$I '
      'where (select legwork.confined_tenant()) is null or tenant = (select legwork.confined_tenant()) %3$s', v_name, 'all_' || v_name, v_order);
    perform legwork.copy_comments(format('legwork.%I', 'all_' || v_name)::regclass, format('legwork.%I', v_name)::regclass);
    execute format('comment on view legwork.%I is %L', 'all_' || v_name, format('The rows of everybody, for the functions and views of this schema. Read legwork.%s.', v_name));
  end loop;
end $$;

-- Alerts are about the whole, and name what belongs to whomever.
alter view legwork.alerts rename to all_alerts;
create view legwork.alerts with (security_barrier) as select * from legwork.all_alerts where (select legwork.confined_tenant() is null);
select legwork.copy_comments('legwork.all_alerts', 'legwork.alerts');
comment on view legwork.all_alerts is 'The rows of everybody, for the functions and views of this schema. Read legwork.alerts.';

create view legwork.all_audit_log as
select e.id, e.occurred_at, e.actor, e.database_role, e.surface, e.operation, e.target_type, e.target, e.tenant, e.count, e.before, e.after
from legwork.audit_entries e;
select legwork.copy_comments('legwork.audit_log', 'legwork.all_audit_log');
comment on view legwork.all_audit_log is 'The rows of everybody, for the functions and views of this schema. Read legwork.audit_log.';

-- A security barrier keeps the order of a page from the index: the first fifty of a million would be sorted out of all of them. So what grows has two more
-- views, with one predicate each and no barrier, for the server alone (as sql/000020_access.sql does it for jobs and attempts): which of them it reads
-- is up to its search path.
do $$
declare
  v_name text;
begin
  foreach v_name in array array['workflows', 'schedule_runs', 'audit_log'] loop
    execute format('create view legwork.%1$I as select * from legwork.%2$I where (select legwork.confined_tenant() is null)', v_name || '_page', 'all_' || v_name);
    -- Nothing for a login that is confined by itself, whatever it was granted and sets.
    execute format('create view legwork_confined.%1$I as select * from legwork.%2$I where tenant = legwork.confined_to()
      and (select not exists (select from legwork.confined_logins c where c.login = session_user))', v_name || '_page', 'all_' || v_name);
    perform legwork.copy_comments(format('legwork.%I', v_name)::regclass, format('legwork.%I', v_name || '_page')::regclass);
    perform legwork.copy_comments(format('legwork.%I', v_name)::regclass, format('legwork_confined.%I', v_name || '_page')::regclass);
  end loop;
end $$;

create function legwork.activity(out enqueued bigint, out ended bigint, out failed_attempts bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  -- What Postgres counts anyway: the last id given, and the rows that the history has been given.
  select
    pg_sequence_last_value(pg_get_serial_sequence('graphile_worker._private_jobs', 'id')::regclass),
    (select coalesce(sum(pg_stat_get_tuples_inserted(i.inhrelid)), 0)::bigint from pg_inherits i where i.inhparent = 'legwork.finished_jobs'::regclass),
    (select coalesce(sum(pg_stat_get_tuples_inserted(i.inhrelid)), 0)::bigint from pg_inherits i where i.inhparent = 'legwork.failed_attempts'::regclass)
  where legwork.confined_tenant() is null
$$;
comment on function legwork.activity() is
  'Counters to make rates of: jobs asked for, jobs that have ended, attempts that have failed. They cost nothing, lag by a second, start anew with Postgres''s statistics, go back '
  'when history is dropped, and count what was rolled back too. Nulls for a session that is confined to a tenant.';
revoke execute on function legwork.activity() from public;
