-- Access: roles, tenants, tokens, and the database roles that need no more rights than they use.
--
-- Two things take rights away and nothing here gives any. A setting of the transaction (legwork.role, legwork.confined_to), which
-- the server makes for whoever it acts for: whoever may set it could do without it, so it binds only who cannot write SQL, and lies in
-- no client's hand. And the login (legwork.confined_logins), which nobody can change in his own session. Functions ask
-- legwork.assert_may and legwork.confined_tenant; views are shaped so that no plan suffers (docs/access.md, "How it is made").
-- Locks: SHARE on graphile_worker._private_jobs while the indexes are made.

create function legwork.may(needed text) returns boolean
language sql stable parallel safe
return needed = any (case coalesce(current_setting('legwork.role', true), '')
  when '' then array[needed]
  when 'viewer' then array['viewer'] when 'enqueuer' then array['enqueuer']
  when 'operator' then array['viewer', 'enqueuer', 'operator'] when 'admin' then array['viewer', 'enqueuer', 'operator', 'admin']
  else '{}' end);
comment on function legwork.may(text) is
  'Whether the setting legwork.role lets who asks do what needs that role: viewer, enqueuer, operator or admin. Without the setting the grants of the database have decided.';

create function legwork.assert_may(needed text, everybody boolean default false) returns void
language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  if not legwork.may(needed) then
    raise exception 'This needs the role %; % has the role %.', needed, coalesce(nullif(current_setting('legwork.actor', true), ''), session_user),
      current_setting('legwork.role', true) using
      errcode = 'LW403', hint = 'Ask whoever manages the tokens (legwork token create --role …).';
  end if;
  if everybody and legwork.confined_tenant() is not null then
    raise exception 'This concerns every tenant, and you act for one.' using
      errcode = 'LW403', hint = 'Somebody who is not confined to a tenant may do it.';
  end if;
end $$;
comment on function legwork.assert_may(text, boolean) is
  'Does nothing when whoever asks may do what needs that role (viewer, enqueuer, operator, admin); with everybody, what concerns more than one tenant. '
  'Raises LW403.';

create function legwork.who() returns text
language sql stable parallel safe
return case when current_setting('legwork.surface', true) in ('rest', 'graphql', 'dashboard')
  then coalesce(nullif(left(current_setting('legwork.actor', true), 256), ''), session_user) else session_user end;
comment on function legwork.who() is 'Whom to name as the one who did something: the database role, or for whom the server says that it acts.';

alter table legwork.pauses alter column paused_by set default legwork.who();
alter table legwork.cancellations alter column cancelled_by set default legwork.who();
alter table legwork.schedule_definitions alter column created_by set default legwork.who();

create function legwork.own_tenant(tenant text) returns text
language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_own text := legwork.confined_tenant();
begin
  if v_own is not null and tenant is not null and tenant <> v_own then
    raise exception 'You act for the tenant ''%'', not for ''%''.', v_own, tenant using
      errcode = 'LW403', hint = 'Leave tenant out: what you make belongs to your tenant.';
  end if;
  return coalesce(v_own, tenant);
end $$;
comment on function legwork.own_tenant(text) is
  'The tenant of what is asked for: the one that the session is confined to, else the one that is given. Raises LW403 when both are there and differ.';

create function legwork.assert_visible(job_id bigint) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_tenant text := legwork.confined_tenant();
begin
  if v_tenant is not null and not exists (select from legwork.all_jobs j where j.id = assert_visible.job_id and j.tenant = v_tenant) then
    -- The same words as for a job that is not there.
    raise exception 'There is no job %.', job_id using
      errcode = 'LW404', hint = 'Finished jobs are kept for the setting history_retention.';
  end if;
end $$;
comment on function legwork.assert_visible(bigint) is 'Does nothing for a job that this session may see. Raises LW404 for one of another tenant, as for one that is not there.';

-- Jobs and attempts are many, so each has two views with one predicate each: an OR of both would read the whole history for a
-- small tenant, and a union of both takes a millisecond more to plan. Who is not confined pays for one look at a function; who is
-- confined reads an index that begins with the tenant. A session that reads the wrong one sees nothing.
create schema if not exists legwork_confined;
comment on schema legwork_confined is
  'What the server reads for whoever acts for one tenant: the views of schema legwork confined by the setting legwork.confined_to. For no login that writes SQL of its own: '
  'without security_barrier, a condition that raises errors could tell of other rows.';
create schema if not exists legwork_tenant;
comment on schema legwork_tenant is
  'What logins read that are confined to a tenant (legwork.confine_login): the same views, with security_barrier, which is safe for any SQL and slower on a large history.';

do $$
declare
  v_name text;
  v_comment record;
begin
  foreach v_name in array array['jobs', 'attempts'] loop
    execute format('alter view legwork.%1$I rename to %2$I', v_name, 'all_' || v_name);
    execute format('create view legwork.%1$I as select * from legwork.%2$I where (select legwork.confined_tenant() is null)', v_name, 'all_' || v_name);
    -- Nothing for a login that is confined by itself, whatever it was granted and sets.
    execute format('create view legwork_confined.%1$I as select * from legwork.%2$I where tenant = legwork.confined_to()
      and (select not exists (select from legwork.confined_logins c where c.login = session_user))', v_name, 'all_' || v_name);
    execute format('create view legwork_tenant.%1$I with (security_barrier) as select * from legwork.%2$I where tenant = (select legwork.confined_tenant())',
      v_name, 'all_' || v_name);
    for v_comment in
      select a.attname, d.description, s.nspname
      from (values ('legwork'), ('legwork_confined'), ('legwork_tenant')) s (nspname)
      cross join pg_description d
      left join pg_attribute a on a.attrelid = d.objoid and a.attnum = d.objsubid and d.objsubid > 0
      where d.objoid = format('legwork.%I', 'all_' || v_name)::regclass and d.classoid = 'pg_class'::regclass
    loop
      if v_comment.attname is null then
        execute format('comment on view %I.%I is %L', v_comment.nspname, v_name, v_comment.description);
      else
        execute format('comment on column %I.%I.%I is %L', v_comment.nspname, v_name, v_comment.attname, v_comment.description);
      end if;
    end loop;
    execute format('comment on view legwork.%I is %L', 'all_' || v_name,
      format('The rows of everybody, for the functions and views of this schema. Read legwork.%s.', v_name));
  end loop;
end $$;

-- The live side of (tenant, id); the history has its own. And what waits for a tenant, by task: of a task of which others have thousands, the
-- tenant may have none. They cost only the jobs that have flags.
create index _legwork_tenant on graphile_worker._private_jobs (legwork.flag_value(flags, 'tenant'), id) where flags is not null;
create index _legwork_tenant_waiting on graphile_worker._private_jobs (legwork.flag_value(flags, 'tenant'), task_id, id)
  with (deduplicate_items = off) where is_available and flags is not null;
-- Keys are found as they were given; the history has them so. It costs only the jobs that have one.
create index _legwork_key on graphile_worker._private_jobs (legwork.given_key(key)) where key is not null;
create index failed_attempts_tenant on legwork.failed_attempts (tenant, job_id, attempt) where tenant is not null;

-- Few rows, or looked up by job: one view for all, confined by a condition of its own, with security_barrier. Whoever adds a view of what
-- belongs to tenants does the same, or as above where there may be a million rows. Sub-selects, because they are asked once a query.
create or replace view legwork.logs with (security_barrier) as
select l.id, l.job_id, l.attempt, l.logged_at, l.level, l.message, l.fields, l.tenant from legwork.job_logs l where (select legwork.confined_tenant()) is null or l.tenant = (select legwork.confined_tenant());
create or replace view legwork.workers with (security_barrier) as
select w.id, w.host, w.pid, w.concurrency, w.tasks, w.running, w.started_at, w.seen_at, w.suspected_at is not null as suspected
from legwork.worker_processes w where (select legwork.confined_tenant() is null);

create table legwork.tokens (
  id uuid primary key default gen_random_uuid(),
  name text not null check (length(name) between 1 and 128),
  role text not null check (role in ('viewer', 'enqueuer', 'operator', 'admin')),
  tenant text check (length(tenant) between 1 and 256),
  hash bytea not null unique,
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz
);
comment on table legwork.tokens is 'Tokens for the server, without their secrets. Change it with create_token and revoke_token; legwork.token_list shows it.';
comment on column legwork.tokens.id is 'Names the token; it is no secret.';
comment on column legwork.tokens.name is 'What it is for, in the words of who made it.';
comment on column legwork.tokens.role is 'viewer, enqueuer, operator or admin.';
comment on column legwork.tokens.tenant is 'The only tenant that it sees and touches; null for all.';
comment on column legwork.tokens.hash is 'SHA-256 of the token. A token has 244 random bits, so there is nothing to guess and nothing to slow down.';
comment on column legwork.tokens.created_at is 'When it was made.';
comment on column legwork.tokens.created_by is 'Who made it.';
comment on column legwork.tokens.expires_at is 'When it stops working; null for never.';
comment on column legwork.tokens.revoked_at is 'When it was revoked; null while it was not.';
comment on column legwork.tokens.last_used_at is 'When it was last used, to the minute; null for never.';
alter table legwork.tokens enable row level security;

create view legwork.token_list with (security_barrier) as
select t.id, t.name, t.role, t.tenant, t.created_at, t.created_by, t.expires_at, t.revoked_at, t.last_used_at,
  t.revoked_at is null and coalesce(t.expires_at > now(), true) as is_valid
from legwork.tokens t
where (select legwork.may('admin')) and ((select legwork.confined_tenant()) is null or t.tenant = (select legwork.confined_tenant()));
comment on view legwork.token_list is 'The tokens, without anything that could be used in their place.';
comment on column legwork.token_list.id is E'@notNull\nNames the token.';
comment on column legwork.token_list.name is E'@notNull\nWhat it is for.';
comment on column legwork.token_list.role is E'@notNull\nviewer, enqueuer, operator or admin.';
comment on column legwork.token_list.tenant is 'The only tenant that it sees and touches; null for all.';
comment on column legwork.token_list.created_at is E'@notNull\nWhen it was made.';
comment on column legwork.token_list.created_by is E'@notNull\nWho made it.';
comment on column legwork.token_list.expires_at is 'When it stops working; null for never.';
comment on column legwork.token_list.revoked_at is 'When it was revoked; null while it was not.';
comment on column legwork.token_list.last_used_at is 'When it was last used, to the minute; null for never.';
comment on column legwork.token_list.is_valid is E'@notNull\nWhether it works now.';

create function legwork.create_token(name text, role text default 'viewer', tenant text default null, expires_in interval default '90 days')
returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- Two random UUIDs: 244 bits of the server's strong randomness, without an extension.
  v_secret text := 'lw_' || replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
  v_tenant text := nullif(coalesce(legwork.confined_tenant(), create_token.tenant), '');
begin
  perform legwork.assert_may('admin');
  perform legwork.own_tenant(create_token.tenant);
  perform legwork.assert_interval('expires_in', expires_in, '1 second');
  if create_token.name is null or length(create_token.name) not between 1 and 128 then
    raise exception 'A token needs a name of 1 to 128 characters.' using errcode = 'LW400', hint = 'Say what it is for, such as ''grafana''.';
  elsif create_token.role is null or create_token.role not in ('viewer', 'enqueuer', 'operator', 'admin') then
    raise exception 'There is no role ''%''.', create_token.role using errcode = 'LW400', hint = 'It is viewer, enqueuer, operator or admin.';
  elsif length(create_token.tenant) > 256 or create_token.tenant = '' then
    raise exception 'A tenant has 1 to 256 characters.' using errcode = 'LW400', hint = 'Leave it out for a token that sees all tenants.';
  end if;
  insert into legwork.tokens (name, role, tenant, hash, created_by, expires_at)
  values (create_token.name, create_token.role, v_tenant, sha256(convert_to(v_secret, 'UTF8')),
    coalesce(nullif(current_setting('legwork.actor', true), ''), session_user), clock_timestamp() + expires_in);
  return v_secret;
end $$;
comment on function legwork.create_token(text, text, text, interval) is
  'Makes a token for the server and returns it: the only time that it can be seen. role: viewer, enqueuer, operator or admin. tenant: the only one that it sees and touches; '
  'null for all. expires_in: 90 days by default; null for never. Raises LW400 for what makes no sense, LW403 for another tenant than one''s own.';

create function legwork.revoke_token(id uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_token legwork.tokens;
begin
  perform legwork.assert_may('admin');
  select t.* into v_token from legwork.tokens t where t.id = revoke_token.id for update;
  if v_token.id is null or v_token.tenant is distinct from coalesce(legwork.confined_tenant(), v_token.tenant) then
    raise exception 'There is no token %.', coalesce(revoke_token.id::text, 'null') using
      errcode = 'LW404', hint = 'select id, name from legwork.token_list lists them.';
  elsif v_token.revoked_at is not null then
    return false;
  end if;
  update legwork.tokens t set revoked_at = clock_timestamp() where t.id = revoke_token.id;
  return true;
end $$;
comment on function legwork.revoke_token(uuid) is
  'From now on no request with this token is answered. Returns whether it was valid before; the row stays. Raises LW404 for an unknown token.';

create function legwork.find_token(hash bytea) returns table (id uuid, name text, role text, tenant text, expires_at timestamptz)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_used_at timestamptz;
begin
  select t.id, t.name, t.role, t.tenant, t.expires_at, t.last_used_at into id, name, role, tenant, expires_at, v_used_at
  from legwork.tokens t
  where t.hash = find_token.hash and t.revoked_at is null and coalesce(t.expires_at > clock_timestamp(), true);
  if not found then
    return;
  end if;
  -- Once a minute, and never in the way of others.
  if coalesce(v_used_at < clock_timestamp() - interval '1 minute', true) and not pg_is_in_recovery() then
    update legwork.tokens t set last_used_at = clock_timestamp()
    where t.id = (select k.id from legwork.tokens k where k.id = find_token.id for update skip locked);
  end if;
  return next;
end $$;
comment on function legwork.find_token(bytea) is
  'The valid token with that SHA-256, if there is one, and notes that it was used. The server asks by hash, so that no token is in a statement.';
revoke execute on function legwork.create_token(text, text, text, interval), legwork.revoke_token(uuid), legwork.find_token(bytea) from public;

create function legwork.change_setting(name text, value text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_names text[] := array(select s.name from legwork.settings s);
begin
  perform legwork.assert_may('admin', true);
  if change_setting.value is null or change_setting.name is null or change_setting.name <> all (v_names) then
    raise exception '%', case when value is null then 'A setting needs a value.' else format('No setting is called ''%s''.', name) end using
      errcode = case when value is null then 'LW400' else 'LW404' end,
      hint = coalesce('Did you mean ''' || legwork.nearest_name(name, v_names) || '''? ', '') || 'select name, value, description from legwork.settings lists them.';
  end if;
  update legwork.settings s set value = change_setting.value where s.name = change_setting.name;
end $$;
comment on function legwork.change_setting(text, text) is 'Changes a setting of legwork.settings. Raises LW404 for an unknown one.';

create function legwork.confine_login(login text, tenant text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork.assert_may('admin', true);
  if not exists (select from pg_roles r where r.rolname = confine_login.login) then
    raise exception 'There is no database role ''%''.', login using errcode = 'LW404', hint = 'Create it first: create role … login.';
  elsif exists (select from pg_roles r where r.rolname = confine_login.login and (r.rolsuper or r.rolbypassrls)) then
    raise exception 'The role ''%'' is a superuser or bypasses row security, which nothing confines.', login using
      errcode = 'LW409', hint = 'Use a login without such attributes.';
  elsif tenant = '' then
    raise exception 'A tenant has 1 to 256 characters.' using errcode = 'LW400', hint = 'Null frees the login.';
  end if;
  if tenant is null then
    delete from legwork.confined_logins c where c.login = confine_login.login;
  else
    insert into legwork.confined_logins as c (login, tenant) values (confine_login.login, confine_login.tenant)
    on conflict on constraint confined_logins_pkey do update set tenant = excluded.tenant;
  end if;
end $$;
comment on function legwork.confine_login(text, text) is
  'Confines a database login to a tenant, in all its sessions and from its next statement on; null frees it. It reads jobs and attempts in schema legwork_tenant, and its '
  'operations touch that tenant''s jobs only. Raises LW404 for an unknown role, LW409 for one that cannot be confined.';
revoke execute on function legwork.change_setting(text, text), legwork.confine_login(text, text) from public;
