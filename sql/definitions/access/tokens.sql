comment on table legwork_private.tokens is 'Tokens for the server, without their secrets. Change it with create_token and revoke_token; legwork.token_list shows it.';
comment on column legwork_private.tokens.id is 'Names the token; it is no secret.';
comment on column legwork_private.tokens.name is 'What it is for, in the words of who made it.';
comment on column legwork_private.tokens.role is 'viewer, enqueuer, operator or admin.';
comment on column legwork_private.tokens.tenant is 'The only tenant that it sees and touches; null for all.';
comment on column legwork_private.tokens.hash is 'SHA-256 of the token. A token has 244 random bits, so there is nothing to guess and nothing to slow down.';
comment on column legwork_private.tokens.created_at is 'When it was made.';
comment on column legwork_private.tokens.created_by is 'Who made it.';
comment on column legwork_private.tokens.expires_at is 'When it stops working; null for never.';
comment on column legwork_private.tokens.revoked_at is 'When it was revoked; null while it was not.';
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
    raise exception 'A token needs a name of 1 to 128 characters.' using errcode = 'LW400', hint = 'Say what it is for, such as ''grafana''.';
  elsif create_token.role is null or create_token.role not in ('viewer', 'enqueuer', 'operator', 'admin') then
    raise exception 'There is no role ''%''.', create_token.role using errcode = 'LW400', hint = 'It is viewer, enqueuer, operator or admin.';
  elsif length(create_token.tenant) > 256 or create_token.tenant = '' then
    raise exception 'A tenant has 1 to 256 characters.' using errcode = 'LW400', hint = 'Leave it out for a token that sees all tenants.';
  end if;
  insert into legwork_private.tokens (name, role, tenant, hash, created_by, expires_at)
  values (create_token.name, create_token.role, v_tenant, sha256(convert_to(v_secret, 'UTF8')),
    coalesce(nullif(current_setting('legwork.actor', true), ''), session_user), clock_timestamp() + expires_in);
  return v_secret;
end $$;
comment on function legwork.create_token(text, text, text, interval) is
  'Makes a token for the server and returns it: the only time that it can be seen. role: viewer, enqueuer, operator or admin. tenant: the only one that it sees and touches; '
  'null for all. expires_in: 90 days by default; null for never. Raises LW400 for what makes no sense, LW403 for another tenant than one''s own.';
revoke execute on function legwork.create_token(text, text, text, interval) from public;

create or replace function legwork.revoke_token(id uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_token legwork_private.tokens;
begin
  perform legwork_private.assert_role('admin');
  select t.* into v_token from legwork_private.tokens t where t.id = revoke_token.id for update;
  if v_token.id is null or v_token.tenant is distinct from coalesce(legwork_private.confined_tenant(), v_token.tenant) then
    raise exception 'There is no token %.', coalesce(revoke_token.id::text, 'null') using
      errcode = 'LW404', detail = '{"do": "list_tokens"}', hint = '`select id, name from legwork.token_list` lists them.';
  elsif v_token.revoked_at is not null then
    return false;
  end if;
  update legwork_private.tokens t set revoked_at = clock_timestamp() where t.id = revoke_token.id;
  return true;
end $$;
comment on function legwork.revoke_token(uuid) is
  'From now on no request with this token is answered. Returns whether it was valid before; the row stays. Raises LW404 for an unknown token.';
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
  -- Once a minute, and never in the way of others.
  if coalesce(v_used_at < clock_timestamp() - interval '1 minute', true) and not pg_is_in_recovery() then
    update legwork_private.tokens t set last_used_at = clock_timestamp()
    where t.id = (select k.id from legwork_private.tokens k where k.id = find_token.id for update skip locked);
  end if;
  return next;
end $$;
comment on function legwork_private.find_token(bytea) is
  'The valid token with that SHA-256, if there is one, and notes that it was used. The server asks by hash, so that no token is in a statement.';
revoke execute on function legwork_private.find_token(bytea) from public;
