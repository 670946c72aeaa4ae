-- The audit log: who did what to which job, queue, task, schedule or token. Written by the database, in the transaction that does it, so
-- that what is typed in psql is in it too, and nothing is in it that was rolled back. Enqueueing and reading are not audited.
--
-- Operations on jobs write their line themselves (legwork_private.audit); what changes a rule is written by a trigger on the rule's table
-- (legwork_private.tg_audit__change). An operation on many jobs is one line with their number.
-- Locks: SHARE ROW EXCLUSIVE on the tables of rules while their triggers are made.

comment on table legwork_private.audit_entries is 'What legwork.audit_log shows, in partitions by time. Rows are only ever added; partitions older than the setting audit_retention are dropped.';
comment on column legwork_private.audit_entries.id is 'Grows in the order in which things were done.';
comment on column legwork_private.audit_entries.occurred_at is 'When.';
comment on column legwork_private.audit_entries.database_role is 'The login that did it.';
comment on column legwork_private.audit_entries.actor is 'For whom, in the words of that login (the setting legwork.actor): the server names the token''s subject. Null when it named nobody.';
comment on column legwork_private.audit_entries.surface is 'By which way: sql, cli, rest, graphql, dashboard or worker (a starting worker that declares limits).';
comment on column legwork_private.audit_entries.operation is 'What was done: cancel_job, pause, limit, create_token …';
comment on column legwork_private.audit_entries.target_type is 'To what: job, jobs, queue, task, all, schedule, workflow, alert_rule, silence, alert, token, login or setting.';
comment on column legwork_private.audit_entries.target is 'Which one: its id or name; null for many.';
comment on column legwork_private.audit_entries.tenant is 'The tenant that acted; when the login acted for none, whose it was. Null for nobody''s in particular.';
comment on column legwork_private.audit_entries.count is 'To how many, for what is done to many; null for one.';
comment on column legwork_private.audit_entries.before is 'What it was before; null when it was not there.';
comment on column legwork_private.audit_entries.after is 'What it was afterwards; null when it was not there any more.';

create or replace function legwork_private.tg_audit_entries__refuse() returns trigger
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'The audit log is only added to.' using
    errcode = 'LW403', detail = '{"do": "change_setting", "name": "audit_retention"}',
    hint = 'Old partitions go by themselves. `select legwork.change_setting(''audit_retention'', …)` says when.';
end $$;
comment on function legwork_private.tg_audit_entries__refuse() is 'Refuses to change, delete or truncate lines of the audit log: by mistake, or by whoever was granted too much. Its owner can take the trigger away.';

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
  'Adds a line to the audit log, for functions of this schema: what was done, to what kind of thing, which one, what it was before and afterwards, whose it is, and to how many. '
  'The line of a session that acts for a tenant is that tenant''s, whatever else is said.';
revoke execute on function legwork_private.audit(text, text, text, jsonb, jsonb, text, bigint) from public;

create or replace function legwork_private.tg_audit__change() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- Of what kind, the column that names it, and what it is called to add, change and remove one.
  v_type text := tg_argv[0];
  v_before jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - 'hash' end;
  v_after jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - 'hash' end;
  v_row jsonb := coalesce(v_after, v_before);
begin
  -- Whom alerts tell: addresses of webhooks are secrets.
  if v_type = 'setting' and v_row ->> 'name' = 'alert_channels' then
    v_before := jsonb_set(v_before, '{value}', '"[not kept]"');
    v_after := jsonb_set(v_after, '{value}', '"[not kept]"');
  end if;
  perform legwork_private.audit(
    case tg_op when 'INSERT' then tg_argv[2] when 'UPDATE' then tg_argv[3] else tg_argv[4] end,
    -- Rules say themselves what they are about.
    case when v_type = 'scope' then v_row ->> 'scope' else v_type end,
    nullif(v_row ->> tg_argv[1], ''), jsonb_strip_nulls(v_before), jsonb_strip_nulls(v_after), v_row ->> 'tenant');
  return null;
end $$;
comment on function legwork_private.tg_audit__change() is
  'Trigger that adds a line to the audit log for each row that changes. Arguments: the kind of thing (scope: the row says it in a column of that name), the column that names it, and '
  'what adding, changing and removing one is called. A column called hash is left out, and so is whom alerts tell.';
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

-- Not that it was used.
create or replace trigger _legwork_audit_change after update of name, role, tenant, hash, expires_at, revoked_at on legwork_private.tokens
  for each row when (old.* is distinct from new.*) execute function legwork_private.tg_audit__change('token', 'id', 'create_token', 'revoke_token', 'drop_token');

create or replace trigger _legwork_audit after insert or update or delete on legwork_private.confined_logins
  for each row execute function legwork_private.tg_audit__change('login', 'login', 'confine_login', 'confine_login', 'free_login');
