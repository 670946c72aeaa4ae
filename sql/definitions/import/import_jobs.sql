-- Jobs that are imported from another job system (`legwork import`).
--
-- A job is staged in Legwork, then taken out of the source system, then enqueued: three transactions, or one if the source system is in the same
-- database. Until the job is taken, only the source system may run it; afterwards, only Legwork. A process that is killed in between leaves a staged
-- job, which the next import resumes: the source system shows whether it was taken. Rows are kept, so that a job is never imported twice, even after
-- it has ended and left the history.

comment on table legwork_private.imported_jobs is 'Jobs and schedules that have been imported from another job system, and those whose import is in progress.';
comment on column legwork_private.imported_jobs.source is 'The source system and its namespace, such as pg-boss:pgboss.';
comment on column legwork_private.imported_jobs.source_id is 'The job''s queue and id in the source system.';
comment on column legwork_private.imported_jobs.server is 'The database or Redis that the job comes from, the only place that records whether a staged job was taken.';
comment on column legwork_private.imported_jobs.spec is 'The job to enqueue; null once it has been enqueued.';
comment on column legwork_private.imported_jobs.job_id is 'The id of the enqueued job; null while it is staged, and for a schedule.';
comment on column legwork_private.imported_jobs.staged_at is 'When it was staged.';
comment on column legwork_private.imported_jobs.imported_at is 'When it was enqueued; null while it is staged.';

create or replace function legwork_private.read_import_spec(spec jsonb) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if spec ? 'schedule' then
    return spec;
  end if;
  spec := spec - 'payload_text' || jsonb_build_object('payload', (spec ->> 'payload_text')::jsonb);
  -- Values that are obviously within bounds skip the full check.
  if spec ->> 'run_at' !~ '^(19[7-9]|[2-9]\d\d)\d-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?Z$'
    or spec ->> 'expires_at' !~ '^(19[7-9]|[2-9]\d\d)\d-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?Z$'
    or spec ->> 'priority' !~ '^-?\d{1,4}$' or spec ->> 'max_attempts' !~ '^[1-9]\d{0,3}$'
  then
    perform legwork_private.assert_job_fields(spec);
  end if;
  perform legwork_private.kept_key(spec ->> 'job_key', spec ->> 'tenant'), legwork_private.kept_key(spec ->> 'serial_key', spec ->> 'tenant', 'serial_key');
  return spec;
end $$;
comment on function legwork_private.read_import_spec(jsonb) is
  'The job to enqueue, with its payload converted from text to JSON. Raises an error for a job that cannot be enqueued, because this must be known before the job is taken out of the source system.';

create or replace function legwork_private.stage_imports(source text, server text, jobs jsonb) returns table (source_id text, outcome text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_job jsonb;
  v_refused jsonb := '{}';
begin
  perform legwork_private.assert_role('operator', true);
  perform legwork_private.assert_task(t.task) from (
    select distinct coalesce(j -> 'spec' ->> 'task', j -> 'spec' -> 'schedule' ->> 'task', '') as task from jsonb_array_elements(jobs) j) t;
  begin
    insert into legwork_private.imported_jobs as i (source, source_id, server, spec)
    select stage_imports.source, j ->> 'id', stage_imports.server, legwork_private.read_import_spec(j -> 'spec') from jsonb_array_elements(jobs) j
    on conflict on constraint imported_jobs_pkey do nothing;
  exception when data_exception or sqlstate 'LW400' or statement_too_complex or program_limit_exceeded then
    -- Each job is stored separately, so that one that cannot be stored does not prevent the others from being imported.
    for v_job in select j from jsonb_array_elements(jobs) j loop
      begin
        insert into legwork_private.imported_jobs as i (source, source_id, server, spec)
        values (stage_imports.source, v_job ->> 'id', stage_imports.server, legwork_private.read_import_spec(v_job -> 'spec'))
        on conflict on constraint imported_jobs_pkey do nothing;
      exception when data_exception or sqlstate 'LW400' or statement_too_complex or program_limit_exceeded then
        v_refused := v_refused || jsonb_build_object(v_job ->> 'id', sqlerrm);
      end;
    end loop;
  end;
  return query
    select j ->> 'id', case when i.source_id is null then coalesce(v_refused ->> (j ->> 'id'), 'It could not be stored.')
      when i.imported_at is null then 'staged' else 'imported' end
    from jsonb_array_elements(jobs) j
    left join legwork_private.imported_jobs i on i.source = stage_imports.source and i.source_id = j ->> 'id';
end $$;
comment on function legwork_private.stage_imports(text, text, jsonb) is
  'Stages jobs of a source system, each {id, spec}, where spec has the fields of a job of legwork.enqueue_many, its payload as payload_text and its dependencies as depends_on_imports. '
  'Returns for each id: staged, imported (earlier, so it must not run again), or why it cannot be enqueued. Raises LW404 for an unknown task.';
revoke execute on function legwork_private.stage_imports(text, text, jsonb) from public;

create or replace function legwork_private.enqueue_imports(source text, ids text[]) returns table (source_id text, job_id bigint)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_row record;
  v_spec legwork_private.job_spec;
  v_id bigint;
  v_ids text[];
  v_jobs jsonb;
  v_are_plain boolean;
begin
  perform legwork_private.assert_role('operator', true);
  -- Most batches have neither keys nor dependencies, and are enqueued in one statement.
  select array_agg(s.source_id order by s.n), jsonb_agg(s.spec - 'payload_text' order by s.n), coalesce(bool_and(not s.spec ?| array['job_key', 'depends_on_imports']), false)
  into v_ids, v_jobs, v_are_plain
  from (
    select u.n, i.source_id, i.spec
    from unnest(ids) with ordinality u (id, n)
    join legwork_private.imported_jobs i on i.source = enqueue_imports.source and i.source_id = u.id
    where i.imported_at is null and not i.spec ? 'schedule'
    for update of i
  ) s;
  if v_are_plain and not exists (
    select from jsonb_array_elements(v_jobs) j
    where (j ->> 'expires_at')::timestamptz <= greatest((j ->> 'run_at')::timestamptz, clock_timestamp()) + interval '1 second')
  then
    return query
      with enqueued as materialized (
        select v_ids[e.n] as source_id, e.id from legwork.enqueue_many(v_jobs) with ordinality e (id, n)
      )
      update legwork_private.imported_jobs i set job_id = e.id, spec = null, imported_at = clock_timestamp()
      from enqueued e where i.source = enqueue_imports.source and i.source_id = e.source_id
      returning i.source_id, i.job_id;
    return;
  end if;
  for v_row in
    select i.source_id, i.spec
    from unnest(ids) with ordinality u (id, n)
    join legwork_private.imported_jobs i on i.source = enqueue_imports.source and i.source_id = u.id
    where i.imported_at is null and not i.spec ? 'schedule'
    order by u.n
    for update of i
  loop
    v_spec := jsonb_populate_record(null::legwork_private.job_spec, v_row.spec);
    -- A key must not replace another job, because they were separate jobs in the source system.
    if v_spec.job_key is not null and exists (
      select from legwork_private.graphile_jobs j where j.key = legwork_private.kept_key(v_spec.job_key, coalesce(v_spec.tenant, nullif(current_setting('legwork.tenant', true), ''))))
    then
      v_spec.job_key := null;
    end if;
    if v_spec.expires_at is not null then
      -- The job may have expired since it was staged. It is then enqueued anyway, and expires in Legwork.
      v_spec.expires_at := greatest(v_spec.expires_at, clock_timestamp() + interval '1 second', v_spec.run_at + interval '1 second');
    end if;
    if v_row.spec ? 'depends_on_imports' then
      v_spec.depends_on := array(
        select i.job_id from legwork_private.imported_jobs i
        where i.source = enqueue_imports.source and i.source_id in (select jsonb_array_elements_text(v_row.spec -> 'depends_on_imports'))
          and (exists (select from legwork_private.graphile_jobs j where j.id = i.job_id) or exists (select from legwork_private.finished_jobs f where f.id = i.job_id)));
    end if;
    v_id := legwork_private.enqueue_job(v_spec);
    update legwork_private.imported_jobs i set job_id = v_id, spec = null, imported_at = clock_timestamp()
    where i.source = enqueue_imports.source and i.source_id = v_row.source_id;
    source_id := v_row.source_id;
    job_id := v_id;
    return next;
  end loop;
end $$;
comment on function legwork_private.enqueue_imports(text, text[]) is
  'Enqueues staged jobs that have been taken out of the source system, in the given order, and returns their ids. Jobs that are not staged are left out. The lock on its row '
  'ensures that each job is enqueued only once.';
revoke execute on function legwork_private.enqueue_imports(text, text[]) from public;

create or replace function legwork_private.settle_imports(source text, ids text[], imported boolean) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_role('operator', true);
  if imported then
    update legwork_private.imported_jobs i set spec = null, imported_at = clock_timestamp()
    where i.source = settle_imports.source and i.source_id = any (ids) and i.imported_at is null;
  else
    delete from legwork_private.imported_jobs i
    where i.source = settle_imports.source and i.source_id = any (ids) and i.imported_at is null;
  end if;
end $$;
comment on function legwork_private.settle_imports(text, text[], boolean) is
  'Ends the staging of schedules that have been created (imported), or of jobs that stay in the source system, which can then be staged again.';
revoke execute on function legwork_private.settle_imports(text, text[], boolean) from public;

create or replace function legwork_private.known_imports(source text, server text, ids text[] default null)
returns table (source_id text, is_staged boolean, schedule jsonb)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_role('operator', true);
  if ids is null then
    return query
      select i.source_id, true, i.spec -> 'schedule' from legwork_private.imported_jobs i
      where i.source = known_imports.source and i.server = known_imports.server and i.imported_at is null
      order by i.staged_at, i.source_id;
  else
    return query
      select i.source_id, i.imported_at is null, i.spec -> 'schedule' from legwork_private.imported_jobs i
      where i.source = known_imports.source and i.source_id = any (ids);
  end if;
end $$;
comment on function legwork_private.known_imports(text, text, text[]) is
  'Which of these jobs of a source system have been staged or imported; without ids, all staged jobs that come from this server. schedule: the options of a staged schedule.';
revoke execute on function legwork_private.known_imports(text, text, text[]) from public;
