-- Access: roles, tenants, tokens, and least-privilege database roles.
--
-- Two mechanisms restrict rights. Neither grants any. The first is a transaction's settings (legwork.role, legwork.confined_to), which
-- the server sets for the client it acts for. A session that can set them could also leave them unset, so they restrict only clients that cannot
-- send SQL. The second is the login (legwork_private.confined_logins), which a session cannot change. Functions call
-- legwork_private.assert_role and legwork_private.confined_tenant. Views are shaped so that query plans stay good (docs/guides/access.md, "How it
-- works").
-- Locks: SHARE on graphile-worker's jobs while the indexes are created.
create or replace function legwork_private.has_role(needed text) returns boolean
language sql stable parallel safe
return needed = any (case coalesce(current_setting('legwork.role', true), '')
  when '' then array[needed]
  when 'viewer' then array['viewer'] when 'enqueuer' then array['enqueuer']
  when 'operator' then array['viewer', 'enqueuer', 'operator'] when 'admin' then array['viewer', 'enqueuer', 'operator', 'admin']
  else '{}' end);
comment on function legwork_private.has_role(text) is
  'Whether the setting legwork.role allows operations that need a role: viewer, enqueuer, operator or admin. Always true without the setting, because then the grants of the database decide.';

create or replace function legwork_private.assert_role(needed text, everybody boolean default false) returns void
language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  if not legwork_private.has_role(needed) then
    raise exception 'This needs the role %; % has the role %.', needed, legwork_private.current_actor(),
      current_setting('legwork.role', true) using
      errcode = 'LW403', hint = 'Ask an admin for a token with that role (legwork token create --role …).';
  end if;
  if everybody and legwork_private.confined_tenant() is not null then
    raise exception 'This operation covers all tenants, and this session is restricted to one.' using
      errcode = 'LW403', hint = 'Use a login or token that is not confined to a tenant.';
  end if;
end $$;
comment on function legwork_private.assert_role(text, boolean) is
  'Does nothing for a session that has the role (viewer, enqueuer, operator, admin). If the second argument is true, the session must also not be confined to a tenant. '
  'Raises LW403 otherwise.';

create or replace function legwork_private.own_tenant(tenant text) returns text
language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_own text := legwork_private.confined_tenant();
begin
  if v_own is not null and tenant is not null and tenant <> v_own then
    raise exception 'This session acts for the tenant ''%'', not for ''%''.', v_own, tenant using
      errcode = 'LW403', hint = 'Omit tenant: everything that the session creates belongs to its own tenant.';
  end if;
  return coalesce(v_own, tenant);
end $$;
comment on function legwork_private.own_tenant(text) is
  'The tenant for an operation: the one that the session is confined to, otherwise the given one. Raises LW403 if both exist and differ.';

create or replace function legwork_private.assert_visible(job_id bigint) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_tenant text := legwork_private.confined_tenant();
begin
  if v_tenant is not null and not exists (select from legwork_private.all_jobs j where j.id = assert_visible.job_id and j.tenant = v_tenant) then
    -- The same message as for a job that does not exist.
    raise exception 'No job has id %.', job_id using
      errcode = 'LW404', hint = 'Finished jobs are kept for the period set in history_retention.';
  end if;
end $$;
comment on function legwork_private.assert_visible(bigint) is 'Does nothing for a job that this session may see. Raises LW404 for another tenant''s job, as for a job that does not exist.';
comment on schema legwork_confined is
  'Views that the server reads for clients of one tenant: the views of schema legwork, confined by the setting legwork.confined_to. Not for logins that send their own SQL: '
  'without security_barrier, a condition that raises errors could reveal other rows.';
comment on schema legwork_tenant is
  'Views for logins that are confined to a tenant (legwork.confine_login): the views of schema legwork with security_barrier, which is safe for any SQL and slower on a large history.';
