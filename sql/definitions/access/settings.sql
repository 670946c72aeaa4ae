create or replace function legwork.change_setting(name text, value text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_names text[] := array(select s.name from legwork.settings s);
  v_is_valid boolean;
begin
  perform legwork_private.assert_role('admin', true);
  if change_setting.value is null or change_setting.name is null or change_setting.name <> all (v_names) then
    raise exception '%', case when value is null then 'A setting needs a value.' else format('There is no setting named ''%s''.', name) end using
      errcode = case when value is null then 'LW400' else 'LW404' end,
      detail = '{"do": "list_settings"}',
      hint = coalesce('Did you mean ''' || legwork_private.nearest_name(name, v_names) || '''? ', '') || '`select name, value, description from legwork.settings` lists them.';
  end if;
  begin
    -- The other settings are periods.
    v_is_valid := case when change_setting.name = 'alert_channels' then jsonb_typeof(value::jsonb) = 'array'
      else lower(trim(value)) = 'infinity' or value::interval between interval '1 minute' and interval '1000 years' end;
  exception when data_exception then
    v_is_valid := false;
  end;
  if not v_is_valid then
    raise exception '% is %; it must be %.', name, left(value, 100),
      case name when 'alert_channels' then 'a JSON array of channels' else 'a period between 1 minute and 1,000 years, or infinity' end
      using errcode = 'LW400', column = name, hint = 'Nothing was changed.';
  end if;
  if change_setting.name = 'alert_channels' then
    perform legwork_private.assert_alert_channels(value::jsonb);
  end if;
  update legwork.settings s set value = change_setting.value where s.name = change_setting.name;
end $$;
comment on function legwork.change_setting(text, text) is 'Changes a setting in legwork.settings. Raises LW404 for an unknown setting; LW400 for a period that is not between a minute and a thousand years, for channels that are not valid, and for a null value.';
revoke execute on function legwork.change_setting(text, text) from public;

create or replace function legwork_private.installed_schema(
  out version text, out minimum_version text, out definitions_hash text, out graphile_worker integer, out migrations jsonb
)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select v.version, v.minimum_version, v.definitions_hash, (select max(m.id) from graphile_worker.migrations m),
    (select coalesce(jsonb_agg(to_jsonb(m) - 'applied_at' order by m.id), '[]') from legwork.migrations m)
  from legwork_private.schema_version v
$$;
comment on function legwork_private.installed_schema() is
  'The version of this schema, the oldest version of Legwork that may use it, the SHA-256 of its definitions, the number of graphile-worker''s newest migration, and the '
  'applied migrations as [{"id", "name", "checksum"}]. A process whose login may not migrate calls it when it starts.';
revoke execute on function legwork_private.installed_schema() from public;

comment on table legwork.migrations is 'The migrations that have been applied to this schema.';
comment on column legwork.migrations.id is 'The number at the beginning of its file name.';
comment on column legwork.migrations.name is 'Its file name without the extension.';
comment on column legwork.migrations.checksum is 'SHA-256 of the file as it was applied.';
comment on column legwork.migrations.applied_at is 'When it was applied.';

create policy read on legwork.migrations for select to public using (true);
