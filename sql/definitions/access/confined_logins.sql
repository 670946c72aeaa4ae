comment on table legwork_private.confined_logins is 'Database logins that see and touch one tenant''s rows only, whatever they are granted. Change it with legwork.confine_login.';
comment on column legwork_private.confined_logins.login is 'The login: the session_user, which no session can change for itself.';
comment on column legwork_private.confined_logins.tenant is 'The tenant it is confined to.';

-- Each may see what concerns him: the functions below look it up with the rights of whoever asks.
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
  'The tenant that this session is confined to: by its login (legwork_private.confined_logins), else by the setting legwork.confined_to. Null when it sees all.';

create or replace function legwork_private.confined_to() returns text
language sql stable parallel safe
return nullif(current_setting('legwork.confined_to', true), '');
comment on function legwork_private.confined_to() is
  'What the setting legwork.confined_to says. Small enough to become part of a query, so that the planner knows how many rows a tenant has.';
