-- Carrying out bulk actions: legwork_private.run_bulk_action processes one chunk of one action.

create or replace function legwork_private.change_in_bulk(act legwork_private.bulk_actions, job_ids bigint[]) returns bigint[]
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  return case act.action
    when 'retry' then legwork_private.retry_failed(job_ids)
    when 'discard' then legwork_private.discard_failed(job_ids)
    when 'cancel' then legwork_private.cancel_live(job_ids, 'Cancelled by ' || act.actor || coalesce(': ' || act.reason, '.'))
    when 'rerun' then legwork_private.rerun_ended(job_ids)
    when 'priority' then array(select c.id from legwork_private.change_priorities(job_ids, act.priority) c)
  end;
end $$;
comment on function legwork_private.change_in_bulk(legwork_private.bulk_actions, bigint[]) is 'Applies a bulk action to jobs, and returns those that it changed.';
revoke execute on function legwork_private.change_in_bulk(legwork_private.bulk_actions, bigint[]) from public;

create or replace function legwork_private.passes_soon(sqlstate text) returns boolean
language sql immutable parallel safe
-- Connections, rollbacks, resources, locks, operator intervention, the disk, internal errors.
return left(passes_soon.sqlstate, 2) in ('08', '40', '53', '55', '57', '58', 'XX');
comment on function legwork_private.passes_soon(text) is 'Whether an error with this SQLSTATE is likely to be temporary, so that the same work is retried later.';
revoke execute on function legwork_private.passes_soon(text) from public;

create or replace function legwork_private.count_reason(reasons jsonb, reason text, jobs integer default 1) returns jsonb
language sql immutable set search_path = pg_catalog, pg_temp
return case when jobs = 0 then reasons else reasons || jsonb_build_object(
  case when reasons ? count_reason.reason or (select count(*) from jsonb_object_keys(reasons)) < 10 then count_reason.reason else 'Other reasons.' end,
  coalesce((reasons ->> case when reasons ? count_reason.reason or (select count(*) from jsonb_object_keys(reasons)) < 10 then count_reason.reason else 'Other reasons.' end)::integer, 0) + jobs) end;
comment on function legwork_private.count_reason(jsonb, text, integer) is 'Adds a number of jobs to the count of a reason. After ten different reasons, further ones are counted together.';
revoke execute on function legwork_private.count_reason(jsonb, text, integer) from public;

create or replace function legwork_private.change_one_by_one(act legwork_private.bulk_actions, job_ids bigint[], out changed bigint[], out refused bigint[], out reasons jsonb)
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_id bigint;
  v_state text;
  v_message text;
begin
  changed := '{}';
  refused := '{}';
  reasons := '{}';
  foreach v_id in array job_ids loop
    begin
      changed := changed || legwork_private.change_in_bulk(act, array[v_id]);
    exception when others then
      get stacked diagnostics v_state = returned_sqlstate, v_message = message_text;
      if legwork_private.passes_soon(v_state) then
        raise;
      end if;
      refused := refused || v_id;
      -- Errors that differ only in ids and numbers count as the same reason.
      reasons := legwork_private.count_reason(reasons, left(regexp_replace(v_message, '\d+', '…', 'g'), 300));
    end;
  end loop;
end $$;
comment on function legwork_private.change_one_by_one(legwork_private.bulk_actions, bigint[]) is
  'Applies a bulk action to jobs, each in its own subtransaction. Jobs for which it fails (refused) are counted by reason, and do not stop the others. Raises errors that are likely to be temporary.';
revoke execute on function legwork_private.change_one_by_one(legwork_private.bulk_actions, bigint[]) from public;

create or replace function legwork_private.end_bulk_action(act legwork_private.bulk_actions, state text, last_error text) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  update legwork_private.bulk_actions b
  set state = end_bulk_action.state, last_error = end_bulk_action.last_error, finished_at = clock_timestamp(), worked_at = clock_timestamp(), changed = act.changed, skipped = act.skipped,
    after_id = act.after_id, left_over = '{}', total = coalesce(act.total, act.changed)
  where b.id = act.id;
  perform set_config('legwork.surface', coalesce(act.surface, ''), true);
  perform legwork_private.audit('end_bulk_action', 'bulk_action', act.id::text, null,
    jsonb_strip_nulls(jsonb_build_object('state', state, 'action', act.action, 'skipped', act.skipped, 'error', last_error)), act.tenant, act.changed);
end $$;
comment on function legwork_private.end_bulk_action(legwork_private.bulk_actions, text, text) is 'Ends a bulk action that is running, and adds its summary to the audit log.';
revoke execute on function legwork_private.end_bulk_action(legwork_private.bulk_actions, text, text) from public;

create or replace function legwork_private.do_chunk(act legwork_private.bulk_actions) returns legwork_private.bulk_actions
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_ids bigint[];
  v_changed bigint[];
  v_refused bigint[] := '{}';
  v_reasons jsonb := '{}';
  v_missed bigint[];
  v_same integer := 0;
  v_is_rest boolean := false;
begin
  if act.action = 'rerun' then
    -- Like legwork.rerun_jobs: two actions that match the same jobs would both rerun them.
    perform pg_advisory_xact_lock(hashtextextended('legwork.rerun_jobs', 0));
  end if;
  v_ids := array(select x from legwork_private.bulk_matches(act.action, act.filter, act.started_at, act.after_id, act.up_to, act.chunk) x);
  if v_ids = '{}' then
    if act.left_over = '{}' then
      act.state := 'completed';
      return act;
    end if;
    v_is_rest := true;
    v_missed := act.left_over[:act.chunk];
    act.left_over := act.left_over[act.chunk + 1:];
    v_ids := array(select x from legwork_private.bulk_matches(act.action, act.filter || jsonb_build_object('ids', to_jsonb(v_missed)), act.started_at, null, act.up_to, null) x);
    act.skipped := legwork_private.count_reason(act.skipped, 'It had changed in the meantime.', cardinality(v_missed) - cardinality(v_ids));
  else
    act.after_id := v_ids[cardinality(v_ids)];
  end if;
  begin
    v_changed := legwork_private.change_in_bulk(act, v_ids);
  exception when others then
    if legwork_private.passes_soon(sqlstate) then
      raise;
    end if;
    v_changed := null;
  end;
  if v_changed is null then
    select o.changed, o.refused, o.reasons into v_changed, v_refused, v_reasons from legwork_private.change_one_by_one(act, v_ids) o;
    select coalesce(legwork_private.merge_reasons(act.skipped, v_reasons), act.skipped) into act.skipped;
  end if;
  act.changed := act.changed + cardinality(v_changed);
  v_missed := array(select x from unnest(v_ids) x where x <> all (v_changed) and x <> all (v_refused));
  if act.action = 'priority' and v_missed <> '{}' then
    v_same := (select count(*) from legwork_private.graphile_jobs j where j.id = any (v_missed) and j.priority = act.priority);
    v_missed := array(select j.id from legwork_private.graphile_jobs j where j.id = any (v_missed) and j.priority <> act.priority order by j.id);
    act.skipped := legwork_private.count_reason(act.skipped, 'It already had this priority.', v_same);
  end if;
  act.tries := case when not v_is_rest or cardinality(v_changed) > 0 then 0 else act.tries + 1 end;
  if cardinality(act.left_over) + cardinality(v_missed) > 10000 or act.tries >= 3 then
    act.skipped := legwork_private.count_reason(act.skipped, 'Another session had locked it.', cardinality(v_missed));
  else
    act.left_over := act.left_over || v_missed;
  end if;
  return act;
end $$;
comment on function legwork_private.do_chunk(legwork_private.bulk_actions) is
  'Processes the next chunk of a bulk action in the caller''s transaction, and returns its row as it is afterwards: completed if no job was left. Jobs that another session has locked are tried again at the end, three times.';
revoke execute on function legwork_private.do_chunk(legwork_private.bulk_actions) from public;

create or replace function legwork_private.merge_reasons(reasons jsonb, more jsonb) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  v_reason record;
begin
  for v_reason in select m.key, m.value::integer as jobs from jsonb_each_text(more) m loop
    reasons := legwork_private.count_reason(reasons, v_reason.key, v_reason.jobs);
  end loop;
  return reasons;
end $$;
comment on function legwork_private.merge_reasons(jsonb, jsonb) is 'Adds up two objects with numbers of jobs by reason.';
revoke execute on function legwork_private.merge_reasons(jsonb, jsonb) from public;

create or replace function legwork_private.may_act_in_bulk(act legwork_private.bulk_actions) returns boolean
language sql stable set search_path = pg_catalog, pg_temp
return exists (
  select from pg_roles r
  where r.rolname = act.login and has_function_privilege(r.oid, 'legwork.start_bulk_action(text, jsonb, text, integer)', 'execute')
    and not exists (select from legwork_private.confined_logins c where c.login = act.login and c.tenant is distinct from act.tenant));
comment on function legwork_private.may_act_in_bulk(legwork_private.bulk_actions) is
  'Whether the login that started a bulk action may still do so, for the same tenant.';
revoke execute on function legwork_private.may_act_in_bulk(legwork_private.bulk_actions) from public;

create or replace function legwork_private.run_bulk_action(id bigint default null) returns double precision
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_tenant text := legwork_private.confined_tenant();
  v_act legwork_private.bulk_actions;
  v_began timestamptz;
  v_took interval;
  v_state text;
  v_message text;
begin
  perform legwork_private.assert_role('operator');
  -- The lock decides which process handles the chunk. It ends with the transaction, even if the process is killed.
  select * into v_act from legwork_private.bulk_actions b
  where b.state = 'running' and b.next_at <= clock_timestamp() and (run_bulk_action.id is null or b.id = run_bulk_action.id) and (v_tenant is null or b.tenant = v_tenant)
  order by b.next_at limit 1 for update skip locked;
  if v_act.id is null then
    return extract(epoch from (
      select min(b.next_at) from legwork_private.bulk_actions b
      where b.state = 'running' and (run_bulk_action.id is null or b.id = run_bulk_action.id) and (v_tenant is null or b.tenant = v_tenant)) - clock_timestamp());
  end if;
  v_began := clock_timestamp();
  -- Until it ends, this transaction has the rights of the session that started the action. The surface is one of the server's, so that the named
  -- actor is trusted.
  perform set_config('legwork.role', coalesce(v_act.role, ''), true), set_config('legwork.confined_to', coalesce(v_act.tenant, ''), true),
    set_config('legwork.actor', coalesce(v_act.named_actor, v_act.actor), true), set_config('legwork.surface', 'rest', true);
  if not legwork_private.may_act_in_bulk(v_act) then
    perform legwork_private.end_bulk_action(v_act, 'failed', format('%s no longer has the right to do this.', v_act.login));
    return 0;
  end if;
  begin
    if v_act.total is null then
      v_act.total := (select count(*) from legwork_private.bulk_matches(v_act.action, v_act.filter, v_act.started_at, null, v_act.up_to, 1000000));
    else
      v_act := legwork_private.do_chunk(v_act);
    end if;
  exception when others then
    get stacked diagnostics v_state = returned_sqlstate, v_message = message_text;
    if v_state like 'LW%' then
      perform legwork_private.end_bulk_action(v_act, 'failed', v_message);
      return 0;
    end if;
    -- The error was caused by the system: the same chunk is retried, after longer and longer delays.
    update legwork_private.bulk_actions b set last_error = left(v_state || ': ' || v_message, 500), failures = b.failures + 1,
      next_at = clock_timestamp() + make_interval(secs => least(60, 2 ^ least(b.failures, 6)))
    where b.id = v_act.id;
    return 1;
  end;
  if v_act.state = 'completed' then
    perform legwork_private.end_bulk_action(v_act, 'completed', null);
    return 0;
  end if;
  v_took := clock_timestamp() - v_began;
  -- Chunks take up at most half of the time, so that workers can also run jobs, and about a quarter of a second each, so that no lock is held for
  -- long.
  update legwork_private.bulk_actions b
  set total = v_act.total, changed = v_act.changed, skipped = v_act.skipped, after_id = v_act.after_id, left_over = v_act.left_over, tries = v_act.tries, last_error = null, failures = 0,
    worked_at = clock_timestamp(),
    chunk = case when v_took > interval '500 milliseconds' then greatest(b.chunk / 2, 10) when v_took < interval '125 milliseconds' then least(b.chunk * 2, 1000) else b.chunk end,
    next_at = clock_timestamp() + case when v_act.tries > 0 then interval '1 second' else greatest(least(v_took, interval '5 seconds'), interval '20 milliseconds') end
  where b.id = v_act.id
  returning b.next_at into v_began;
  return greatest(extract(epoch from v_began - clock_timestamp()), 0);
end $$;
comment on function legwork_private.run_bulk_action(bigint) is
  'Processes the next chunk of the bulk action with this id, or of the one that is due first. Returns the number of seconds until the next chunk is due; null if no bulk action is running. '
  'Workers, servers and the command line call it in a transaction of its own, at read committed.';
revoke execute on function legwork_private.run_bulk_action(bigint) from public;
