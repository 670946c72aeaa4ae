create or replace function legwork.set_priority(job_id bigint, priority integer) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_job legwork_private.graphile_jobs;
  v_state legwork.job_state;
begin
  perform legwork_private.assert_role('operator');
  perform legwork_private.assert_visible(job_id);
  perform legwork_private.assert_priority(priority);
  -- Locks the row, so that the priority of a job that a worker is fetching changes either before or after the fetch.
  select * into v_job from legwork_private.graphile_jobs j where j.id = set_priority.job_id for update;
  if v_job.id is null or (v_job.locked_at is null and v_job.attempts >= v_job.max_attempts) then
    v_state := legwork_private.assert_job(job_id);
    raise exception 'Job % has already ended: it is %.', job_id, v_state using errcode = 'LW409', hint = 'The priority of a job that has ended cannot be changed.';
  end if;
  -- No other column is changed: a new updated_at would mark a running job as removed.
  update legwork_private.graphile_jobs j set priority = set_priority.priority where j.id = set_priority.job_id and j.priority <> set_priority.priority;
  if found then
    perform legwork_private.audit('set_priority', 'job', job_id::text, jsonb_build_object('priority', v_job.priority), jsonb_build_object('priority', set_priority.priority),
      legwork_private.flag_value(v_job.flags, 'tenant'));
  end if;
  return v_job.priority;
end $$;
comment on function legwork.set_priority(bigint, integer) is
  'Changes the priority of a job: smaller runs first. For a running job, it applies to the next attempt. A job that a worker has fetched ahead keeps its turn. Returns the previous priority, '
  'so that the change can be undone. Raises LW404 for an unknown job, LW409 for a job that has ended, and LW400 for a number outside -32768 to 32767.';
revoke execute on function legwork.set_priority(bigint, integer) from public;

create or replace function legwork_private.assert_priority(priority integer) returns void
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  if priority is null then
    raise exception 'priority is null; it must be between -32768 and 32767.' using errcode = 'LW400', hint = 'Smaller runs first; 0 is the default.';
  end if;
  perform legwork_private.assert_number('priority', priority, -32768, 32767);
end $$;
comment on function legwork_private.assert_priority(integer) is 'Does nothing for a number that graphile-worker accepts as a priority. Otherwise raises LW400.';

create or replace function legwork_private.change_priorities(job_ids bigint[], priority integer) returns table (id bigint, was integer)
language sql volatile set search_path = pg_catalog, pg_temp
as $$
  with held as materialized (
    -- Jobs whose rows are locked, for example by a worker that is fetching them, are skipped. The next call finds them again.
    select j.id, j.priority::integer as was from legwork_private.graphile_jobs j
    where j.id = any (change_priorities.job_ids) and j.priority <> change_priorities.priority and (j.locked_at is not null or j.attempts < j.max_attempts)
    order by j.id for update skip locked
  ), changed as (
    update legwork_private.graphile_jobs j set priority = change_priorities.priority from held h where j.id = h.id returning j.id, h.was
  )
  select c.id, c.was from changed c order by c.id
$$;
comment on function legwork_private.change_priorities(bigint[], integer) is
  'Changes the priority of those of the given jobs that have not ended and have a different one, without checking roles. Returns their ids and previous priorities.';
revoke execute on function legwork_private.change_priorities(bigint[], integer) from public;

create or replace function legwork.set_priorities(filter jsonb, priority integer, preview boolean default false, at_most integer default 10000)
returns table (id bigint, was integer)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_ids bigint[];
  v_count integer;
begin
  perform legwork_private.assert_role('operator');
  perform legwork_private.assert_priority(priority);
  v_ids := array(
    select j.id from legwork_private.live_jobs_like(filter) x join legwork_private.graphile_jobs j on j.id = x
    where j.priority <> set_priorities.priority order by j.id limit at_most);
  if preview then
    return query select j.id, j.priority::integer from legwork_private.graphile_jobs j where j.id = any (v_ids) order by j.id;
    return;
  end if;
  return query select c.id, c.was from legwork_private.change_priorities(v_ids, set_priorities.priority) c;
  get diagnostics v_count = row_count;
  perform legwork_private.audit('set_priorities', 'jobs', null, null, jsonb_build_object('filter', filter, 'priority', set_priorities.priority), filter ->> 'tenant', v_count);
end $$;
comment on function legwork.set_priorities(jsonb, integer, boolean, integer) is
  'Changes the priority of the jobs that match a filter and have a different priority, like set_priority, at most 10,000 at a time. Returns their ids and previous priorities. '
  'With preview => true it only returns the jobs that it would change. The filter and its errors are the same as for live_jobs_like.';
revoke execute on function legwork.set_priorities(jsonb, integer, boolean, integer) from public;
