comment on table legwork_private.confined_logins is 'Database logins that can read and change only one tenant''s rows, regardless of their grants. Maintained by legwork.confine_login.';
comment on column legwork_private.confined_logins.login is 'The login: the session_user, which a session cannot change.';
comment on column legwork_private.confined_logins.tenant is 'The tenant it is confined to.';

-- Each login may read its own row: the functions below look it up with the caller's rights.
grant select on legwork_private.confined_logins to public;

create policy own on legwork_private.confined_logins for select to public using (login = session_user);

create or replace function legwork_private.confined_tenant() returns text
language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  return coalesce(
    (select c.tenant from legwork_private.confined_logins c where c.login = session_user),
    nullif(current_setting('legwork.confined_to', true), ''));
end $$;
comment on function legwork_private.confined_tenant() is
  'The tenant that this session is confined to, by its login (legwork_private.confined_logins) or else by the setting legwork.confined_to. Null if it may access all tenants.';

create or replace function legwork_private.confined_to() returns text
language sql stable parallel safe
return nullif(current_setting('legwork.confined_to', true), '');
comment on function legwork_private.confined_to() is
  'The value of the setting legwork.confined_to. It is simple enough to be inlined into a query, so that the planner can estimate how many rows the tenant has.';
