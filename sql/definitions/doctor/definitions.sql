-- Compares the database with what `legwork migrate` created: finds functions, views, triggers, policies and indexes that were changed or dropped
-- manually.
-- Locks: none.

comment on table legwork_private.definitions is 'The objects that `legwork migrate` has created, to find out which have changed since: in the files, or manually.';
comment on column legwork_private.definitions.object is 'The object: function legwork.redact(jsonb, text[]), view legwork.jobs, index legwork_private.slots_gate.';
comment on column legwork_private.definitions.hash is 'SHA-256 of the statements that created it; empty for an index, which a migration created.';
comment on column legwork_private.definitions.catalog_hash is 'The hash of its definition in the catalog after it was created.';
comment on column legwork_private.definitions.postgres is 'The major version of Postgres whose catalog was hashed. Another version may word the definition differently.';
comment on table legwork_private.schema_version is 'One row: the version of Legwork that created this schema.';
comment on column legwork_private.schema_version.only_row is 'Always true: allows one row only.';
comment on column legwork_private.schema_version.version is 'That version.';
comment on column legwork_private.schema_version.minimum_version is 'The oldest version whose workers, servers and commands may use it.';
comment on column legwork_private.schema_version.definitions_hash is 'SHA-256 of all its definitions.';
comment on column legwork_private.schema_version.migrated_at is 'When it was last migrated.';

create or replace function legwork_private.catalog_definitions() returns table (object text, hash text)
-- The search path decides which names the catalog qualifies.
language sql stable set search_path = pg_catalog, pg_temp
as $$
  with schemas as (select n.oid, n.nspname from pg_namespace n where n.nspname in ('legwork', 'legwork_private', 'legwork_tenant', 'legwork_confined', 'graphile_worker'))
  select 'function ' || s.nspname || '.' || p.proname || '(' || oidvectortypes(p.proargtypes) || ')', md5(pg_get_functiondef(p.oid))
  from pg_proc p join schemas s on s.oid = p.pronamespace where s.nspname <> 'graphile_worker' and p.prokind <> 'a'
  union all
  select 'view ' || s.nspname || '.' || c.relname, md5(pg_get_viewdef(c.oid) || coalesce(c.reloptions::text, ''))
  from pg_class c join schemas s on s.oid = c.relnamespace where c.relkind = 'v' and s.nspname <> 'graphile_worker'
  union all
  select 'index ' || s.nspname || '.' || c.relname, md5(pg_get_indexdef(c.oid))
  from pg_index i join pg_class c on c.oid = i.indexrelid join pg_class t on t.oid = i.indrelid join schemas s on s.oid = c.relnamespace
  where not t.relispartition and (s.nspname <> 'graphile_worker' or c.relname like '\_legwork%')
  union all
  select 'trigger ' || g.tgname || ' on ' || s.nspname || '.' || c.relname, md5(pg_get_triggerdef(g.oid))
  from pg_trigger g join pg_class c on c.oid = g.tgrelid join schemas s on s.oid = c.relnamespace
  where not g.tgisinternal and (s.nspname <> 'graphile_worker' or g.tgname like '\_legwork%')
  union all
  select 'policy ' || l.polname || ' on ' || s.nspname || '.' || c.relname,
    md5(concat_ws(' ', l.polcmd, l.polpermissive, pg_get_expr(l.polqual, l.polrelid), pg_get_expr(l.polwithcheck, l.polrelid)))
  from pg_policy l join pg_class c on c.oid = l.polrelid join schemas s on s.oid = c.relnamespace where s.nspname <> 'graphile_worker'
$$;
comment on function legwork_private.catalog_definitions() is
  'Legwork''s functions, views, triggers, policies and indexes, each with a hash of its definition in the catalog. Aggregates and the partitions of the history are left out.';
revoke execute on function legwork_private.catalog_definitions() from public;

create or replace function legwork_private.record_definitions() returns void
language sql volatile set search_path = pg_catalog, pg_temp
as $$
  delete from legwork_private.definitions d where d.object like 'index %' and not exists (select from legwork_private.catalog_definitions() c where c.object = d.object);
  insert into legwork_private.definitions as d (object, hash, catalog_hash, postgres)
  select c.object, '', c.hash, current_setting('server_version_num')::integer / 10000
  from legwork_private.catalog_definitions() c
  where c.object like 'index %' or exists (select from legwork_private.definitions x where x.object = c.object)
  on conflict (object) do update set catalog_hash = excluded.catalog_hash, postgres = excluded.postgres
$$;
comment on function legwork_private.record_definitions() is 'Records how the catalog describes the objects that `legwork migrate` has just created.';
revoke execute on function legwork_private.record_definitions() from public;

create or replace function legwork_private.changed_definitions() returns setof text
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select d.object from legwork_private.definitions d
  left join legwork_private.catalog_definitions() c on c.object = d.object
  where d.catalog_hash is not null and d.postgres = current_setting('server_version_num')::integer / 10000 and d.catalog_hash is distinct from c.hash
  order by d.object collate "C"
$$;
comment on function legwork_private.changed_definitions() is
  'The objects that were changed or dropped manually since `legwork migrate` created them. Empty after an upgrade of Postgres, until the next migration.';
revoke execute on function legwork_private.changed_definitions() from public;
