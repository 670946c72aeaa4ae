-- Batches: many jobs handled as one, with progress, and a callback job that runs when all of them have ended.
--
-- The batch and its callback wait for each of the jobs through a row in legwork_private.dependencies. A transaction that ends some of the jobs
-- deletes their rows and adds one row to legwork_private.run_counts. So a hundred thousand jobs neither slow each other down nor wait for each other
-- at a single row.

comment on table legwork_private.batch_runs is 'One row per batch. legwork.batches shows it with its progress.';
comment on column legwork_private.batch_runs.id is 'The batch''s id.';
comment on column legwork_private.batch_runs.description is 'The caller''s description of the batch.';
comment on column legwork_private.batch_runs.job_ids is 'Its jobs, in the order in which they were given.';
comment on column legwork_private.batch_runs.callback_job_id is 'The job that runs when all have ended. Null without a callback.';
comment on column legwork_private.batch_runs.tenant is 'The tenant that the batch belongs to.';
comment on column legwork_private.batch_runs.correlation_id is 'Shared by its callback and all jobs without a correlation id of their own: batch: followed by the batch''s id, unless the caller gave another.';
comment on column legwork_private.batch_runs.total is 'The number of its jobs.';
comment on column legwork_private.batch_runs.completed is 'Jobs that completed. While the batch is open, this count and the three below leave out the jobs that ended recently: legwork_private.run_counts has those.';
comment on column legwork_private.batch_runs.failed is 'Jobs that failed. A job that is retried later still counts as failed.';
comment on column legwork_private.batch_runs.cancelled is 'Jobs that were cancelled.';
comment on column legwork_private.batch_runs.expired is 'Jobs that expired.';
comment on column legwork_private.batch_runs.created_at is 'When the batch was enqueued.';
comment on column legwork_private.batch_runs.ended_at is 'When its last job ended; null before that.';

create or replace function legwork.enqueue_batch(
  jobs jsonb,
  description text default null,
  callback jsonb default null,
  tenant text default null,
  correlation_id text default null
) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_id bigint;
  v_tenant text := legwork_private.own_tenant(coalesce(tenant, nullif(current_setting('legwork.tenant', true), '')));
  v_correlation text := coalesce(correlation_id, nullif(current_setting('legwork.correlation_id', true), ''));
  v_own_tenant text := coalesce(current_setting('legwork.tenant', true), '');
  v_own_correlation text := coalesce(current_setting('legwork.correlation_id', true), '');
  v_field text;
  v_ids bigint[];
  v_callback bigint;
begin
  perform legwork_private.assert_role('enqueuer');
  if jobs is null or jsonb_typeof(jobs) <> 'array' or jobs = '[]' then
    raise exception 'The jobs of a batch must be a JSON array of at least one job; got %.', case when jobs = '[]' then 'an empty array' else coalesce(jsonb_typeof(jobs), 'null') end
    using errcode = 'LW400', hint = 'For example: [{"task": "notify/email", "payload": {"to": "a@b.c"}}].';
  elsif callback is not null and jsonb_typeof(callback) <> 'object' then
    raise exception 'A callback must be a JSON object that describes a job; got %.', jsonb_typeof(callback) using errcode = 'LW400', hint = 'For example: {"task": "report", "payload": {}}.';
  end if;
  -- A batch consists of new jobs of its own: another request could replace a keyed job, and a job merged into an existing one may have ended already.
  select k into v_field
  from jsonb_array_elements(jobs || coalesce(callback, '[]')) as job
  cross join lateral jsonb_object_keys(case when jsonb_typeof(job) = 'object' then job else '{}' end) as k
  where k in ('job_key', 'job_key_mode', 'unique_for', 'unique_key', 'debounce', 'debounce_max', 'throttle', 'overlap') limit 1;
  if v_field is not null then
    raise exception 'A job of a batch cannot have %.', v_field using errcode = 'LW400', hint = 'A batch always creates new jobs. Enqueue this job separately.';
  end if;
  v_id := nextval('legwork_private.run_ids');
  v_correlation := coalesce(v_correlation, 'batch:' || v_id);
  perform set_config('legwork.tenant', coalesce(v_tenant, ''), true), set_config('legwork.correlation_id', v_correlation, true);
  v_ids := array(select legwork.enqueue_many(jobs));
  if callback is not null then
    select x into v_callback from legwork.enqueue_many(jsonb_build_array(callback)) x;
    -- The callback's task may need to know which batch it runs for.
    update legwork_private.graphile_jobs j set flags = coalesce(j.flags, '{}') || jsonb_build_object('batch:' || v_id, true) where j.id = v_callback;
  end if;
  perform set_config('legwork.tenant', v_own_tenant, true), set_config('legwork.correlation_id', v_own_correlation, true);
  insert into legwork_private.dependencies (depends_on, job_id, run_id, on_failure) select x, v_callback, v_id, 'run' from unnest(v_ids) x;
  insert into legwork_private.batch_runs (id, description, job_ids, callback_job_id, tenant, correlation_id, total)
  values (v_id, enqueue_batch.description, v_ids, v_callback, v_tenant, v_correlation, cardinality(v_ids));
  if v_callback is not null then
    perform legwork_private.hold_for_dependencies(array[v_callback]);
  end if;
  return v_id;
end $$;
comment on function legwork.enqueue_batch(jsonb, text, jsonb, text, text) is
  'Enqueues an array of jobs as one batch, in the caller''s transaction, and returns the batch''s id. jobs: as for legwork.enqueue_many, but without keys. callback: a job that runs when all of them '
  'have ended, in any state. tenant and correlation_id apply to all of them. Raises the errors of enqueue_many, and LW400 if there are no jobs.';
revoke execute on function legwork.enqueue_batch(jsonb, text, jsonb, text, text) from public;

create or replace function legwork_private.forget_runs(retention interval) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  with gone as (
    delete from legwork_private.workflow_runs r
    where r.id in (select o.id from legwork_private.workflow_runs o where o.ended_at < now() - retention limit 1000 for update skip locked)
    returning r.id
  ), forgotten as (
    delete from legwork_private.workflow_step_ends k using gone g where k.workflow_id = g.id
  )
  delete from legwork_private.workflow_run_steps s using gone g where s.workflow_id = g.id;
  delete from legwork_private.run_counts c using legwork_private.workflow_runs r where r.id = c.run_id and r.ended_at < now() - interval '1 hour';
  delete from legwork_private.batch_runs b
  where b.id in (select o.id from legwork_private.batch_runs o where o.ended_at < now() - retention limit 1000 for update skip locked);
end $$;
comment on function legwork_private.forget_runs(interval) is 'Deletes workflows and batches that ended longer ago than the history is kept. Called by legwork.maintain_history.';
