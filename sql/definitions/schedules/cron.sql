-- Cron expressions. The grammar is the TypeScript library's, so that it can compute every expression accepted here. A test compares the two.
create or replace function legwork_private.cron_item(field text, item text, out members integer[], out problem text)
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  v_low integer := case when field in ('day', 'month') then 1 else 0 end;
  v_high integer := case field when 'hour' then 23 when 'day' then 31 when 'month' then 12 when 'weekday' then 7 else 59 end;
  v_sizes integer := case field when 'hour' then 24 when 'day' then 31 when 'month' then 12 when 'weekday' then 7 else 60 end;
  v_names text[] := case field
    when 'month' then array['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
    when 'weekday' then array['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] end;
  v_text text := lower(item);
  v_match text[];
  v_bounds integer[] := '{}';
  v_bound text;
  v_step integer := 1;
  v_nth text;
begin
  if item = '' then
    problem := 'is empty';
    return;
  end if;
  if field = 'day' and v_text = 'l' then
    members := array[31, 28];
    return;
  end if;
  if field = 'day' and v_text ~ '^\d+w$' then
    v_text := left(v_text, -1);
  end if;
  if field = 'weekday' then
    v_nth := substring(v_text from '#(\d+|l)$');
    if v_nth is not null then
      v_text := left(v_text, -length(v_nth) - 1);
    elsif v_text ~ '.l$' then
      v_nth := 'l';
      v_text := left(v_text, -1);
    end if;
    if v_nth <> 'l' and (length(v_nth) > 9 or v_nth::integer not between 1 and 5) then
      problem := 'names a weekday that no month has; use #1 to #5 for the first to the fifth, or L for the last';
      return;
    end if;
  end if;
  v_match := regexp_match(v_text, '^(\*|\w+)(?:-(\w+))?(?:/(\d+))?$');
  if v_match is null or (v_match[1] = '*' and (v_match[2] is not null or (v_nth is not null and v_match[3] is null))) then
    problem := 'cannot be parsed';
    return;
  end if;
  if v_match[3] is not null then
    if v_match[1] <> '*' and v_match[2] is null then
      problem := format('has a step without a range; write %s-%s/%s', v_match[1], case field when 'weekday' then 6 else v_high end, v_match[3]);
      return;
    end if;
    v_step := case when length(ltrim(v_match[3], '0')) > 3 then 1000 else v_match[3]::integer end;
    if v_step not between 1 and v_sizes then
      problem := format('has a step that is not between 1 and %s', v_sizes);
      return;
    end if;
  end if;
  if v_match[1] = '*' then
    members := array(select generate_series(v_low, v_high, v_step));
    return;
  end if;
  foreach v_bound in array array_remove(v_match[1:2], null) loop
    if v_bound = any (v_names) then
      v_bounds := v_bounds || case
        when field = 'month' then array_position(v_names, v_bound)
        when v_bound = 'sun' and v_bounds <> '{}' then 7
        else array_position(v_names, v_bound) - 1 end;
    elsif v_bound !~ '^\d+$' then
      problem := 'cannot be parsed' || coalesce('; did you mean ' || upper(legwork_private.nearest_name(v_bound, v_names)), '');
      return;
    elsif length(ltrim(v_bound, '0')) > 3 or v_bound::integer not between v_low and v_high then
      problem := format('is not between %s and %s', v_low, v_high);
      return;
    else
      v_bounds := v_bounds || v_bound::integer;
    end if;
  end loop;
  if v_bounds[1] > v_bounds[2] then
    problem := 'is a range that ends before it begins';
    return;
  end if;
  members := array(select generate_series(v_bounds[1], coalesce(v_bounds[2], v_bounds[1]), v_step));
end $$;
comment on function legwork_private.cron_item(text, text) is
  'The values that one item of a cron field (second, minute, hour, day, month or weekday) matches, or the problem if it is not valid.';

create or replace function legwork_private.assert_cron(cron text) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  v_names text[] := array['second', 'minute', 'hour', 'day', 'month', 'weekday'];
  v_fields text[];
  v_items text[];
  v_given integer;
  v_days integer[] := '{}';
  v_months integer[] := '{}';
  v_item record;
begin
  if length(cron) > 200 then
    raise exception 'The cron expression has % characters; the maximum is 200.', length(cron) using
      errcode = 'LW400', hint = 'Split it into several schedules.';
  end if;
  if cron ~ '@' then
    if lower(regexp_replace(cron, '^\s+|\s+$', '', 'g')) in ('@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly') then
      return;
    end if;
    raise exception 'Unknown cron shortcut >%<.', cron using errcode = 'LW400',
      hint = 'The shortcuts are @yearly, @annually, @monthly, @weekly, @daily, @midnight and @hourly.';
  end if;
  v_fields := regexp_split_to_array(regexp_replace(cron, '^\s+|\s+$', '', 'g'), '\s+');
  v_given := cardinality(v_fields);
  if v_given not in (5, 6) or cron !~ '\S' then
    raise exception 'The cron expression ''%'' has %.', cron, legwork_private.counted(case when cron ~ '\S' then v_given else 0 end, 'field') using errcode = 'LW400',
      hint = 'It needs five fields (minute hour day month weekday), or six with seconds first, for example 30 2 * * MON-FRI.';
  end if;
  for v_field in 7 - v_given..6 loop
    v_items := string_to_array(replace(v_fields[v_field - 6 + v_given], '?', '*'), ',');
    if v_field = 4 and lower(v_fields[v_field - 6 + v_given]) = 'lw' then
      v_days := array[28];
      continue;
    end if;
    for v_index in 1..cardinality(v_items) loop
      select * into v_item from legwork_private.cron_item(v_names[v_field], v_items[v_index]);
      if v_item.problem is not null then
        raise exception 'The cron expression is not valid: % ''%'' %: %', v_names[v_field], v_items[v_index], v_item.problem,
          array_to_string(v_fields[:v_field - 7 + v_given]
            || array_to_string(v_items[:v_index - 1] || ('>' || v_items[v_index] || '<') || v_items[v_index + 1:], ',')
            || v_fields[v_field - 5 + v_given:], ' ')
          using errcode = 'LW400',
          hint = 'The fields are minute, hour, day of month, month and weekday. With six fields, seconds come first. A field is *, a number, a name, '
            'a range (1-5), a step (*/15) or a list of these. Days also accept L, LW and 15W, and weekdays FRI#2 and FRIL.';
      end if;
      if v_field = 4 then
        v_days := v_days || v_item.members;
      elsif v_field = 5 then
        v_months := v_months || v_item.members;
      end if;
    end loop;
  end loop;
  -- As in cron, a day and a weekday are alternatives, and */1 is the same as *. A day without a weekday must exist in one of the months.
  if v_fields[v_given] ~ '^[*?](/0*1)?$' and not exists (
    select from unnest(v_days) d, unnest(v_months) m where d <= case m when 2 then 29 when 4 then 30 when 6 then 30 when 9 then 30 when 11 then 30 else 31 end)
  then
    raise exception 'The cron expression never fires, because its months do not have that day: %',
      array_to_string(v_fields[:v_given - 3] || ('>' || v_fields[v_given - 2]) || (v_fields[v_given - 1] || '<') || v_fields[v_given], ' ')
      using errcode = 'LW400', hint = 'Use L for the last day of a month.';
  end if;
end $$;
comment on function legwork_private.assert_cron(text) is
  'Does nothing for a valid cron expression that fires at some time. Otherwise raises LW400, with the invalid part between > and <.';

create or replace function legwork_private.assert_timezone(timezone text) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  begin
    perform now() at time zone assert_timezone.timezone;
    -- Postgres also accepts abbreviations and POSIX rules. Neither handles daylight saving time reliably. Listing all zones is slow, so only names
    -- that could be abbreviations are looked up. CET and similar names are zones for Node, while Postgres reads them as abbreviations.
    if assert_timezone.timezone ~ '^[A-Za-z_]+(/[A-Za-z_-]+)+$' or assert_timezone.timezone in ('UTC', 'GMT')
      or exists (
        select from pg_timezone_names z
        where lower(z.name) = lower(assert_timezone.timezone) and z.name !~ '^posix/|^Factory$|^localtime$|^posixrules$'
          and not exists (select from pg_timezone_abbrevs a where lower(a.abbrev) = lower(assert_timezone.timezone)))
    then
      return;
    end if;
  exception when invalid_parameter_value then
    null;
  end;
  raise exception 'There is no time zone named ''%''.', assert_timezone.timezone using errcode = 'LW400',
    hint = coalesce('Did you mean ''' || legwork_private.nearest_name(assert_timezone.timezone,
      array(select z.name from pg_timezone_names z where z.name ~ '^(Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific)/|^UTC$')) || '''? ', '')
      || 'Zones are named as in the IANA database, such as Europe/Berlin.';
end $$;
comment on function legwork_private.assert_timezone(text) is 'Does nothing for a time zone of the IANA database. Raises LW400 for any other name, suggesting the most similar one.';

create or replace function legwork_private.cron_end() returns timestamptz
language sql immutable parallel safe
return timestamptz '3000-01-01 00:00:00Z';
comment on function legwork_private.cron_end() is 'The end of the time range in which the library computes the times of cron expressions.';
