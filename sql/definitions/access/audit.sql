-- The audit log: who did what to which job, queue, task, schedule or token. It is written by the database, in the transaction of the operation, so
-- it includes statements typed in psql and excludes operations that were rolled back. Enqueueing and reading are not audited.
--
-- Operations on jobs write their own entries (legwork_private.audit). Changes to limits, pauses and other settings are recorded by a trigger on
-- their table (legwork_private.tg_audit__change). An operation on many jobs is one entry with their number.
-- Locks: SHARE ROW EXCLUSIVE on those tables while their triggers are created.

comment on table legwork_private.audit_entries is 'The entries of legwork.audit_log, partitioned by time. Rows are only added. Partitions older than the setting audit_retention are dropped.';
comment on column legwork_private.audit_entries.id is 'Ascending in the order of the operations.';
comment on column legwork_private.audit_entries.occurred_at is 'When the operation was performed.';
comment on column legwork_private.audit_entries.database_role is 'The login that performed it.';
comment on column legwork_private.audit_entries.actor is 'The user or token on whose behalf it was performed, as named by that login (the setting legwork.actor): the server names the token''s subject. Null if the login named no actor.';
comment on column legwork_private.audit_entries.surface is 'The surface: sql, cli, rest, graphql, dashboard or worker (a starting worker that declares limits).';
comment on column legwork_private.audit_entries.operation is 'The operation: cancel_job, pause, limit, create_token …';
comment on column legwork_private.audit_entries.target_type is 'The kind of object: job, jobs, queue, task, all, schedule, workflow, bulk_action, alert_rule, silence, alert, token, login or setting.';
comment on column legwork_private.audit_entries.target is 'The object''s id or name; null for an operation on many objects.';
comment on column legwork_private.audit_entries.tenant is 'The tenant for which the login acted. If it acted for no tenant, the object''s tenant. Null if the object has no tenant either.';
comment on column legwork_private.audit_entries.count is 'The number of objects, for an operation on many; null for one object.';
comment on column legwork_private.audit_entries.before is 'The values before; null if the object did not exist.';
comment on column legwork_private.audit_entries.after is 'The values after; null if the object no longer exists.';

create or replace function legwork_private.tg_audit_entries__refuse() returns trigger
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'Entries of the audit log cannot be changed or deleted.' using
    errcode = 'LW403', detail = '{"do": "change_setting", "name": "audit_retention"}',
    hint = 'Old partitions are dropped automatically. `select legwork.change_setting(''audit_retention'', …)` sets when.';
end $$;
comment on function legwork_private.tg_audit_entries__refuse() is 'Trigger that refuses to change, delete or truncate entries of the audit log, by mistake or by roles with too many privileges. The owner of the table can drop it.';

create or replace trigger _legwork_refuse before update or delete or truncate on legwork_private.audit_entries
  for each statement execute function legwork_private.tg_audit_entries__refuse();

create or replace function legwork_private.audit(
  operation text, target_type text, target text, before jsonb default null, after jsonb default null, tenant text default null, count bigint default null
) returns void
language sql volatile
as $$
  insert into legwork_private.audit_entries (actor, surface, operation, target_type, target, tenant, count, before, after)
  values (
    nullif(left(current_setting('legwork.actor', true), 256), ''),
    case when current_setting('legwork.surface', true) in ('cli', 'rest', 'graphql', 'dashboard', 'worker')
      then current_setting('legwork.surface', true) else 'sql' end,
    audit.operation, audit.target_type, audit.target, coalesce(legwork_private.confined_tenant(), audit.tenant), audit.count, audit.before, audit.after)
$$;
comment on function legwork_private.audit(text, text, text, jsonb, jsonb, text, bigint) is
  'Adds an entry to the audit log, for Legwork''s functions: the operation, the kind of object, its id or name, the values before and after, its tenant, and the number of objects. '
  'The entry of a session that acts for a tenant belongs to that tenant, regardless of the given tenant.';
revoke execute on function legwork_private.audit(text, text, text, jsonb, jsonb, text, bigint) from public;

create or replace function legwork_private.tg_audit__change() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- The kind of object, the column with its name, and the operations' names for adding, changing and removing one.
  v_type text := tg_argv[0];
  v_before jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - 'hash' end;
  v_after jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - 'hash' end;
  v_row jsonb := coalesce(v_after, v_before);
begin
  -- Alert channels contain webhook URLs, which are secrets.
  if v_type = 'setting' and v_row ->> 'name' = 'alert_channels' then
    v_before := jsonb_set(v_before, '{value}', '"[not kept]"');
    v_after := jsonb_set(v_after, '{value}', '"[not kept]"');
  end if;
  perform legwork_private.audit(
    case tg_op when 'INSERT' then tg_argv[2] when 'UPDATE' then tg_argv[3] else tg_argv[4] end,
    -- In these tables, the column scope has the kind of object.
    case when v_type = 'scope' then v_row ->> 'scope' else v_type end,
    nullif(v_row ->> tg_argv[1], ''), jsonb_strip_nulls(v_before), jsonb_strip_nulls(v_after), v_row ->> 'tenant');
  return null;
end $$;
comment on function legwork_private.tg_audit__change() is
  'Trigger that adds an entry to the audit log for each row that changes. Arguments: the kind of object (scope: taken from the row''s column of that name), the column with its name, and '
  'the operations'' names for adding, changing and removing one. A column called hash is left out, and so are the channels of alerts.';
revoke execute on function legwork_private.tg_audit__change() from public;

create or replace trigger _legwork_audit after insert or delete on legwork_private.limits
  for each row execute function legwork_private.tg_audit__change('scope', 'name', 'limit', 'limit', 'drop_limit');

create or replace trigger _legwork_audit_change after update on legwork_private.limits
  for each row when (old.* is distinct from new.*) execute function legwork_private.tg_audit__change('scope', 'name', 'limit', 'limit', 'drop_limit');

create or replace trigger _legwork_audit after insert or delete on legwork_private.pauses
  for each row execute function legwork_private.tg_audit__change('scope', 'name', 'pause', 'pause', 'resume');

create or replace trigger _legwork_audit_change after update on legwork_private.pauses
  for each row when (old.* is distinct from new.*) execute function legwork_private.tg_audit__change('scope', 'name', 'pause', 'pause', 'resume');

create or replace trigger _legwork_audit after insert or delete on legwork_private.retry_policies
  for each row execute function legwork_private.tg_audit__change('scope', 'name', 'set_retry_policy', 'set_retry_policy', 'drop_retry_policy');

create or replace trigger _legwork_audit_change after update on legwork_private.retry_policies
  for each row when (old.* is distinct from new.*) execute function legwork_private.tg_audit__change('scope', 'name', 'set_retry_policy', 'set_retry_policy', 'drop_retry_policy');

create or replace trigger _legwork_audit after insert or delete on legwork.settings
  for each row execute function legwork_private.tg_audit__change('setting', 'name', 'change_setting', 'change_setting', 'drop_setting');

create or replace trigger _legwork_audit_change after update on legwork.settings
  for each row when (old.* is distinct from new.*) execute function legwork_private.tg_audit__change('setting', 'name', 'change_setting', 'change_setting', 'drop_setting');

create or replace trigger _legwork_audit after insert or delete on legwork_private.tokens
  for each row execute function legwork_private.tg_audit__change('token', 'id', 'create_token', 'revoke_token', 'drop_token');

-- Does not fire when the use of a token is recorded.
create or replace trigger _legwork_audit_change after update of name, role, tenant, hash, expires_at, revoked_at on legwork_private.tokens
  for each row when (old.* is distinct from new.*) execute function legwork_private.tg_audit__change('token', 'id', 'create_token', 'revoke_token', 'drop_token');

create or replace trigger _legwork_audit after insert or update or delete on legwork_private.confined_logins
  for each row execute function legwork_private.tg_audit__change('login', 'login', 'confine_login', 'confine_login', 'free_login');
