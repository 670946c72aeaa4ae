comment on table legwork_private.tokens is 'Tokens for the server, without their secrets. Changed with create_token and revoke_token, and shown by legwork.token_list.';
comment on column legwork_private.tokens.id is 'The token''s id, which is not secret.';
comment on column legwork_private.tokens.name is 'Its purpose, as described by its creator.';
comment on column legwork_private.tokens.role is 'viewer, enqueuer, operator or admin.';
comment on column legwork_private.tokens.tenant is 'The only tenant whose rows it can read and change; null for all tenants.';
comment on column legwork_private.tokens.hash is 'SHA-256 of the token. A token has 244 random bits, so it cannot be guessed and needs no slow hash.';
comment on column legwork_private.tokens.created_at is 'When it was created.';
comment on column legwork_private.tokens.created_by is 'Who created it.';
comment on column legwork_private.tokens.expires_at is 'When it stops working; null for never.';
comment on column legwork_private.tokens.revoked_at is 'When it was revoked; null if it has not been.';
comment on column legwork_private.tokens.last_used_at is 'When it was last used, to the minute; null for never.';

create or replace function legwork.create_token(name text, role text default 'viewer', tenant text default null, expires_in interval default '90 days')
returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- Two random UUIDs: 244 bits of the server's strong randomness, without an extension.
  v_secret text := 'lw_' || replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
  v_tenant text := nullif(coalesce(legwork_private.confined_tenant(), create_token.tenant), '');
begin
  perform legwork_private.assert_role('admin');
  perform legwork_private.own_tenant(create_token.tenant);
  perform legwork_private.assert_interval('expires_in', expires_in, '1 second');
  if create_token.name is null or length(create_token.name) not between 1 and 128 then
    raise exception 'A token needs a name of 1 to 128 characters.' using errcode = 'LW400', hint = 'Name its purpose, such as ''grafana''.';
  elsif create_token.role is null or create_token.role not in ('viewer', 'enqueuer', 'operator', 'admin') then
    raise exception 'Unknown role ''%''.', create_token.role using errcode = 'LW400', hint = 'Roles are viewer, enqueuer, operator and admin.';
  elsif length(create_token.tenant) > 256 or create_token.tenant = '' then
    raise exception 'The name of a tenant must have 1 to 256 characters.' using errcode = 'LW400', hint = 'Omit it for a token for all tenants.';
  end if;
  insert into legwork_private.tokens (name, role, tenant, hash, created_by, expires_at)
  values (create_token.name, create_token.role, v_tenant, sha256(convert_to(v_secret, 'UTF8')),
    legwork_private.current_actor(), clock_timestamp() + expires_in);
  return v_secret;
end $$;
comment on function legwork.create_token(text, text, text, interval) is
  'Creates a token for the server and returns it. It cannot be read again later. role: viewer, enqueuer, operator or admin. tenant: the only tenant whose rows it can read and change; '
  'null for all tenants. expires_in: 90 days by default; null for never. Raises LW400 for invalid values, LW403 for a tenant other than the session''s own.';
revoke execute on function legwork.create_token(text, text, text, interval) from public;

create or replace function legwork.revoke_token(id uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_token legwork_private.tokens;
begin
  perform legwork_private.assert_role('admin');
  select t.* into v_token from legwork_private.tokens t where t.id = revoke_token.id for update;
  if v_token.id is null or v_token.tenant is distinct from coalesce(legwork_private.confined_tenant(), v_token.tenant) then
    raise exception 'Token % does not exist.', coalesce(revoke_token.id::text, 'null') using
      errcode = 'LW404', detail = '{"do": "list_tokens"}', hint = '`select id, name from legwork.token_list` lists them.';
  elsif v_token.revoked_at is not null then
    return false;
  end if;
  update legwork_private.tokens t set revoked_at = clock_timestamp() where t.id = revoke_token.id;
  return true;
end $$;
comment on function legwork.revoke_token(uuid) is
  'Revokes a token: the server rejects requests with it from now on. Returns false if it was revoked already. Its row is kept. Raises LW404 for an unknown token.';
revoke execute on function legwork.revoke_token(uuid) from public;

create or replace function legwork_private.find_token(hash bytea) returns table (id uuid, name text, role text, tenant text, expires_at timestamptz)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_used_at timestamptz;
begin
  select t.id, t.name, t.role, t.tenant, t.expires_at, t.last_used_at into id, name, role, tenant, expires_at, v_used_at
  from legwork_private.tokens t
  where t.hash = find_token.hash and t.revoked_at is null and coalesce(t.expires_at > clock_timestamp(), true)
    and (legwork_private.confined_tenant() is null or t.tenant = legwork_private.confined_tenant());
  if not found then
    return;
  end if;
  -- At most once a minute, and without waiting for other sessions.
  if coalesce(v_used_at < clock_timestamp() - interval '1 minute', true) and not pg_is_in_recovery() then
    update legwork_private.tokens t set last_used_at = clock_timestamp()
    where t.id = (select k.id from legwork_private.tokens k where k.id = find_token.id for update skip locked);
  end if;
  return next;
end $$;
comment on function legwork_private.find_token(bytea) is
  'Returns the valid token with this SHA-256 hash, if there is one, and records its use. The server looks tokens up by hash, so that no statement contains a token.';
revoke execute on function legwork_private.find_token(bytea) from public;
