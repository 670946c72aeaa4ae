create or replace function legwork_private.tg_jobs__truncate() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from legwork_private.graphile_jobs;
  return null;
end $$;
comment on function legwork_private.tg_jobs__truncate() is 'Deletes all jobs before the table is truncated, so that the history records them as cancelled.';
revoke execute on function legwork_private.tg_jobs__truncate() from public;
