-- Which logins legwork.confine_login can confine. What is confined is the login, by what functions and views ask about it; so a login that reaches
-- rows past them, by itself or by a role that it may take, is not confined by anything.
-- Locks: none.

create function legwork.unconfinable(login text) returns table (reason text, remedy text)
language sql stable set search_path = pg_catalog, pg_temp
as $$
  with me as (
    select r.oid, r.rolname, r.rolcanlogin from pg_roles r where r.rolname = login
  ), reach as (
    -- Also what it inherits nothing of: `set role` is enough.
    select r.*, r.oid = me.oid as is_self, case when r.oid <> me.oid then format('may act as %I, which ', r.rolname) else '' end as prefix
    from me join pg_roles r on pg_has_role(me.oid, r.oid, 'member')
  ), owned as (
    select n.nspowner as owner, format('schema %I', n.nspname) as what from pg_namespace n
    where n.nspname in ('legwork', 'legwork_tenant', 'legwork_confined', 'graphile_worker')
    union all
    select c.relowner, format('%s', c.oid::regclass) from pg_class c
    where c.relnamespace::regnamespace::text in ('legwork', 'legwork_tenant', 'legwork_confined', 'graphile_worker')
    union all
    select p.proowner, format('%s', p.oid::regprocedure) from pg_proc p where p.pronamespace::regnamespace::text in ('legwork', 'graphile_worker')
    union all
    select d.datdba, 'this database' from pg_database d where d.datname = current_database()
  ), faults as (
    select 1 as n, true as is_self, 'cannot log in, and confinement goes by login' as reason, 'Confine each login that is a member of it.' as remedy
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
    where c.relnamespace::regnamespace::text = 'graphile_worker' or (c.relnamespace::regnamespace::text = 'legwork' and c.relname like 'all\_%')
    order by r.is_self desc, c.relname limit 1)
  )
  select f.reason, coalesce(f.remedy, case when f.is_self then 'Use a login without it.'
    else 'Take it out of that role first, and out of the groups by which it is a member.' end)
  from faults f order by f.n, f.is_self desc limit 1
$$;
comment on function legwork.unconfinable(text) is
  'Why a login cannot be confined to a tenant, as what comes after "it", and what to do about it: attributes, memberships and ownership that lead past what functions and views ask. No row '
  'when it can.';
revoke execute on function legwork.unconfinable(text) from public;

create function legwork.doctor_confined_logins()
returns table ("check" text, severity text, finding text, remedy text, detail jsonb)
language sql volatile as $$
  with found as (
    select c.login, c.tenant, r.rolname is not null as is_there, u.reason, u.remedy
    from legwork.confined_logins c
    left join pg_roles r on r.rolname = c.login
    left join lateral legwork.unconfinable(c.login) u on r.rolname is not null
    where r.rolname is null or u.reason is not null
  )
  select 'confined_logins', case when f.is_there then 'critical' else 'warning' end,
    case when f.is_there then format('Nothing confines the login %s to the tenant %s any more: it %s.', f.login, f.tenant, f.reason)
      else format('The login %s, which is confined to the tenant %s, does not exist. If it was renamed, it is not confined any more.', f.login, f.tenant) end,
    coalesce(f.remedy, format('Confine it by its new name, and free the old one: select legwork.confine_login(%L, null);', f.login)), to_jsonb(f)
  from (select * from found order by login limit 20) f
  union all
  select 'confined_logins', 'ok', 'Every login that is confined to a tenant can be.', null, null where not exists (select from found)
$$;
comment on function legwork.doctor_confined_logins() is 'Of legwork.doctor: logins that were confined to a tenant and have since been granted what nothing confines, or renamed.';
