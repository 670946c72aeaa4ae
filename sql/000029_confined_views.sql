-- Tenants for the views that were made before there were tenants, or after their views: schedules, workflows, batches, steps.
-- Locks: none on tables.

-- Few rows, or looked up by job, workflow or schedule: one view for all, with security_barrier, as for legwork.logs (000020). Sub-selects, because
-- they are asked once a query.
do $$
declare
  v_name text;
  v_comment record;
begin
  foreach v_name in array array['workflows', 'workflow_steps', 'batches', 'steps', 'schedules', 'schedule_runs'] loop
    execute format('alter view legwork.%1$I rename to %2$I', v_name, 'all_' || v_name);
    execute format(
      'create view legwork.%1$I with (security_barrier) as select * from legwork.%2$I '
      'where (select legwork.confined_tenant()) is null or tenant = (select legwork.confined_tenant())', v_name, 'all_' || v_name);
    for v_comment in
      select a.attname, d.description
      from pg_description d
      left join pg_attribute a on a.attrelid = d.objoid and a.attnum = d.objsubid and d.objsubid > 0
      where d.objoid = format('legwork.%I', 'all_' || v_name)::regclass and d.classoid = 'pg_class'::regclass
    loop
      if v_comment.attname is null then
        execute format('comment on view legwork.%I is %L', v_name, v_comment.description);
      else
        execute format('comment on column legwork.%I.%I is %L', v_name, v_comment.attname, v_comment.description);
      end if;
    end loop;
    execute format('comment on view legwork.%I is %L', 'all_' || v_name,
      format('The rows of everybody, for the functions and views of this schema. Read legwork.%s.', v_name));
  end loop;
end $$;
