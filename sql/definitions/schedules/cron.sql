-- Cron expressions. The grammar is the library''s, so that what is accepted here can be computed there; a test compares the two.
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
      problem := 'asks for a weekday that no month has; the first to the fifth are #1 to #5, the last is L';
      return;
    end if;
  end if;
  v_match := regexp_match(v_text, '^(\*|\w+)(?:-(\w+))?(?:/(\d+))?$');
  if v_match is null or (v_match[1] = '*' and (v_match[2] is not null or (v_nth is not null and v_match[3] is null))) then
    problem := 'is not understood';
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
      problem := 'is not understood' || coalesce('; did you mean ' || upper(legwork_private.nearest_name(v_bound, v_names)), '');
      return;
    elsif length(ltrim(v_bound, '0')) > 3 or v_bound::integer not between v_low and v_high then
      problem := format('is not between %s and %s', v_low, v_high);
      return;
    else
      v_bounds := v_bounds || v_bound::integer;
    end if;
  end loop;
  if v_bounds[1] > v_bounds[2] then
    problem := 'ends before it begins';
    return;
  end if;
  members := array(select generate_series(v_bounds[1], coalesce(v_bounds[2], v_bounds[1]), v_step));
end $$;
comment on function legwork_private.cron_item(text, text) is
  'What one item of a field of a cron expression (second, minute, hour, day, month or weekday) stands for, or what is wrong with it.';

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
    raise exception 'A cron expression has at most 200 characters, this one has %.', length(cron) using
      errcode = 'LW400', hint = 'Make several schedules of it.';
  end if;
  if cron ~ '@' then
    if lower(regexp_replace(cron, '^\s+|\s+$', '', 'g')) in ('@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly') then
      return;
    end if;
    raise exception 'The cron expression >%< is no nickname.', cron using errcode = 'LW400',
      hint = '@yearly, @annually, @monthly, @weekly, @daily, @midnight and @hourly are.';
  end if;
  v_fields := regexp_split_to_array(regexp_replace(cron, '^\s+|\s+$', '', 'g'), '\s+');
  v_given := cardinality(v_fields);
  if v_given not in (5, 6) or cron !~ '\S' then
    raise exception 'The cron expression ''%'' has % field(s).', cron, case when cron ~ '\S' then v_given else 0 end using errcode = 'LW400',
      hint = 'It needs five (minute hour day month weekday), or six with seconds in front, for example 30 2 * * MON-FRI.';
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
          hint = 'Fields are minute, hour, day of month, month and weekday, with seconds in front where there are six; a field is *, a number, a name, '
            'a range (1-5), a step (*/15) or a list of them; days also take L, LW and 15W, weekdays FRI#2 and FRIL.';
      end if;
      if v_field = 4 then
        v_days := v_days || v_item.members;
      elsif v_field = 5 then
        v_months := v_months || v_item.members;
      end if;
    end loop;
  end loop;
  -- A day and a weekday are alternatives, as cron has it, and */1 is a star; alone, a day must be one that a month has.
  if v_fields[v_given] ~ '^[*?](/0*1)?$' and not exists (
    select from unnest(v_days) d, unnest(v_months) m where d <= case m when 2 then 29 when 4 then 30 when 6 then 30 when 9 then 30 when 11 then 30 else 31 end)
  then
    raise exception 'The cron expression never fires: no such month has that day: %',
      array_to_string(v_fields[:v_given - 3] || ('>' || v_fields[v_given - 2]) || (v_fields[v_given - 1] || '<') || v_fields[v_given], ' ')
      using errcode = 'LW400', hint = 'L is the last day of any month.';
  end if;
end $$;
comment on function legwork_private.assert_cron(text) is
  'Does nothing for a cron expression that fires some day. Raises LW400 for any other, with the part that is wrong between > and <.';

create or replace function legwork_private.assert_timezone(timezone text) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  begin
    perform now() at time zone assert_timezone.timezone;
    -- Postgres also takes abbreviations and POSIX rules. Neither has daylight saving that can be relied on, and listing all zones is slow:
    -- only what could be one of them is looked up. CET and its like are zones too, which Node reads, while Postgres reads the abbreviation.
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
  raise exception 'No time zone is called ''%''.', assert_timezone.timezone using errcode = 'LW400',
    hint = coalesce('Did you mean ''' || legwork_private.nearest_name(assert_timezone.timezone,
      array(select z.name from pg_timezone_names z where z.name ~ '^(Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific)/|^UTC$')) || '''? ', '')
      || 'Zones are named as in the IANA database, such as Europe/Berlin.';
end $$;
comment on function legwork_private.assert_timezone(text) is 'Does nothing for a time zone of the IANA database. Raises LW400 with the nearest name for any other.';

create or replace function legwork_private.cron_end() returns timestamptz
language sql immutable parallel safe
return timestamptz '3000-01-01 00:00:00Z';
comment on function legwork_private.cron_end() is 'Where the library ends that computes the times of cron expressions.';
