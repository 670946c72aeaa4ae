-- Enqueueing from a user's own table, through a trigger created by legwork.enqueue_on.
create or replace function legwork_private.enqueue_rows(changes jsonb, task text, options jsonb) returns void
language sql volatile
as $$
  select legwork.enqueue_many(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
    'task', enqueue_rows.task,
    'job_key', case when options ->> 'job_key' is not null then
      (options ->> 'job_key') || ':' || coalesce(change -> 'row' ->> (options ->> 'key_column'), '') end,
    'serial_key', case when options ->> 'serial_key' is not null then
      (options ->> 'serial_key') || ':' || coalesce(change -> 'row' ->> (options ->> 'key_column'), '') end,
    'priority', options -> 'priority',
    'max_attempts', options -> 'max_attempts',
    'tenant', change -> 'row' ->> (options ->> 'tenant_column')
  )) || jsonb_build_object('payload', case
    when options -> 'payload' is null then change
    else (select jsonb_object_agg(f.key, change -> 'row' -> f.value) from jsonb_each_text(options -> 'payload') f)
  end)))
  from jsonb_array_elements(changes) as change
  having count(*) > 0
$$;
comment on function legwork_private.enqueue_rows(jsonb, text, jsonb) is
  'Enqueues a job per changed row, for a trigger created by legwork.enqueue_on.';

-- to_jsonb fails for a json column that contains NUL or half a surrogate pair, and would keep the client from writing the row.
create or replace function legwork_private.has_json_column(of_table oid) returns boolean
language sql stable parallel safe
return exists (
  select from pg_catalog.pg_attribute a
  where a.attrelid = of_table and not a.attisdropped and a.atttypid in ('pg_catalog.json'::regtype, 'pg_catalog.json[]'::regtype));
comment on function legwork_private.has_json_column(oid) is 'Whether a table has a column of type json or json[].';

-- Runs with the owner's rights: a role that can write to the table does not need the right to enqueue anything else.
create or replace function legwork_private.tg_enqueue__statement() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_chunk jsonb;
  v_has_json boolean := legwork_private.has_json_column(tg_relid);
begin
  -- In chunks, because a jsonb holds at most 256 MB and a statement can change any number of rows.
  for v_chunk in
    select jsonb_agg(x.change) from (
      select (row_number() over ()) / 200 as chunk,
        jsonb_build_object('event', lower(tg_op), 'table', format('%I.%I', tg_table_schema, tg_table_name), 'row',
          case when v_has_json then legwork_private.storable_json(to_json(c))::jsonb else to_jsonb(c) end) as change
      from changed c
    ) x group by x.chunk order by x.chunk
  loop
    perform legwork_private.enqueue_rows(v_chunk, tg_argv[0], tg_argv[1]::jsonb);
  end loop;
  return null;
end $$;
comment on function legwork_private.tg_enqueue__statement() is 'The trigger of legwork.enqueue_on for insert and delete: enqueues the jobs of a statement together.';

-- Otherwise any role that can create a table could enqueue with the owner's rights, through a trigger on that table.
revoke execute on function legwork_private.tg_enqueue__statement() from public;

create or replace function legwork_private.tg_enqueue__row() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_has_json boolean := legwork_private.has_json_column(tg_relid);
begin
  perform legwork_private.enqueue_rows(
    jsonb_build_array(jsonb_build_object(
      'event', 'update', 'table', format('%I.%I', tg_table_schema, tg_table_name),
      'row', case when v_has_json then legwork_private.storable_json(to_json(new))::jsonb else to_jsonb(new) end,
      'old', case when v_has_json then legwork_private.storable_json(to_json(old))::jsonb else to_jsonb(old) end)),
    tg_argv[0], tg_argv[1]::jsonb);
  return null;
end $$;
comment on function legwork_private.tg_enqueue__row() is 'The trigger of legwork.enqueue_on for update: enqueues one job per changed row.';
revoke execute on function legwork_private.tg_enqueue__row() from public;

create or replace function legwork.enqueue_on(
  "table" regclass,
  events text[],
  task text,
  payload jsonb default null,
  columns text[] default null,
  job_key text default null,
  serial_key text default null,
  key_column text default 'id',
  tenant_column text default null,
  priority integer default null,
  max_attempts integer default null
) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_event text;
  v_column text;
  v_name text;
  v_options jsonb := jsonb_strip_nulls(jsonb_build_object(
    'payload', payload, 'job_key', job_key, 'serial_key', serial_key, 'key_column', key_column,
    'tenant_column', tenant_column, 'priority', priority, 'max_attempts', max_attempts));
begin
  if not has_function_privilege('legwork_private.tg_enqueue__statement()', 'execute') then
    raise exception 'Role % may not create triggers that enqueue jobs.', current_user using errcode = 'LW403',
      hint = 'Call enqueue_on as the owner of the schema legwork. The trigger then enqueues jobs for every login that can write to the table.';
  end if;
  perform legwork_private.assert_task(task);
  perform legwork_private.assert_job_numbers(priority, max_attempts);
  if events is null or cardinality(events) = 0 then
    raise exception 'enqueue_on needs at least one event.' using errcode = 'LW400', hint = 'Use insert, update or delete.';
  end if;
  if payload is not null and jsonb_typeof(payload) <> 'object' then
    raise exception 'payload maps fields to columns and must be a JSON object; got %.', jsonb_typeof(payload) using
      errcode = 'LW400', hint = 'For example {"projectId": "id"}: the payload''s projectId is the row''s id.';
  end if;
  for v_column in
    select unnest(columns)
    union all select value from jsonb_each_text(payload)
    union all select key_column where job_key is not null or serial_key is not null
    union all select tenant_column where tenant_column is not null
  loop
    if not exists (select from pg_attribute a where a.attrelid = "table" and a.attname = v_column and a.attnum > 0 and not a.attisdropped) then
      raise exception 'Table % has no column ''%''.', "table", v_column using errcode = 'LW400',
        hint = coalesce('Did you mean ''' || legwork_private.nearest_name(v_column, array(
          select a.attname::text from pg_attribute a where a.attrelid = "table" and a.attnum > 0 and not a.attisdropped)) || '''?',
          'payload maps fields to column names.');
    end if;
  end loop;
  foreach v_event in array events loop
    v_event := lower(trim(v_event));
    -- One trigger per task and event, so that calling this again replaces it. Names are truncated to 63 bytes, so a hash keeps them distinct.
    v_name := format('_legwork_%s_%s', v_event, left(md5(task), 12));
    case v_event
      when 'insert', 'delete' then
        execute format(
          'create or replace trigger %I after %s on %s referencing %s table as changed for each statement execute function legwork_private.tg_enqueue__statement(%L, %L)',
          v_name, v_event, "table", case v_event when 'insert' then 'new' else 'old' end, task, v_options);
      when 'update' then
        execute format(
          'create or replace trigger %I after update %s on %s for each row when (old *<> new) execute function legwork_private.tg_enqueue__row(%L, %L)',
          v_name, (select 'of ' || string_agg(quote_ident(c), ', ') from unnest(columns) c), "table", task, v_options);
      else
        raise exception '''%'' is not a valid event.', v_event using errcode = 'LW400', hint = 'Use insert, update or delete.';
    end case;
  end loop;
end $$;
comment on function legwork.enqueue_on(regclass, text[], text, jsonb, text[], text, text, text, text, integer, integer) is
  'Creates a trigger on a table that enqueues a job in the transaction of each change. events: insert, update, delete. '
  'payload: maps the payload''s fields to columns, as in {"projectId": "id"}; without it, the payload is {event, table, row}, and for '
  'an update also the old row. columns: an update counts only if it sets one of these. job_key, serial_key: a prefix, to which '
  'the row''s key_column (id) is appended. tenant_column: the column with the job''s tenant. Calling it again for the same table, '
  'event and task replaces the trigger. Only the owner of the schema legwork may call it. Raises LW403 for any other login, LW404 for an unknown task, '
  'and LW400 for an unknown event or column.';

create or replace function legwork.enqueue_on(
  "table" regclass,
  events text,
  task text,
  payload jsonb default null,
  columns text[] default null,
  job_key text default null,
  serial_key text default null,
  key_column text default 'id',
  tenant_column text default null,
  priority integer default null,
  max_attempts integer default null
) returns void
language sql volatile
as $$
  select legwork.enqueue_on("table", regexp_split_to_array(trim(lower(events)), '\s*(,|\mor\M)\s*'), task, payload, columns,
    job_key, serial_key, key_column, tenant_column, priority, max_attempts)
$$;
comment on function legwork.enqueue_on(regclass, text, text, jsonb, text[], text, text, text, text, integer, integer) is
  'Like enqueue_on with an array of events, but with the events as one string: ''insert'', ''insert or update'', ''insert, delete''.';

create or replace function legwork.enqueue_triggers()
returns table ("table" text, event text, task text, is_enabled boolean, columns text[], options jsonb, trigger_name text)
language sql stable as $$
  select format('%I.%I', n.nspname, c.relname), case when (t.tgtype & 4) <> 0 then 'insert' when (t.tgtype & 8) <> 0 then 'delete' else 'update' end, a.given[1],
    -- A trigger that is enabled only for replicas does not fire for clients.
    t.tgenabled in ('O', 'A'),
    (select array_agg(k.attname::text order by k.attnum) from pg_catalog.pg_attribute k where k.attrelid = t.tgrelid and k.attnum = any (t.tgattr)),
    a.given[2]::jsonb, t.tgname::text
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_class c on c.oid = t.tgrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  -- The trigger's arguments, each terminated by a zero byte.
  cross join lateral (select string_to_array(replace(encode(t.tgargs, 'escape'), '\\', '\'), '\000') as given) a
  where t.tgfoid in ('legwork_private.tg_enqueue__statement()'::regprocedure, 'legwork_private.tg_enqueue__row()'::regprocedure)
    and legwork_private.confined_tenant() is null
  order by 1, 2, 3
$$;
comment on function legwork.enqueue_triggers() is
  'The triggers that legwork.enqueue_on has created: the table, the event, the task, whether the trigger is enabled (alter table … disable trigger disables it, and changes then enqueue nothing), the columns that an '
  'update has to set (null for any), the other options, and the trigger''s name. Empty for a session that is confined to a tenant.';

create or replace function legwork.stop_enqueue_on("table" regclass, task text) returns integer
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_name text;
  v_count integer := 0;
begin
  for v_name in
    select t.tgname from pg_trigger t
    where t.tgrelid = "table" and t.tgname like '\_legwork\_%' and right(t.tgname, 12) = left(md5(task), 12)
  loop
    execute format('drop trigger %I on %s', v_name, "table");
    v_count := v_count + 1;
  end loop;
  return v_count;
end $$;
comment on function legwork.stop_enqueue_on(regclass, text) is
  'Removes the triggers that legwork.enqueue_on has created on a table for a task. Returns how many there were.';
