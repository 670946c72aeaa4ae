comment on table legwork_private.id_marks is
  'The last job id at various times, used to find the jobs of a period by their ids. created_at has no index, because that would slow down every job.';
comment on column legwork_private.id_marks.at is 'Jobs of transactions that began at this time or later have ids above last_id.';
comment on column legwork_private.id_marks.last_id is 'The last id that had been assigned.';
comment on column legwork_private.id_marks.settled_before is
  'Jobs of transactions that began before this time have ids of at most last_id. Null if unknown, because this user may not see all sessions.';

create or replace function legwork_private.record_id_mark() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- A session reports the start of its transaction a moment after it has begun.
  v_settled timestamptz := clock_timestamp() - interval '1 second';
  v_oldest timestamptz;
  v_is_known boolean;
  v_last bigint;
begin
  if exists (select from legwork_private.id_marks m where m.at > clock_timestamp() - interval '1 minute') then
    return;
  end if;
  -- Reads the current sessions, not those that this transaction saw first. The order matters: sessions, then the id, then the time.
  perform pg_stat_clear_snapshot();
  select min(a.xact_start), coalesce(bool_and(a.query is distinct from '<insufficient privilege>' and a.state is distinct from 'disabled'), true)
  into v_oldest, v_is_known
  from pg_stat_activity a
  where a.datname = current_database() and a.pid <> pg_backend_pid();
  v_last := coalesce(legwork_private.last_job_id(), 0);
  insert into legwork_private.id_marks (at, last_id, settled_before)
  values (clock_timestamp(), v_last, case when v_is_known then least(v_settled, v_oldest) end)
  on conflict do nothing;
end $$;
comment on function legwork_private.record_id_mark() is 'Records the last job id once a minute. legwork.tick calls it.';
revoke execute on function legwork_private.record_id_mark() from public;

create or replace function legwork_private.ids_created(after timestamptz, before timestamptz, out above bigint, out up_to bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select
    (select m.last_id from legwork_private.id_marks m where m.at <= ids_created.after order by m.at desc limit 1),
    (select m.last_id from legwork_private.id_marks m where m.at >= ids_created.before and m.settled_before >= ids_created.before order by m.at limit 1);
end;
comment on function legwork_private.ids_created(timestamptz, timestamptz) is
  'Bounds for the ids of jobs that were created at or after the time after, and before the time before: each such id is greater than above and at most up_to. Null without a bound. '
  'The bounds are wider than the period, so callers must still compare created_at.';
revoke execute on function legwork_private.ids_created(timestamptz, timestamptz) from public;
