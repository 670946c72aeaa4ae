create or replace function legwork_private.delete_jobs_as(how text, job_ids bigint[], reason text default null) returns void
language plpgsql volatile
-- Always uses the index, like the triggers that call it: a generic plan that was made while the table was empty would keep reading all of it.
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
begin
  -- For the trigger that writes the history, and only for this statement.
  perform set_config('legwork.ended_as', how, true), set_config('legwork.end_reason', coalesce(reason, ''), true);
  delete from legwork_private.graphile_jobs j where j.id = any (job_ids);
  perform set_config('legwork.ended_as', '', true), set_config('legwork.end_reason', '', true);
end $$;
comment on function legwork_private.delete_jobs_as(text, bigint[], text) is
  'Deletes jobs whose rows the caller has locked, and records in the history how they ended: cancelled, with this reason; expired; dependency, for jobs cancelled because of a dependency; or '
  'recorded, for jobs that are already in the history.';
