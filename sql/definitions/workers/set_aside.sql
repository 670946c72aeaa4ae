-- Set aside: what a tick cannot do because of a row is done without that row.
--
-- legwork.tick() does everything in one transaction and has no exception block: no row that it knows of can make it raise an error. Should one do so all the
-- same, such as by a trigger of the user's own on graphile-worker's table, the worker calls legwork_private.tick_one_by_one(), which does the same one thing at a time,
-- each in a block of its own. What fails is set aside, where legwork.doctor() shows it, and the rest goes on. It is tried again every few minutes.

comment on table legwork_private.set_aside is
  'What legwork_private.tick_one_by_one() could not do, and legwork.take_up() tries again, now and then. Empty as long as all is well.';
comment on column legwork_private.set_aside.what is
  'job: letting it go, or cancelling it, when its dependencies had ended. workflow: ending a workflow or batch, or beginning to undo it. signal: delivering a job''s signals. deadline: a workflow''s. '
  'expiry: ending a job that has expired. gate, line: letting jobs go whose limits have room. part: a part of the tick that is not about one row; it is tried again by every tick.';
comment on column legwork_private.set_aside.item is 'The id of the job or workflow, the gate or the line.';
comment on column legwork_private.set_aside.error is 'The error, behind its SQLSTATE.';
comment on column legwork_private.set_aside.set_aside_at is 'When.';

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
-- What a row can cause. A lock, a connection or a missing right is no reason to leave anything out.
exception when data_exception or integrity_constraint_violation or cardinality_violation or program_limit_exceeded or plpgsql_error then
  return sqlstate || ': ' || sqlerrm;
end $$;
comment on function legwork_private.do_tick_item(text, text) is
  'Does one thing that a tick does, as legwork_private.set_aside names it, and undoes it if it fails because of a row. Returns the error then, and null otherwise.';
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
  'Tries again what was set aside (legwork_private.set_aside), at least so long ago. Returns how much of it failed again and stays there. legwork.reconcile() calls it for what is five minutes old, '
  'so everything is taken up by itself once its cause is gone.';
revoke execute on function legwork.take_up(interval) from public;
