-- What GraphQL and the live views need beyond the views themselves: an index for the children of a job, the views that whoever acts for one
-- tenant reads, and counters that cost nothing.
-- Locks: SHARE on graphile_worker._private_jobs while the index is made.

-- The children of a job. Costs only the jobs that have flags, and only those of them that have a parent take room.
create index finished_jobs_parent_id on legwork.finished_jobs (parent_id, id) where parent_id is not null;
create index _legwork_parent on graphile_worker._private_jobs ((case when flags is not null then legwork.parent_of(flags) end), id)
  where (case when flags is not null then legwork.parent_of(flags) end) is not null;

-- As for jobs and attempts (sql/000020_access.sql): one predicate, so that a small tenant's page comes from an index that begins with the
-- tenant, and does not read what is everybody's.
create view legwork_confined.audit_log as
select e.id, e.occurred_at, e.actor, e.database_role, e.surface, e.operation, e.target_type, e.target, e.tenant, e.count, e.before, e.after
from legwork.audit_entries e
where e.tenant = legwork.confined_to();

do $$
declare
  v_comment record;
begin
  for v_comment in
    select c.relname, a.attname, d.description
    from pg_class c
    join pg_description d on d.objoid = format('legwork.%I', c.relname)::regclass and d.classoid = 'pg_class'::regclass
    left join pg_attribute a on a.attrelid = d.objoid and a.attnum = d.objsubid and d.objsubid > 0
    where c.relnamespace = 'legwork_confined'::regnamespace and c.relname = any (array['audit_log'])
  loop
    if v_comment.attname is null then
      execute format('comment on view legwork_confined.%I is %L', v_comment.relname, v_comment.description);
    else
      execute format('comment on column legwork_confined.%I.%I is %L', v_comment.relname, v_comment.attname, v_comment.description);
    end if;
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
