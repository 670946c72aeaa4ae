-- Set aside: what a tick cannot do because of a row is done without that row.
--
-- legwork.tick() does everything in one transaction and has no exception block: no row that it knows of can make it raise an error. Should one do so all the
-- same, such as by a trigger of the user's own on graphile-worker's table, the worker calls legwork.tick_apart(), which does the same one thing at a time,
-- each in a block of its own. What fails is set aside, where legwork.doctor() shows it, and the rest goes on. It is tried again every few minutes.

create table legwork.set_aside (
  what text not null check (what in ('job', 'workflow', 'signal', 'deadline', 'expiry', 'gate', 'line', 'step')),
  item text not null,
  error text not null,
  set_aside_at timestamptz not null default clock_timestamp(),
  primary key (what, item)
);
comment on table legwork.set_aside is
  'What legwork.tick_apart() could not do, and legwork.take_up() tries again, now and then. Empty as long as all is well.';
comment on column legwork.set_aside.what is
  'job: letting it go, or cancelling it, when its dependencies had ended. workflow: ending a workflow or batch, or beginning to undo it. signal: delivering a job''s signals. deadline: a workflow''s. '
  'expiry: ending a job that has expired. gate, line: letting jobs go whose limits have room. step: a part of the tick that is not about one row; it is tried again by every tick.';
comment on column legwork.set_aside.item is 'The id of the job or workflow, the gate or the line.';
comment on column legwork.set_aside.error is 'The error, behind its SQLSTATE.';
comment on column legwork.set_aside.set_aside_at is 'When.';
alter table legwork.set_aside enable row level security;

create function legwork.do_apart(what text, item text) returns text
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  case what
    when 'job' then
      insert into legwork.wakeups (unblocked, advanced) values (array[item::bigint], '{}');
      perform legwork.settle_dependants();
    when 'workflow' then
      insert into legwork.wakeups (unblocked, advanced) values ('{}', array[item::bigint]);
      perform legwork.settle_dependants();
    when 'gate' then
      insert into legwork.wakeups (freed) values (array[item]);
      perform legwork.admit_waiting();
    when 'line' then
      insert into legwork.wakeups (lane, gates)
      select w.lane, w.gates from legwork.waiting_jobs w where w.lane = item::uuid and w.held is null limit 1;
      perform legwork.admit_waiting();
    when 'signal' then perform legwork.deliver_signals(item::bigint);
    when 'deadline' then perform legwork.expire_workflows(item::bigint);
    when 'expiry' then perform legwork.expire_jobs(1, item::bigint);
    when 'step' then
      case item
        when 'settle_rules' then perform legwork.settle_rules();
        when 'note_ids' then perform legwork.note_ids();
        when 'note_due' then perform legwork.note_due();
        when 'check_dependencies' then perform legwork.check_dependencies();
        when 'fold_run_counts' then perform legwork.fold_run_counts();
      end case;
  end case;
  return null;
-- What a row can cause. A lock, a connection or a missing right is no reason to leave anything out.
exception when data_exception or integrity_constraint_violation or cardinality_violation or program_limit_exceeded or plpgsql_error then
  return sqlstate || ': ' || sqlerrm;
end $$;
comment on function legwork.do_apart(text, text) is
  'Does one thing that a tick does, as legwork.set_aside names it, and undoes it if it fails because of a row. Returns the error then, and null otherwise.';
revoke execute on function legwork.do_apart(text, text) from public;

create function legwork.tick_apart() returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_wakeups legwork.wakeups[];
  v_todo record;
  v_error text;
  v_failed integer := 0;
begin
  perform legwork.assert_may('operator', true);
  perform pg_advisory_xact_lock(legwork.admission_lock());
  -- What leaves wakeups, and then the wakeups.
  for v_round in 1..2 loop
    if v_round = 2 then
      -- All of them, because letting one go looks at whatever is there. Those that are too many for now come back at the end.
      with taken as (
        delete from legwork.wakeups w returning w.*
      )
      select array_agg(row(t.id, t.freed, t.lane, t.gates, null, t.unblocked, t.advanced)::legwork.wakeups order by t.id) into v_wakeups from taken t;
    end if;
    for v_todo in
      select d.what, d.item
      from (
        select 1 as n, 'step' as what, s as item from unnest(array['settle_rules', 'note_ids', 'note_due', 'check_dependencies']) s
        union all
        select 1, 'expiry', e.job_id::text
        from (select x.job_id from legwork.expirations x where x.expires_at <= clock_timestamp() order by x.expires_at limit 1000) e
        union all
        select 1, 'signal', g.job_id::text from (select distinct x.job_id from legwork.job_signals x where not x.is_delivered limit 1000) g
        union all
        select 1, 'deadline', r.id::text
        from (select x.id from legwork.workflow_runs x where x.ended_at is null and x.deadline <= clock_timestamp() order by x.deadline limit 100) r
        union all
        select 2, 'job', x::text from (select distinct unnest(w.unblocked) as x from unnest(v_wakeups[:500]) w) w
        union all
        select 2, 'workflow', x::text from (select distinct unnest(w.advanced) as x from unnest(v_wakeups[:500]) w) w
        union all
        select 2, 'gate', x from (select distinct unnest(w.freed) as x from unnest(v_wakeups[:500]) w) w
        union all
        select 2, 'line', w.lane::text from (select distinct w.lane from unnest(v_wakeups[:500]) w where w.lane is not null) w
        union all
        select 2, 'step', 'fold_run_counts'
      ) d
      where d.n = v_round and (d.what = 'step' or not exists (select from legwork.set_aside a where a.what = d.what and a.item = d.item))
    loop
      v_error := legwork.do_apart(v_todo.what, v_todo.item);
      if v_error is null then
        delete from legwork.set_aside a where a.what = v_todo.what and a.item = v_todo.item;
      else
        v_failed := v_failed + 1;
        insert into legwork.set_aside as a (what, item, error) values (v_todo.what, v_todo.item, v_error)
        on conflict on constraint set_aside_pkey do update set error = excluded.error, set_aside_at = excluded.set_aside_at;
      end if;
    end loop;
  end loop;
  insert into legwork.wakeups (freed, lane, gates, unblocked, advanced)
  select w.freed, w.lane, w.gates, w.unblocked, w.advanced from unnest(v_wakeups[501:]) w;
  return v_failed;
end $$;
comment on function legwork.tick_apart() is
  'Does what legwork.tick() does, one thing at a time, and sets aside what fails because of a row (legwork.set_aside). For a worker whose tick has failed. Returns how much failed.';

create function legwork.take_up(older_than interval default '0') returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_item record;
  v_error text;
  v_failed integer := 0;
begin
  perform legwork.assert_may('operator', true);
  perform pg_advisory_xact_lock(legwork.admission_lock());
  for v_item in
    select a.what, a.item from legwork.set_aside a where a.set_aside_at <= clock_timestamp() - older_than order by a.set_aside_at limit 1000 for update skip locked
  loop
    v_error := legwork.do_apart(v_item.what, v_item.item);
    if v_error is null then
      delete from legwork.set_aside a where a.what = v_item.what and a.item = v_item.item;
    else
      v_failed := v_failed + 1;
      update legwork.set_aside a set error = v_error, set_aside_at = clock_timestamp() where a.what = v_item.what and a.item = v_item.item;
    end if;
  end loop;
  return v_failed;
end $$;
comment on function legwork.take_up(interval) is
  'Tries again what was set aside (legwork.set_aside), at least so long ago. Returns how much of it failed again and stays there. legwork.reconcile() calls it for what is five minutes old, '
  'so everything is taken up by itself once its cause is gone.';
revoke execute on function legwork.tick_apart(), legwork.take_up(interval) from public;

create function legwork.doctor_set_aside()
returns table ("check" text, severity text, finding text, remedy text, detail jsonb)
language sql volatile as $$
  (select 'set_aside', 'critical',
    format('%s could not be done and was set aside: %s.', case a.what
      when 'job' then format('Letting job %s go after its dependencies', a.item)
      when 'workflow' then format('Ending workflow or batch %s', a.item)
      when 'signal' then format('Delivering the signals of job %s', a.item)
      when 'deadline' then format('Ending workflow %s at its deadline', a.item)
      when 'expiry' then format('Ending job %s, which has expired', a.item)
      when 'gate' then format('Letting jobs pass gate %s', a.item)
      when 'line' then format('Letting jobs of line %s go', a.item)
      else format('The part %s of the tick', a.item) end, left(a.error, 500)),
    'Everything else goes on. Mend what the error names, such as a trigger on graphile_worker._private_jobs, and then: select legwork.take_up(); or wait some minutes.',
    to_jsonb(a)
  from legwork.set_aside a order by a.set_aside_at limit 20)
  union all
  select 'set_aside', 'ok', 'Nothing had to be set aside.', null, null where not exists (select from legwork.set_aside)
$$;
comment on function legwork.doctor_set_aside() is 'Of legwork.doctor: what ticks could not do because of a row.';
