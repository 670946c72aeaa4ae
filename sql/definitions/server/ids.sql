comment on table legwork_private.id_marks is
  'How far the ids of jobs had come at some moments, so that jobs of a span of time are found by their ids: created_at has no index, which every job would pay for.';
comment on column legwork_private.id_marks.at is 'Every job of a transaction that began at this time or later has an id above last_id.';
comment on column legwork_private.id_marks.last_id is 'The last id that had been given.';
comment on column legwork_private.id_marks.settled_before is
  'Every job of a transaction that began before this has an id of at most last_id. Null when it is not known, because this user may not see all sessions.';

create or replace function legwork_private.record_id_mark() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- A session tells the time its transaction began a moment after it has begun.
  v_settled timestamptz := clock_timestamp() - interval '1 second';
  v_oldest timestamptz;
  v_is_known boolean;
  v_last bigint;
begin
  if exists (select from legwork_private.id_marks m where m.at > clock_timestamp() - interval '1 minute') then
    return;
  end if;
  -- Sessions as they are now, not as this transaction saw them first. The order matters: sessions, then the id, then the time.
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
comment on function legwork_private.record_id_mark() is 'Notes once a minute how far the ids of jobs have come. legwork.tick calls it.';
revoke execute on function legwork_private.record_id_mark() from public;

create or replace function legwork_private.ids_created(after timestamptz, before timestamptz, out above bigint, out up_to bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select
    (select m.last_id from legwork_private.id_marks m where m.at <= ids_created.after order by m.at desc limit 1),
    (select m.last_id from legwork_private.id_marks m where m.at >= ids_created.before and m.settled_before >= ids_created.before order by m.at limit 1);
end;
comment on function legwork_private.ids_created(timestamptz, timestamptz) is
  'Bounds of the ids of jobs created at after or later, and before before: each such id is above the one and at most the other. Null where there is no bound. '
  'The bounds are wider than the span of time, so created_at is still to be compared.';
revoke execute on function legwork_private.ids_created(timestamptz, timestamptz) from public;
