create or replace function legwork.confine_login(login text, tenant text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_fault record;
begin
  perform legwork_private.assert_role('admin', true);
  if tenant is null then
    delete from legwork_private.confined_logins c where c.login = confine_login.login;
    if found then
      return;
    end if;
  end if;
  if not exists (select from pg_roles r where r.rolname = confine_login.login) then
    raise exception 'Database role ''%'' does not exist.', login using errcode = 'LW404', hint = 'Create it first: create role … login.';
  elsif tenant is null then
    return;
  elsif length(tenant) not between 1 and 256 then
    raise exception 'The name of a tenant must have 1 to 256 characters.' using errcode = 'LW400', hint = 'Null ends the confinement of the login.';
  end if;
  select * into v_fault from legwork_private.unconfinable(confine_login.login);
  if v_fault.reason is not null then
    raise exception 'The login ''%'' cannot be confined: it %.', login, v_fault.reason using errcode = 'LW409', hint = v_fault.fix;
  end if;
  insert into legwork_private.confined_logins as c (login, tenant) values (confine_login.login, confine_login.tenant)
  on conflict on constraint confined_logins_pkey do update set tenant = excluded.tenant;
end $$;
comment on function legwork.confine_login(text, text) is
  'Confines a database login to a tenant. This affects all its sessions, from the next statement of each. Null ends the confinement. A confined login reads jobs and attempts in schema legwork_tenant, and its '
  'operations affect only that tenant''s jobs. Raises LW404 for an unknown role, LW409 for one that cannot be confined (legwork_private.unconfinable says why).';
revoke execute on function legwork.confine_login(text, text) from public;

-- Which logins legwork.confine_login can confine. Functions and views enforce confinement by checking the login. A login that can reach rows
-- without them, directly or through a role that it may assume, cannot be confined.
-- Locks: none.
create or replace function legwork_private.unconfinable(login text) returns table (reason text, fix text)
language sql stable set search_path = pg_catalog, pg_temp
as $$
  with me as (
    select r.oid, r.rolname, r.rolcanlogin from pg_roles r where r.rolname = login
  ), reach as (
    -- Includes roles from which it inherits nothing: `set role` is enough.
    select r.*, r.oid = me.oid as is_self, case when r.oid <> me.oid then format('may act as %I, which ', r.rolname) else '' end as prefix
    from me join pg_roles r on pg_has_role(me.oid, r.oid, 'member')
  ), owned as (
    select n.nspowner as owner, format('schema %I', n.nspname) as what from pg_namespace n
    where n.nspname in ('legwork', 'legwork_private', 'legwork_tenant', 'legwork_confined', 'graphile_worker')
    union all
    select c.relowner, format('%s', c.oid::regclass) from pg_class c
    where c.relnamespace::regnamespace::text in ('legwork', 'legwork_private', 'legwork_tenant', 'legwork_confined', 'graphile_worker')
    union all
    select p.proowner, format('%s', p.oid::regprocedure) from pg_proc p where p.pronamespace::regnamespace::text in ('legwork', 'legwork_private', 'graphile_worker')
    union all
    select d.datdba, 'this database' from pg_database d where d.datname = current_database()
  ), faults as (
    select 1 as n, true as is_self, 'cannot log in, and confinement applies to logins' as reason, 'Confine each login that is a member of it.' as fix
    from me where not me.rolcanlogin
    union all
    select 2, r.is_self, r.prefix || 'is a superuser', null from reach r where r.rolsuper
    union all
    select 3, r.is_self, r.prefix || 'bypasses row security', null from reach r where r.rolbypassrls
    union all
    select 4, r.is_self, r.prefix || 'may replicate, which reads every table', null from reach r where r.rolreplication
    union all
    select 5, r.is_self, r.prefix || 'may create roles and grant them', null from reach r where r.rolcreaterole
    union all
    select 6, r.is_self, format('may act as %I, which ', r.rolname) || case r.rolname
        when 'legwork_worker' then 'runs every tenant''s jobs' when 'pg_read_all_stats' then 'reads the statements of every session'
        else 'reads or writes more than its own tables' end, null
    from reach r
    where r.rolname in ('legwork_worker', 'pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files',
      'pg_execute_server_program', 'pg_read_all_stats')
    union all
    (select 7, r.is_self, r.prefix || 'owns ' || o.what, null from reach r join owned o on o.owner = r.oid order by r.is_self desc, o.what limit 1)
    union all
    (select 8, r.is_self, format('%smay read or change %s, which has every tenant''s rows', r.prefix, c.oid::regclass),
      format('Revoke it first: revoke all on %s from %I; or from public, or from a group that it is in.', c.oid::regclass, r.rolname)
    from reach r
    join pg_class c on c.relkind in ('r', 'p', 'v') and has_table_privilege(r.oid, c.oid, 'select, insert, update, delete, truncate, trigger')
    where c.relnamespace::regnamespace::text = 'graphile_worker' or (c.relnamespace::regnamespace::text = 'legwork_private' and c.relname ~ '^(all|graphile)_')
    order by r.is_self desc, c.relname limit 1)
  )
  select f.reason, coalesce(f.fix, case when f.is_self then 'Use a login to which this does not apply.'
    else 'Remove it from that role first, and from the groups through which it is a member.' end)
  from faults f order by f.n, f.is_self desc limit 1
$$;
comment on function legwork_private.unconfinable(text) is
  'Why a login cannot be confined to a tenant, worded to follow "it", and the fix: attributes, memberships and ownership that bypass the checks of functions and views. No row '
  'if it can be confined.';
revoke execute on function legwork_private.unconfinable(text) from public;
