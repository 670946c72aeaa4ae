create or replace function legwork.set_priority(job_id bigint, priority integer) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_job legwork_private.graphile_jobs;
  v_state legwork.job_state;
begin
  perform legwork_private.assert_role('operator');
  perform legwork_private.assert_visible(job_id);
  perform legwork_private.assert_priority(priority);
  -- The row's lock: a job that a worker is just fetching has the priority either before or after.
  select * into v_job from legwork_private.graphile_jobs j where j.id = set_priority.job_id for update;
  if v_job.id is null or (v_job.locked_at is null and v_job.attempts >= v_job.max_attempts) then
    v_state := legwork_private.assert_job(job_id);
    raise exception 'Job % has already ended: it is %.', job_id, v_state using errcode = 'LW409', hint = 'What has ended stays as it is.';
  end if;
  -- Nothing else is touched: updated_at of a running job says that somebody has removed it.
  update legwork_private.graphile_jobs j set priority = set_priority.priority where j.id = set_priority.job_id and j.priority <> set_priority.priority;
  if found then
    perform legwork_private.audit('set_priority', 'job', job_id::text, jsonb_build_object('priority', v_job.priority), jsonb_build_object('priority', set_priority.priority),
      legwork_private.flag_value(v_job.flags, 'tenant'));
  end if;
  return v_job.priority;
end $$;
comment on function legwork.set_priority(bigint, integer) is
  'Changes when a job''s turn comes: smaller runs first. Of a running job it holds for its next attempt; one that a worker has fetched ahead keeps its turn. Returns what it was before, '
  'so that it can be taken back. Raises LW404 for an unknown job, LW409 for one that has ended, LW400 for a number that is none of -32768 to 32767.';
revoke execute on function legwork.set_priority(bigint, integer) from public;

create or replace function legwork_private.assert_priority(priority integer) returns void
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  if priority is null then
    raise exception 'priority is null; it must be between -32768 and 32767.' using errcode = 'LW400', hint = 'Smaller runs first; 0 is the default.';
  end if;
  perform legwork_private.assert_number('priority', priority, -32768, 32767);
end $$;
comment on function legwork_private.assert_priority(integer) is 'Does nothing for a number that graphile-worker takes as a priority. Raises LW400.';

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
  return query
    with held as materialized (
      -- A job whose row somebody has (a worker that is just fetching it) is passed over; the next call finds it again.
      select j.id, j.priority::integer as was from legwork_private.graphile_jobs j
      where j.id = any (v_ids) and j.priority <> set_priorities.priority and (j.locked_at is not null or j.attempts < j.max_attempts)
      order by j.id for update skip locked
    ), changed as (
      update legwork_private.graphile_jobs j set priority = set_priorities.priority from held h where j.id = h.id returning j.id, h.was
    )
    select c.id, c.was from changed c order by c.id;
  get diagnostics v_count = row_count;
  perform legwork_private.audit('set_priorities', 'jobs', null, null, jsonb_build_object('filter', filter, 'priority', set_priorities.priority), filter ->> 'tenant', v_count);
end $$;
comment on function legwork.set_priorities(jsonb, integer, boolean, integer) is
  'Changes the priority of the jobs that a filter names and that have another one, as set_priority does, at most 10,000 at a time; returns their ids and what it was before. '
  'With preview => true it only returns which ones it would change. The filter and its errors are those of live_jobs_like.';
revoke execute on function legwork.set_priorities(jsonb, integer, boolean, integer) from public;
