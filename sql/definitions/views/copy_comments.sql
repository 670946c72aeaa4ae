create or replace function legwork_private.copy_comments(from_relation regclass, to_relation regclass) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_comment record;
begin
  for v_comment in
    select f.attname, d.description
    from pg_description d
    join pg_attribute f on f.attrelid = d.objoid and f.attnum = d.objsubid
    join pg_attribute t on t.attrelid = to_relation and t.attname = f.attname and not t.attisdropped
    where d.objoid = from_relation and d.classoid = 'pg_class'::regclass and d.objsubid > 0
  loop
    execute format('comment on column %s.%I is %L', to_relation, v_comment.attname, v_comment.description);
  end loop;
  if (select c.relkind = 'v' from pg_class c where c.oid = to_relation) then
    execute format('comment on view %s is %L', to_relation, obj_description(from_relation, 'pg_class'));
  end if;
end $$;
comment on function legwork_private.copy_comments(regclass, regclass) is
  'Copies a relation''s column comments to the columns of the same names in another view or table. If the target is a view, it also gets the relation''s own comment. Used by the definitions of derived views.';
