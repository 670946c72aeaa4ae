-- Bulk actions: an action on all jobs that match a filter, carried out by workers and servers in small transactions.
--
-- Each chunk is one transaction that holds the lock of the action's row: two processes never process the same chunk, and a killed process leaves the
-- row as it was after the last complete chunk, from which any other continues. Chunks go through the jobs in the order of their ids.
-- Only jobs that existed when the action started are changed, and for retry, discard and rerun only those that had ended by then, so that a job that
-- fails again is not retried forever.

comment on table legwork_private.bulk_actions is 'Bulk actions, running and ended. Kept as long as the history.';
comment on column legwork_private.bulk_actions.id is 'The bulk action''s id.';
comment on column legwork_private.bulk_actions.action is 'The action: retry, discard, cancel, rerun or priority.';
comment on column legwork_private.bulk_actions.filter is 'The filter for its jobs. Relative periods were replaced by times when it started.';
comment on column legwork_private.bulk_actions.priority is 'The new priority, for the action priority.';
comment on column legwork_private.bulk_actions.reason is 'The reason that was given, for the action cancel.';
comment on column legwork_private.bulk_actions.actor is 'Who started it: the database role, or the client on whose behalf the server acted.';
comment on column legwork_private.bulk_actions.login is 'The login that started it. It must still have the right to do so when a chunk is processed.';
comment on column legwork_private.bulk_actions.role is 'The role of the client on whose behalf the login started it. Null if the login acted for itself.';
comment on column legwork_private.bulk_actions.named_actor is 'The actor that the login named, for the audit log.';
comment on column legwork_private.bulk_actions.surface is 'The surface on which it was started.';
comment on column legwork_private.bulk_actions.tenant is 'The tenant whose jobs it changes; null for all tenants.';
comment on column legwork_private.bulk_actions.state is 'running, completed, stopped by a person, or failed.';
comment on column legwork_private.bulk_actions.total is 'How many jobs matched, counted up to a million; null until they are counted.';
comment on column legwork_private.bulk_actions.changed is 'How many jobs it has changed.';
comment on column legwork_private.bulk_actions.skipped is 'How many matching jobs it could not change, by reason.';
comment on column legwork_private.bulk_actions.last_error is 'Why the last chunk could not be processed, or why the action failed.';
comment on column legwork_private.bulk_actions.failures is 'How many chunks in a row could not be processed.';
comment on column legwork_private.bulk_actions.started_at is 'When it started.';
comment on column legwork_private.bulk_actions.worked_at is 'When the last chunk was processed.';
comment on column legwork_private.bulk_actions.finished_at is 'When it ended; null while it is running.';
comment on column legwork_private.bulk_actions.next_at is 'When the next chunk is due.';
comment on column legwork_private.bulk_actions.chunk is 'How many jobs the next chunk has.';
comment on column legwork_private.bulk_actions.after_id is 'The last job that was checked: the next chunk begins after it.';
comment on column legwork_private.bulk_actions.up_to is 'The last job that existed when it started.';
comment on column legwork_private.bulk_actions.left_over is 'Jobs that were locked by another session, and are tried again at the end.';
comment on column legwork_private.bulk_actions.tries is 'How often the jobs that are left over were tried without success.';

create or replace function legwork_private.bulk_matches(
  action text, filter jsonb, as_of timestamptz, after_id bigint, up_to bigint, at_most integer
) returns setof bigint
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if action in ('retry', 'discard') then
    return query select x from legwork_private.failed_jobs_like(filter, after_id, up_to, at_most, as_of) x;
  elsif action = 'rerun' then
    return query select x from legwork_private.finished_jobs_like(filter, as_of, after_id, up_to, at_most) x;
  else
    return query select x from legwork_private.live_jobs_like(filter, after_id, up_to, at_most, as_of) x;
  end if;
end $$;
comment on function legwork_private.bulk_matches(text, jsonb, timestamptz, bigint, bigint, integer) is
  'The jobs to which a bulk action applies, in the order of their ids: those above after_id, up to up_to, that existed at as_of. Only jobs of the session''s tenant. Raises the errors of the filters.';
revoke execute on function legwork_private.bulk_matches(text, jsonb, timestamptz, bigint, bigint, integer) from public;

create or replace function legwork_private.assert_bulk_action(action text, filter jsonb, priority integer) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_role('operator');
  if action is null or action not in ('retry', 'discard', 'cancel', 'rerun', 'priority') then
    raise exception '%', case when action is null then 'A bulk action needs an action.' else format('''%s'' is not a bulk action.', left(action, 100)) end using
      errcode = 'LW400', column = 'action', hint = 'The actions are retry, discard, cancel, rerun and priority.';
  end if;
  if action = 'priority' then
    perform legwork_private.assert_priority(priority);
  elsif priority is not null then
    raise exception 'A priority was given for the action %.', action using errcode = 'LW400', column = 'priority', hint = 'Omit it, or use the action priority.';
  end if;
  -- Checks the filter.
  perform from legwork_private.bulk_matches(action, filter, clock_timestamp(), null, null, 1);
end $$;
comment on function legwork_private.assert_bulk_action(text, jsonb, integer) is
  'Does nothing for a valid bulk action that the session may start. Raises LW400 or LW404 for an invalid one, and LW403 without the role operator.';
revoke execute on function legwork_private.assert_bulk_action(text, jsonb, integer) from public;

create or replace function legwork.preview_bulk_action(action text, filter jsonb, priority integer default null)
returns table (jobs integer, is_capped boolean, by_task jsonb, samples jsonb)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_ids bigint[];
begin
  perform legwork_private.assert_bulk_action(action, filter, priority);
  v_ids := array(select x from legwork_private.bulk_matches(action, filter, clock_timestamp(), null, null, 10001) x);
  if action = 'priority' then
    v_ids := array(select j.id from legwork_private.graphile_jobs j where j.id = any (v_ids) and j.priority <> preview_bulk_action.priority order by j.id);
  end if;
  is_capped := cardinality(v_ids) > 10000;
  v_ids := v_ids[:10000];
  jobs := cardinality(v_ids);
  if action in ('cancel', 'priority') then
    select coalesce(jsonb_agg(jsonb_build_object('task', t.task, 'jobs', t.jobs) order by t.jobs desc, t.task), '[]') into by_task
    from (
      select k.identifier as task, count(*)::integer as jobs from legwork_private.graphile_jobs j join legwork_private.graphile_tasks k on k.id = j.task_id
      where j.id = any (v_ids) group by 1 order by 2 desc, 1 limit 20
    ) t;
  else
    select coalesce(jsonb_agg(jsonb_build_object('task', t.task, 'jobs', t.jobs) order by t.jobs desc, t.task), '[]') into by_task
    from (
      select f.task, count(*)::integer as jobs from legwork_private.finished_jobs f where f.id = any (v_ids) group by 1 order by 2 desc, 1 limit 20
    ) t;
  end if;
  -- Five of the jobs, from the oldest to the newest.
  select coalesce(jsonb_agg(jsonb_build_object('id', j.id::text, 'task', j.task, 'state', j.state, 'error', left(j.error, 200),
    'created_at', j.created_at, 'finished_at', j.finished_at) order by j.id), '[]') into samples
  from legwork_private.all_jobs j
  where j.id = any (array(select v_ids[1 + round((jobs - 1) * n / 4.0)::integer] from generate_series(0, 4) n where jobs > 0));
  return next;
end $$;
comment on function legwork.preview_bulk_action(text, jsonb, integer) is
  'What a bulk action would do now: how many jobs it would change, counted up to 10,000 (is_capped: there are more), how many of those each task has (the 20 with the most), and five of the jobs. '
  'The arguments and errors are the same as for start_bulk_action.';
revoke execute on function legwork.preview_bulk_action(text, jsonb, integer) from public;

create or replace function legwork.start_bulk_action(action text, filter jsonb, reason text default null, priority integer default null) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_now timestamptz := clock_timestamp();
  v_tenant text := legwork_private.confined_tenant();
  v_filter jsonb;
  v_id bigint;
begin
  perform legwork_private.assert_bulk_action(action, filter, priority);
  v_filter := jsonb_strip_nulls(legwork_private.fixed_period(filter, v_now));
  if (select count(*) from (select from legwork_private.bulk_actions b where b.state = 'running' and b.tenant is not distinct from v_tenant limit 50) b) = 50 then
    raise exception '50 bulk actions are running.' using errcode = 'LW409', hint = 'Wait until one has ended, or stop one.';
  end if;
  insert into legwork_private.bulk_actions (action, filter, priority, reason, role, named_actor, surface, tenant, started_at, up_to)
  values (start_bulk_action.action, v_filter, start_bulk_action.priority, nullif(left(start_bulk_action.reason, 1000), ''), nullif(current_setting('legwork.role', true), ''),
    nullif(left(current_setting('legwork.actor', true), 256), ''), nullif(current_setting('legwork.surface', true), ''), v_tenant, v_now, coalesce(legwork_private.last_job_id(), 0))
  returning id into v_id;
  perform legwork_private.audit('start_bulk_action', 'bulk_action', v_id::text, null,
    jsonb_strip_nulls(jsonb_build_object('action', action, 'filter', v_filter, 'priority', priority, 'reason', reason)), filter ->> 'tenant');
  return v_id;
end $$;
comment on function legwork.start_bulk_action(text, jsonb, text, integer) is
  'Starts a bulk action and returns its id: retry, discard, cancel, rerun or priority for all jobs that match a filter now. Workers and servers carry it out in small transactions, '
  'with the rights of the session that started it; `select * from legwork.bulk_actions` shows its progress, and stop_bulk_action stops it. Jobs that are created, fail or end later are left alone. '
  'The filter is the same as for retry_jobs, discard_jobs, cancel_jobs, rerun_jobs or set_priorities, with any number of jobs. reason: for cancel. priority: for priority. '
  'Raises the errors of these functions, and LW409 while 50 are running.';
revoke execute on function legwork.start_bulk_action(text, jsonb, text, integer) from public;

create or replace function legwork.stop_bulk_action(id bigint) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_action legwork_private.bulk_actions;
begin
  perform legwork_private.assert_role('operator');
  -- Waits for the current chunk.
  select * into v_action from legwork_private.bulk_actions b
  where b.id = stop_bulk_action.id and (legwork_private.confined_tenant() is null or b.tenant = legwork_private.confined_tenant()) for update;
  if v_action.id is null then
    raise exception 'No bulk action has id %.', coalesce(id::text, 'null') using errcode = 'LW404', hint = 'Bulk actions are kept for the period set in history_retention.';
  end if;
  if v_action.state = 'running' then
    update legwork_private.bulk_actions b set state = 'stopped', finished_at = clock_timestamp() where b.id = v_action.id;
    perform legwork_private.audit('stop_bulk_action', 'bulk_action', v_action.id::text, jsonb_build_object('state', 'running'),
      jsonb_build_object('state', 'stopped', 'action', v_action.action), v_action.tenant, v_action.changed);
    return 'stopped';
  end if;
  return v_action.state;
end $$;
comment on function legwork.stop_bulk_action(bigint) is
  'Stops a running bulk action after its current chunk. Changes made so far remain. Returns its state: stopped, or that in which it had already ended. Raises LW404 for an unknown bulk action.';
revoke execute on function legwork.stop_bulk_action(bigint) from public;
