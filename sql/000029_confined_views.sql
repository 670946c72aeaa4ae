-- Tenants for the views that were made before there were tenants, or after their views: schedules, workflows, batches, steps.
-- Locks: none on tables.

-- One view for all, with security_barrier, as for legwork.logs (000020). Sub-selects, because they are asked once a query. Those that grow and are
-- read in pages have the order of the pages in them: a barrier hides from the planner in which order its caller wants the rows, and a page of fifty
-- would be sorted out of everything. A query that asks for another order sorts as ever.
do $$
declare
  v_name text;
  v_order text;
  v_comment record;
begin
  for v_name, v_order in
    values ('workflows', 'order by id desc'), ('workflow_steps', ''), ('batches', 'order by id desc'), ('steps', ''), ('schedules', ''),
      ('schedule_runs', 'order by schedule, due_at desc')
  loop
    execute format('alter view legwork.%1$I rename to %2$I', v_name, 'all_' || v_name);
    execute format(
      'create view legwork.%1$I with (security_barrier) as select * from legwork.%2$I '
      'where (select legwork.confined_tenant()) is null or tenant = (select legwork.confined_tenant()) %3$s', v_name, 'all_' || v_name, v_order);
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
