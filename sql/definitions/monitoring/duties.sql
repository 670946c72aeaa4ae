comment on table legwork_private.duties is 'The duties that workers take turns at: keeping the metrics and evaluating the alert rules.';
comment on column legwork_private.duties.duty is 'The duty.';
comment on column legwork_private.duties.every is 'The interval between two runs.';
comment on column legwork_private.duties.share is 'The largest share of time that the duty may take. It runs less often if it takes long.';
comment on column legwork_private.duties.due_at is 'When it is due next.';
comment on column legwork_private.duties.ran_at is 'When it ran last.';
comment on column legwork_private.duties.took is 'How long the last run took.';

create or replace function legwork_private.due_duties() returns text[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select array(select w.duty from legwork_private.duties w where w.due_at <= clock_timestamp()
    order by array_position(array['roll_up', 'queues', 'database', 'alerts', 'forget'], w.duty))
$$;
comment on function legwork_private.due_duties() is 'The duties that are due, for legwork_private.run_duty.';
revoke execute on function legwork_private.due_duties() from public;

create or replace function legwork_private.run_duty(duty text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_began timestamptz := clock_timestamp();
  v_number bigint;
begin
  -- The session that has locked the row is performing the duty, or has just performed it.
  perform from legwork_private.duties w where w.duty = run_duty.duty and w.due_at <= v_began for update skip locked;
  if not found then
    return false;
  end if;
  case duty
    when 'roll_up' then v_number := legwork_private.roll_up();
    when 'queues' then perform legwork_private.sample_queues(), legwork_private.sample_schedules();
    when 'database' then perform legwork_private.sample_database();
    when 'alerts' then perform legwork.evaluate_alerts();
    when 'forget' then
      v_number := legwork_private.forget_metrics();
      perform legwork_private.note_usual_runs();
  end case;
  update legwork_private.duties w set ran_at = v_began, took = clock_timestamp() - v_began,
    due_at = clock_timestamp() + case when run_duty.duty = 'forget' and v_number = 20000 then interval '1 second'
      else greatest(w.every, (clock_timestamp() - v_began) / w.share) end
  where w.duty = run_duty.duty;
  return true;
end $$;
comment on function legwork_private.run_duty(text) is
  'Performs one of legwork_private.due_duties(), if it is still due and no other session is performing it, in its own transaction. Returns whether it did. Workers and servers call it.';
revoke execute on function legwork_private.run_duty(text) from public;
