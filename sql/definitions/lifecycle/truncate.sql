create or replace function legwork_private.tg_jobs__truncate() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from graphile_worker._private_jobs;
  return null;
end $$;
comment on function legwork_private.tg_jobs__truncate() is 'Deletes the jobs before the table is truncated, so that they are in the history as cancelled.';
revoke execute on function legwork_private.tg_jobs__truncate() from public;

create or replace trigger _legwork_truncate before truncate on graphile_worker._private_jobs
  for each statement execute function legwork_private.tg_jobs__truncate();
