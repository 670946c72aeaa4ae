create or replace function legwork_private.expiry_of(flags jsonb) returns timestamptz
language sql immutable parallel safe
return case when legwork_private.flag_value(flags, 'expires') ~ '^\d{1,15}$' then
  to_timestamp(legwork_private.flag_value(flags, 'expires')::float8 / 1000) end;
comment on function legwork_private.expiry_of(jsonb) is
  'When a job expires according to its flags: expires:1767225600000, milliseconds since 1970. Null if the flags have no expiry.';

-- Each tenant has its own job keys, serial keys and enqueue quotas. graphile-worker has a single namespace, so Legwork prefixes keys with the tenant:
-- tenant~acme:import. In the tenant's name, % and : are written as %25 and %3A, so that different pairs of tenant and key stay different. A long name
-- is replaced by its hash, which is one character longer than any name that is not replaced. Keys without a tenant are unchanged, unless they look
-- like a tenant's key.
create or replace function legwork_private.key_prefix(tenant text) returns text
language sql immutable parallel safe
-- A tenant is identified by its first 256 characters (legwork_private.flag_value).
return case
  when tenant is null then ''
  when length(replace(replace(left(tenant, 256), '%', '%25'), ':', '%3A')) <= 32
    then 'tenant~' || replace(replace(left(tenant, 256), '%', '%25'), ':', '%3A') || ':'
  else 'tenant~%' || md5(left(tenant, 256)) || ':'
end;
comment on function legwork_private.key_prefix(text) is
  'The prefix of a tenant''s keys in graphile-worker''s tables: tenant~acme: for acme. At most 41 characters. Empty without a tenant.';

create or replace function legwork.tenant_key(key text, tenant text) returns text
language sql immutable parallel safe
return case when tenant is null and starts_with(key, 'tenant~') then 'tenant~%:' else legwork_private.key_prefix(tenant) end || key;
comment on function legwork.tenant_key(text, text) is
  'A job key or serial key in the form of graphile-worker''s tables, for its own functions: select graphile_worker.remove_job(legwork.tenant_key(''import'', ''acme'')). '
  'tenant: null for a job without a tenant.';

create or replace function legwork_private.kept_key(key text, tenant text, field text default 'job_key') returns text
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_kept text := legwork.tenant_key(key, tenant);
  -- The longest key that graphile-worker accepts, minus the prefix.
  v_most integer := case field when 'serial_key' then 128 else 512 end - (length(v_kept) - length(key));
begin
  if length(key) > v_most then
    raise exception '% has %; the maximum is %.', field, legwork_private.counted(length(key), 'character'), v_most using
      errcode = 'LW400', hint = 'Use a shorter key, or a hash of it.' || case when tenant is not null then ' The name of the tenant counts too.' else '' end;
  elsif key = '' and field = 'job_key' then
    raise exception 'job_key is empty.' using errcode = 'LW400', hint = 'Omit it for a job without a key.';
  end if;
  return v_kept;
end $$;
comment on function legwork_private.kept_key(text, text, text) is
  'Like legwork.tenant_key, with a check: raises LW400, naming the field (job_key or serial_key), for a key that together with the tenant is longer than graphile-worker accepts.';

create or replace function legwork_private.context_flags(tenant text, correlation_id text) returns text[]
language sql stable
return nullif(array_remove(array[
  'tenant:' || coalesce(tenant, nullif(current_setting('legwork.tenant', true), '')),
  'correlation:' || coalesce(correlation_id, nullif(current_setting('legwork.correlation_id', true), '')),
  'parent:' || nullif(current_setting('legwork.parent_id', true), ''),
  'trace:' || substring(current_setting('legwork.traceparent', true) from '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$')
], null), '{}');
comment on function legwork_private.context_flags(text, text) is
  'The flags that carry a job''s context. Values that are not given come from the settings legwork.tenant, legwork.correlation_id, '
  'legwork.parent_id and legwork.traceparent (W3C Trace Context), which a running task has on its connection and which any session can set for a transaction. Null if there is no context.';

create or replace function legwork_private.without_expiry(flags jsonb) returns jsonb
language sql immutable parallel safe
return case when legwork_private.flag_value(flags, 'expires') is null then flags
  else nullif(flags - array(select f from jsonb_object_keys(flags) f where f like 'expires:%'), '{}') end;
comment on function legwork_private.without_expiry(jsonb) is 'A job''s flags without the expiry, because a job that is retried should run.';

create or replace function legwork_private.option_flags(spec legwork_private.job_spec) returns text[]
language sql stable parallel safe
return case when isfinite(spec.expires_at) then array['expires:' || ceil(extract(epoch from spec.expires_at) * 1000)::bigint] end;
comment on function legwork_private.option_flags(legwork_private.job_spec) is 'The flags for a job''s options. Null if it has none.';

create or replace function legwork_private.job_fields() returns text[]
language sql immutable parallel safe
return array(select json_object_keys(to_json(jsonb_populate_record(null::legwork_private.job_spec, '{}'))));
comment on function legwork_private.job_fields() is 'The fields that a job of legwork.enqueue_many can have: the parameters of legwork.enqueue.';
