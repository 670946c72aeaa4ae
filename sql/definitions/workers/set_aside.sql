-- Setting aside: a row that makes a tick fail is left out, and the rest of the tick is done without it.
--
-- legwork.tick() works in one transaction without an exception block, because no row is expected to make it fail. If a row still does, for example
-- through a user's trigger on graphile-worker's table, the worker calls legwork_private.tick_one_by_one(), which does the same work item by item,
-- each in its own block. Items that fail are set aside and listed by legwork.doctor(), while the rest of the work continues. Failed items are retried
-- every few minutes.

comment on table legwork_private.set_aside is
  'Work that failed in legwork_private.tick_one_by_one() and that legwork.take_up() retries. Empty unless something is wrong.';
comment on column legwork_private.set_aside.what is
  'job: releasing or cancelling a job after its dependencies have ended. workflow: ending a workflow or batch, or beginning to undo it. signal: delivering a job''s signals. child: continuing a job whose invoked jobs have ended. deadline: ending a workflow at its deadline. '
  'expiry: ending a job that has expired. gate, line: admitting jobs whose limits have free slots. part: a part of the tick that does not concern a single row, which every tick retries.';
comment on column legwork_private.set_aside.item is 'The id of the job or workflow, the gate or the line.';
comment on column legwork_private.set_aside.error is 'The SQLSTATE and message of the error.';
comment on column legwork_private.set_aside.set_aside_at is 'When it last failed.';

create or replace function legwork_private.do_tick_item(what text, item text) returns text
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  case what
    when 'job' then
      insert into legwork_private.wakeups (unblocked, advanced) values (array[item::bigint], '{}');
      perform legwork_private.settle_dependants();
    when 'workflow' then
      insert into legwork_private.wakeups (unblocked, advanced) values ('{}', array[item::bigint]);
      perform legwork_private.settle_dependants();
    when 'gate' then
      insert into legwork_private.wakeups (freed) values (array[item]);
      perform legwork_private.admit_waiting();
    when 'line' then
      insert into legwork_private.wakeups (line, gates)
      select w.line, w.gates from legwork_private.waiting_jobs w where w.line = item::uuid and w.held is null limit 1;
      perform legwork_private.admit_waiting();
    when 'signal' then perform legwork_private.deliver_signals(item::bigint);
    when 'child' then perform legwork_private.deliver_child_ends(item::bigint);
    when 'deadline' then perform legwork_private.expire_workflows(item::bigint);
    when 'expiry' then perform legwork_private.expire_jobs(1, item::bigint);
    when 'part' then
      case item
        when 'settle_limit_changes' then perform legwork_private.settle_limit_changes();
        when 'record_id_mark' then perform legwork_private.record_id_mark();
        when 'wake_due_jobs' then perform legwork_private.wake_due_jobs();
        when 'check_dependencies' then perform legwork_private.check_dependencies();
        when 'fold_run_counts' then perform legwork_private.fold_run_counts();
      end case;
  end case;
  return null;
-- Errors that a row can cause. Locks, connections and missing privileges are not a reason to leave a row out.
exception when data_exception or integrity_constraint_violation or cardinality_violation or program_limit_exceeded or plpgsql_error then
  return sqlstate || ': ' || sqlerrm;
end $$;
comment on function legwork_private.do_tick_item(text, text) is
  'Performs one item of a tick, as legwork_private.set_aside names it, and rolls it back if it fails because of a row. Returns that error, and null otherwise.';
revoke execute on function legwork_private.do_tick_item(text, text) from public;

create or replace function legwork.take_up(older_than interval default '0') returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_item record;
  v_error text;
  v_failed integer := 0;
begin
  perform legwork_private.assert_role('operator', true);
  perform pg_advisory_xact_lock(legwork_private.admission_lock());
  for v_item in
    select a.what, a.item from legwork_private.set_aside a where a.set_aside_at <= clock_timestamp() - older_than order by a.set_aside_at limit 1000 for update skip locked
  loop
    v_error := legwork_private.do_tick_item(v_item.what, v_item.item);
    if v_error is null then
      delete from legwork_private.set_aside a where a.what = v_item.what and a.item = v_item.item;
    else
      v_failed := v_failed + 1;
      update legwork_private.set_aside a set error = v_error, set_aside_at = clock_timestamp() where a.what = v_item.what and a.item = v_item.item;
    end if;
  end loop;
  return v_failed;
end $$;
comment on function legwork.take_up(interval) is
  'Retries work that was set aside (legwork_private.set_aside) at least older_than ago. Returns the number of items that failed again and stay set aside. legwork.reconcile() calls it for items that are five minutes old, '
  'so all of them succeed automatically once their cause is fixed.';
revoke execute on function legwork.take_up(interval) from public;
