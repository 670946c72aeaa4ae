comment on table legwork_private.alert_silences is 'Silences: times during which alerts are raised and resolved but not sent.';
comment on column legwork_private.alert_silences.id is 'The silence''s id.';
comment on column legwork_private.alert_silences.rule is 'The rule whose alerts are silenced; null for all.';
comment on column legwork_private.alert_silences.target is 'The target whose alerts are silenced; null for all.';
comment on column legwork_private.alert_silences.until is 'When the silence ends.';
comment on column legwork_private.alert_silences.reason is 'The reason that its creator gave.';
comment on column legwork_private.alert_silences.silenced_by is 'Who created it: the database role, or the subject that the server names.';
comment on column legwork_private.alert_silences.silenced_at is 'When it was created.';

create or replace function legwork_private.is_silenced(rule text, target text, at timestamptz) returns boolean
language sql stable
return exists (
  select from legwork_private.alert_silences s
  where s.until > is_silenced.at and coalesce(s.rule = is_silenced.rule, true) and coalesce(s.target = is_silenced.target, true));
comment on function legwork_private.is_silenced(text, text, timestamptz) is 'Whether a silence keeps the alerts of this rule and target from being sent.';
revoke execute on function legwork_private.is_silenced(text, text, timestamptz) from public;

create or replace function legwork.silence_alerts(duration interval, rule text default null, target text default null, reason text default null) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_id bigint;
begin
  perform legwork_private.assert_role('operator', true);
  if duration is null then
    raise exception 'Silencing alerts needs a duration.' using errcode = 'LW400', hint = 'For example ''2 hours''.';
  end if;
  perform legwork_private.assert_interval('duration', duration, '1 second');
  if rule is not null then
    perform legwork_private.assert_alert_rule(rule);
  end if;
  insert into legwork_private.alert_silences (rule, target, until, reason)
  values (silence_alerts.rule, silence_alerts.target, clock_timestamp() + duration, silence_alerts.reason) returning alert_silences.id into v_id;
  return v_id;
end $$;
comment on function legwork.silence_alerts(interval, text, text, text) is
  'Silences alerts for a duration: all alerts, or those of a rule, a target or both. They are still raised and resolved; an alert that is still open when the silence ends is sent then. '
  'Returns the silence''s id. Raises LW404 for an unknown rule, LW400 for an invalid duration.';
revoke execute on function legwork.silence_alerts(interval, text, text, text) from public;

create or replace function legwork.end_silence(id bigint) returns boolean
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  select legwork_private.assert_role('operator', true);
  with ended as (
    update legwork_private.alert_silences s set until = clock_timestamp() where s.id = end_silence.id and s.until > clock_timestamp() returning 1
  )
  select exists (select from ended)
$$;
comment on function legwork.end_silence(bigint) is 'Ends a silence early. Returns whether it was still in effect.';
revoke execute on function legwork.end_silence(bigint) from public;

create or replace function legwork.silences()
returns table (id bigint, rule text, target text, until timestamptz, reason text, silenced_by text, silenced_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select legwork_private.assert_role('viewer', true);
  select s.id, s.rule, s.target, s.until, s.reason, s.silenced_by, s.silenced_at from legwork_private.alert_silences s where s.until > clock_timestamp() order by s.until
$$;
comment on function legwork.silences() is 'The silences in effect, those that end soonest first.';
revoke execute on function legwork.silences() from public;
