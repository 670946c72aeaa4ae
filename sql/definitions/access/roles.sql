-- Access: roles, tenants, tokens, and the database roles that need no more rights than they use.
--
-- Two things take rights away and nothing here gives any. A setting of the transaction (legwork.role, legwork.confined_to), which
-- the server makes for whoever it acts for: whoever may set it could do without it, so it binds only who cannot write SQL, and lies in
-- no client's hand. And the login (legwork_private.confined_logins), which nobody can change in his own session. Functions ask
-- legwork_private.assert_role and legwork_private.confined_tenant; views are shaped so that no plan suffers (docs/access.md, "How it is made").
-- Locks: SHARE on graphile-worker's jobs while the indexes are made.
create or replace function legwork_private.has_role(needed text) returns boolean
language sql stable parallel safe
return needed = any (case coalesce(current_setting('legwork.role', true), '')
  when '' then array[needed]
  when 'viewer' then array['viewer'] when 'enqueuer' then array['enqueuer']
  when 'operator' then array['viewer', 'enqueuer', 'operator'] when 'admin' then array['viewer', 'enqueuer', 'operator', 'admin']
  else '{}' end);
comment on function legwork_private.has_role(text) is
  'Whether the setting legwork.role lets who asks do what needs that role: viewer, enqueuer, operator or admin. Without the setting the grants of the database have decided.';

create or replace function legwork_private.assert_role(needed text, everybody boolean default false) returns void
language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  if not legwork_private.has_role(needed) then
    raise exception 'This needs the role %; % has the role %.', needed, coalesce(nullif(current_setting('legwork.actor', true), ''), session_user),
      current_setting('legwork.role', true) using
      errcode = 'LW403', hint = 'Ask whoever manages the tokens (legwork token create --role …).';
  end if;
  if everybody and legwork_private.confined_tenant() is not null then
    raise exception 'This concerns every tenant, and you act for one.' using
      errcode = 'LW403', hint = 'Somebody who is not confined to a tenant may do it.';
  end if;
end $$;
comment on function legwork_private.assert_role(text, boolean) is
  'Does nothing when whoever asks may do what needs that role (viewer, enqueuer, operator, admin); with everybody, what concerns more than one tenant. '
  'Raises LW403.';

create or replace function legwork_private.own_tenant(tenant text) returns text
language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_own text := legwork_private.confined_tenant();
begin
  if v_own is not null and tenant is not null and tenant <> v_own then
    raise exception 'You act for the tenant ''%'', not for ''%''.', v_own, tenant using
      errcode = 'LW403', hint = 'Leave tenant out: what you make belongs to your tenant.';
  end if;
  return coalesce(v_own, tenant);
end $$;
comment on function legwork_private.own_tenant(text) is
  'The tenant of what is asked for: the one that the session is confined to, else the one that is given. Raises LW403 when both are there and differ.';

create or replace function legwork_private.assert_visible(job_id bigint) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_tenant text := legwork_private.confined_tenant();
begin
  if v_tenant is not null and not exists (select from legwork_private.all_jobs j where j.id = assert_visible.job_id and j.tenant = v_tenant) then
    -- The same words as for a job that is not there.
    raise exception 'No job has id %.', job_id using
      errcode = 'LW404', hint = 'Finished jobs are kept for the period set in history_retention.';
  end if;
end $$;
comment on function legwork_private.assert_visible(bigint) is 'Does nothing for a job that this session may see. Raises LW404 for one of another tenant, as for one that is not there.';
comment on schema legwork_confined is
  'What the server reads for whoever acts for one tenant: the views of schema legwork confined by the setting legwork.confined_to. For no login that writes SQL of its own: '
  'without security_barrier, a condition that raises errors could tell of other rows.';
comment on schema legwork_tenant is
  'What logins read that are confined to a tenant (legwork.confine_login): the same views, with security_barrier, which is safe for any SQL and slower on a large history.';
