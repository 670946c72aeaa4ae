create or replace function legwork_private.explain_workers(job legwork_private.graphile_jobs, task text) returns table (reason text, detail text, fix text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_alive integer;
  v_able integer;
  v_free integer;
  v_ahead bigint;
  v_refused record;
begin
  select count(*), count(*) filter (where explain_workers.task = any (w.tasks)),
    coalesce(sum(greatest(0, w.concurrency - cardinality(w.running))) filter (where explain_workers.task = any (w.tasks)), 0)
  into v_alive, v_able, v_free
  from legwork_private.worker_processes w
  where w.seen_at > clock_timestamp() - legwork_private.worker_grace();
  if v_able = 0 then
    select r.host, r.at, r.reason into v_refused from legwork_private.refused_workers() r order by r.at desc limit 1;
    if v_refused.at is not null then
      return query select 'worker_refused'::text,
        format('The worker%s failed to start at %s: %s',
          -- Tenants do not learn where workers run.
          case when legwork_private.confined_tenant() is null then ' on ' || v_refused.host else '' end, to_char(v_refused.at, 'YYYY-MM-DD HH24:MI:SS TZ'), v_refused.reason),
        'Give that worker a DATABASE_URL that points directly to Postgres, or to a pooler in session mode with enough connections (docs/guides/poolers.md).';
    end if;
    return query select 'no_worker'::text,
      case v_alive when 0 then 'No Legwork worker is running.'
        when 1 then format('The one Legwork worker that is running does not have the task ''%s''.', task)
        else format('None of the %s has the task ''%s''.', legwork_private.counted(v_alive, 'running Legwork worker'), task) end
        || coalesce(' Did you mean ''' || legwork_private.nearest_name(task, array(
          select distinct x from legwork_private.worker_processes w, unnest(w.tasks) x where x <> explain_workers.task)) || '''?', ''),
      'Start a worker that has it: legwork worker --tasks DIR. A plain graphile-worker process with the task would run it too, but is not visible here.';
    return;
  end if;
  -- The count stops at ten thousand.
  select count(*) into v_ahead from (
    select from legwork_private.graphile_jobs o
    where o.is_available and o.run_at <= now() and (o.priority, o.run_at) < (job.priority, job.run_at)
    order by o.priority, o.run_at
    limit 10000
  ) x;
  if v_free = 0 or v_ahead > v_free then
    return query select 'workers_busy'::text,
      case when v_free > 0 then format('The workers that have its task can take only %s now.', legwork_private.counted(v_free, 'more job'))
          when v_able = 1 then 'The one worker that has its task is at its concurrency limit.'
          else format('All %s that have its task are at their concurrency limits.', legwork_private.counted(v_able, 'worker')) end
        || case v_ahead when 0 then ' No other job is ahead of this one.' when 10000 then ' 10,000 or more jobs are ahead of this one.'
          else format(' %s %s ahead of this one.', legwork_private.counted(v_ahead, 'other job'), case v_ahead when 1 then 'is' else 'are' end) end,
      'Start more workers, raise LEGWORK_CONCURRENCY, or give the job a smaller priority: select graphile_worker.reschedule_jobs(array['
        || job.id || '], priority => ' || greatest(job.priority - 10, -32768) || ');';
  end if;
end $$;
comment on function legwork_private.explain_workers(legwork_private.graphile_jobs, text) is 'Why no worker is taking a job that is ready to run: no worker has its task, or all workers that have it are busy.';

create or replace function legwork_private.explain_waits(job_id bigint, run_at timestamptz) returns table (reason text, detail text, fix text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select
      case s.kind when 'wait' then 'waits_for_signal' else 'sleeps' end,
      format(case s.kind when 'wait' then 'Its task has been waiting for the signal ''%s'' since %s%s.' else 'Its task has been sleeping in step ''%s'' since %s%s.' end,
        s.name, to_char(s.started_at, 'YYYY-MM-DD HH24:MI:SS TZ'),
        case when s.deadline is null then ', without a deadline'
          else format(', until %s (in %s)', to_char(s.deadline, 'YYYY-MM-DD HH24:MI:SS TZ'), legwork_private.in_words(date_trunc('second', s.deadline - clock_timestamp()))) end),
      case s.kind when 'wait' then format('Send it: select legwork.send_signal(%s, %L);', s.job_id, s.name) else 'Wait.' end
    from legwork_private.job_steps s
    where s.job_id = explain_waits.job_id and s.state = 'waiting' and s.wake_at = explain_waits.run_at and s.wake_at > clock_timestamp()
    order by s.kind desc, s.deadline, s.name;
end $$;
comment on function legwork_private.explain_waits(bigint, timestamptz) is 'The signals and sleeps that a job with this run_at is waiting for.';

create or replace function legwork_private.explain_replaced(job legwork_private.graphile_jobs) returns table (reason text, detail text, fix text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_others bigint[];
begin
  -- Reusing its key, or remove_job, removes the key and all further attempts from a running job (see legwork_private.true_attempt).
  if job.id is null or job.key is not null or job.attempts < job.max_attempts or job.updated_at <= job.locked_at or job.locked_at is null and not exists (
    select from legwork_private.failed_attempts f where f.job_id = job.id and f.started_at < job.updated_at and f.failed_at > job.updated_at)
  then
    return;
  end if;
  -- The replacing job was enqueued by the same transaction. Nothing else links the two.
  select array_agg(o.id order by o.id) into v_others from (
    select j.id from legwork_private.ids_created(job.updated_at, job.updated_at + interval '1 microsecond') i, legwork_private.all_jobs j
    where j.id > greatest(job.id, i.above) and j.id <= coalesce(i.up_to, 9223372036854775807) and j.created_at = job.updated_at and j.job_key is not null
      and (legwork_private.confined_tenant() is null or j.tenant = legwork_private.confined_tenant())
    order by j.id limit 2
  ) o;
  reason := 'replaced';
  detail := format('It was replaced or removed at %s while it was running, so it will not be retried.%s', to_char(job.updated_at, 'YYYY-MM-DD HH24:MI:SS TZ'),
    case cardinality(v_others) when 1 then format(' Job %s was enqueued in its place.', v_others[1])
      when 2 then ' A job with its key was enqueued in its place.' else '' end);
  fix := case cardinality(v_others) when 1 then format('See that job: select * from legwork.explain_job(%s);', v_others[1])
    else 'Nothing to do.' end;
  return next;
end $$;
comment on function legwork_private.explain_replaced(legwork_private.graphile_jobs) is
  'The reason that explain_job returns for a job whose key was reused while it was running: it will not be retried, and which job was enqueued in its place.';
