-- Why is a job not running? Every reason there is, in the order in which they hold it back, each with what to do about it.

create function legwork.in_words(duration interval) returns text
language sql immutable parallel safe strict
return coalesce(nullif(concat_ws(' ',
  extract(year from duration) || case extract(year from duration) when 0 then null when 1 then ' year' else ' years' end,
  extract(month from duration) || case extract(month from duration) when 0 then null when 1 then ' month' else ' months' end,
  extract(day from duration) || case extract(day from duration) when 0 then null when 1 then ' day' else ' days' end,
  extract(hour from duration) || case extract(hour from duration) when 0 then null when 1 then ' hour' else ' hours' end,
  extract(minute from duration) || case extract(minute from duration) when 0 then null when 1 then ' minute' else ' minutes' end,
  trim_scale(extract(second from duration)) || case extract(second from duration) when 0 then null when 1 then ' second' else ' seconds' end), ''), '0 seconds');
comment on function legwork.in_words(interval) is 'An interval as one says it: 2 hours 1 minute.';

create function legwork.period_in_words(period interval) returns text
language sql immutable parallel safe strict
return regexp_replace(legwork.in_words(period), '^1 (\w+)$', '\1');
comment on function legwork.period_in_words(interval) is 'An interval as one says it after per or every: hour, 2 hours.';

create function legwork.time_ahead(at timestamptz) returns text
language sql stable
return case when time_ahead.at > legwork.last_time() then 'the year ' || extract(year from time_ahead.at)
  else format('%s (in %s)', to_char(time_ahead.at, 'YYYY-MM-DD HH24:MI:SS TZ'),
    legwork.in_words(date_trunc('second', legwork.elapsed(clock_timestamp(), time_ahead.at)))) end;
comment on function legwork.time_ahead(timestamptz) is 'A time that is ahead as one says it: 2027-01-01 10:00:00 UTC (in 2 hours), or the year 290000.';

create function legwork.explain_pauses(queue text, task text) returns table (reason text, detail text, fix text)
language sql stable
as $$
  select
    case p.scope when 'all' then 'everything_stopped' when 'queue' then 'queue_paused' else 'task_paused' end,
    format('%s since %s by %s: %s',
      case p.scope when 'all' then 'Everything is stopped' when 'queue' then format('Queue ''%s'' is paused', p.name)
        else format('Task ''%s'' is paused', p.name) end,
      to_char(p.paused_at, 'YYYY-MM-DD HH24:MI:SS TZ'), p.paused_by, coalesce(p.reason, 'no reason was given') || '.'),
    case p.scope when 'all' then 'select legwork.resume_all();' when 'queue' then format('select legwork.resume_queue(%L);', p.name)
      else format('select legwork.resume_task(%L);', p.name) end
  from legwork.pauses p
  where p.scope = 'all' or (p.scope = 'queue' and p.name = explain_pauses.queue) or (p.scope = 'task' and p.name = explain_pauses.task)
  order by p.scope = 'all' desc, p.scope = 'queue' desc
$$;
comment on function legwork.explain_pauses(text, text) is 'The pauses that hold back a task of a queue, the widest first.';

create function legwork.payload_with(key text[], value text) returns jsonb
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_payload jsonb := to_jsonb(value);
begin
  for i in reverse cardinality(key)..1 loop
    v_payload := jsonb_build_object(key[i], v_payload);
  end loop;
  return v_payload;
end $$;
comment on function legwork.payload_with(text[], text) is 'A payload that has that value at that place and nothing else.';

create function legwork.is_key_secret(scope text, name text, key text[]) returns boolean
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select key <> '{}' and exists (
    select from legwork.task_definitions d
    where d.redact is not null and (is_key_secret.scope = 'task' and d.name = is_key_secret.name or is_key_secret.scope = 'queue' and d.queue = is_key_secret.name)
      and legwork.redact(legwork.payload_with(is_key_secret.key, 'shown'), d.redact) #>> is_key_secret.key is distinct from 'shown')
$$;
comment on function legwork.is_key_secret(text, text, text[]) is
  'Whether the value of a limit''s key is one that a task of that queue or of that name redacts: what nobody may read in payloads is told by nothing else either.';

create function legwork.explain_gates(job_id bigint) returns table (reason text, detail text, fix text)
language sql stable
as $$
  select
    case l.kind when 'rate' then 'rate_limit' else 'concurrency_limit' end,
    format('%s of %s ''%s''%s is %s: %s.%s%s',
      case l.kind when 'rate' then 'The rate limit' else 'The concurrency limit' end, l.scope, l.name,
      case when l.key <> '{}' then format(' for %s = %s', array_to_string(l.key, '.'), case when legwork.is_key_secret(l.scope, l.name, l.key) then '[redacted]'
        else coalesce(nullif(substr(g.gate, strpos(g.gate, ':') + 1), ''), 'nothing') end) else '' end,
      l.max_count || case when l.kind = 'rate' then ' per ' || legwork.period_in_words(l.per) else '' end,
      case l.kind when 'rate' then 'used up' else 'taken by ' || coalesce(case when s.jobs = 1 then 'job ' else 'jobs ' end || s.some
        || case when s.jobs > 5 then format(' and %s more', s.jobs - 5) else '' end, s.jobs || case when s.jobs = 1 then ' job' else ' jobs' end) end,
      case when w.held is null then format(' It is number %s in its line.', (
        select count(*) + 1 from legwork.waiting_jobs o
        where o.lane = w.lane and o.held is null and (o.priority, o.run_at, o.job_id) < (w.priority, w.run_at, w.job_id))) end,
      ' The next start is possible at ' || to_char(s.next_at, 'HH24:MI:SS') || '.'),
    format('Wait, or raise the limit: select legwork.limit_%s(%s%s, %s => %L%s);', l.kind, 2 * l.max_count,
      case when l.kind = 'rate' then format(', %L', l.per) else '' end, l.scope, l.name,
      case when l.key <> '{}' then format(', key => %L', array_to_string(l.key, '.')) else '' end)
  from legwork.waiting_jobs w
  cross join lateral unnest(w.gates) with ordinality as g (gate, n)
  join legwork.limits l on l.id = split_part(g.gate, ':', 1)::integer
  cross join lateral (
    select count(*) as jobs, min(x.free_at) as next_at,
      -- Whoever is confined to a tenant learns how many there are, and not which.
      case when legwork.confined_tenant() is null then array_to_string((array_agg(x.job_id order by x.job_id))[1:5], ', ') end as some
    from legwork.slots x where x.gate = g.gate and (x.free_at is null or x.free_at > clock_timestamp())
  ) s
  where w.job_id = explain_gates.job_id and s.jobs >= l.max_count
  order by g.n
$$;
comment on function legwork.explain_gates(bigint) is 'The limits that a waiting job cannot pass now, with the jobs that use them up.';

create function legwork.explain_workers(job graphile_worker._private_jobs, task text) returns table (reason text, detail text, fix text)
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
  from legwork.worker_processes w
  where w.seen_at > clock_timestamp() - legwork.worker_grace();
  if v_able = 0 then
    select r.host, r.at, r.reason into v_refused from legwork.refused_workers() r order by r.at desc limit 1;
    if v_refused.at is not null then
      return query select 'worker_refused'::text,
        format('The worker%s did not start, at %s: %s',
          -- Where it runs is not for tenants.
          case when legwork.confined_tenant() is null then ' on ' || v_refused.host else '' end, to_char(v_refused.at, 'YYYY-MM-DD HH24:MI:SS TZ'), v_refused.reason),
        'Give that worker a DATABASE_URL that leads to Postgres itself, or to a pool in session mode with enough connections (docs/poolers.md).';
    end if;
    return query select 'no_worker'::text,
      case when v_alive = 0 then 'No Legwork worker is alive.'
        else format('None of the %s living Legwork workers knows the task ''%s''.', v_alive, task) end
        || coalesce(' Of the tasks they know, ''' || legwork.nearest_name(task, array(
          select distinct x from legwork.worker_processes w, unnest(w.tasks) x)) || ''' looks most like it.', ''),
      'Start one that has it: legwork worker --tasks DIR. A plain graphile-worker process with the task would run it too, and is not seen here.';
    return;
  end if;
  -- Up to ten thousand: further nobody needs to know.
  select count(*) into v_ahead from (
    select from graphile_worker._private_jobs o
    where o.is_available and o.run_at <= now() and (o.priority, o.run_at) < (job.priority, job.run_at)
    order by o.priority, o.run_at
    limit 10000
  ) x;
  if v_free = 0 or v_ahead > v_free then
    return query select 'workers_busy'::text,
      format('%s %s may start before it, and %s.', case when v_ahead = 10000 then '10000 or more' else v_ahead::text end,
        case when v_ahead = 1 then 'job' else 'jobs' end,
        case when v_free = 0 then format('%s run as many jobs as they may', case when v_able = 1 then 'the one worker that knows the task is busy: all its places'
          else format('all %s workers that know the task', v_able) end)
        else format('%s of the workers'' places are free', v_free) end),
      'Start more workers, or raise LEGWORK_CONCURRENCY; or give the job a smaller priority: select graphile_worker.reschedule_jobs(array['
        || job.id || '], priority => ' || greatest(job.priority - 10, -32768) || ');';
  end if;
end $$;
comment on function legwork.explain_workers(graphile_worker._private_jobs, text) is 'Why no worker takes a job that may start: none knows its task, or all are busy with others.';

create function legwork.explain_waits(job_id bigint, run_at timestamptz) returns table (reason text, detail text, fix text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select
      case s.kind when 'wait' then 'waits_for_signal' else 'sleeps' end,
      format(case s.kind when 'wait' then 'Its task waits for the signal ''%s'', since %s%s.' else 'Its task sleeps in step ''%s'' since %s%s.' end,
        s.name, to_char(s.started_at, 'YYYY-MM-DD HH24:MI:SS TZ'),
        case when s.deadline is null then ' and without a deadline'
          else format(', until %s (in %s)', to_char(s.deadline, 'YYYY-MM-DD HH24:MI:SS TZ'), legwork.in_words(date_trunc('second', s.deadline - clock_timestamp()))) end),
      case s.kind when 'wait' then format('Send it: select legwork.send_signal(%s, %L);', s.job_id, s.name) else 'Wait.' end
    from legwork.job_steps s
    where s.job_id = explain_waits.job_id and s.state = 'waiting' and s.wake_at = explain_waits.run_at and s.wake_at > clock_timestamp()
    order by s.kind desc, s.deadline, s.name;
end $$;
comment on function legwork.explain_waits(bigint, timestamptz) is 'The signals and the times that a job with this run_at waits for.';

create function legwork.explain_replaced(job graphile_worker._private_jobs) returns table (reason text, detail text, fix text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_others bigint[];
begin
  -- A key that is used again, or remove_job, takes the key and all attempts from a job that runs (see legwork.true_attempt).
  if job.id is null or job.key is not null or job.attempts < job.max_attempts or job.updated_at <= job.locked_at or job.locked_at is null and not exists (
    select from legwork.failed_attempts f where f.job_id = job.id and f.started_at < job.updated_at and f.failed_at > job.updated_at)
  then
    return;
  end if;
  -- The other job was enqueued by the same transaction. Nothing else ties the two together.
  select array_agg(o.id order by o.id) into v_others from (
    select j.id from legwork.ids_created(job.updated_at, job.updated_at + interval '1 microsecond') i, legwork.all_jobs j
    where j.id > greatest(job.id, i.above) and j.id <= coalesce(i.up_to, 9223372036854775807) and j.created_at = job.updated_at and j.job_key is not null
      and (legwork.confined_tenant() is null or j.tenant = legwork.confined_tenant())
    order by j.id limit 2
  ) o;
  reason := 'replaced';
  detail := format('It was replaced or removed at %s while it ran, so it is not retried.%s', to_char(job.updated_at, 'YYYY-MM-DD HH24:MI:SS TZ'),
    case cardinality(v_others) when 1 then format(' Job %s was enqueued in its place.', v_others[1])
      when 2 then ' A job with its key was enqueued in its place.' else '' end);
  fix := case cardinality(v_others) when 1 then format('Look at that one: select * from legwork.explain_job(%s);', v_others[1])
    else 'Nothing to do.' end;
  return next;
end $$;
comment on function legwork.explain_replaced(graphile_worker._private_jobs) is
  'Says of a job whose key was used again while it ran that it has no retries, and which job was enqueued in its place.';

create function legwork.explain_job(job_id bigint)
returns table ("position" integer, reason text, detail text, fix text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_job graphile_worker._private_jobs;
  v_seen record;
  v_worker legwork.worker_processes;
  v_waiting legwork.waiting_jobs;
  v_holder bigint;
  v_is_taken boolean;
  v_is_suspended boolean := false;
begin
  "position" := 1;
  perform legwork.assert_may('viewer');
  perform legwork.assert_visible(job_id);
  select j.* into v_seen from legwork.all_jobs j where j.id = explain_job.job_id;
  if v_seen.id is null then
    perform legwork.assert_job(job_id);
  end if;
  select * into v_job from graphile_worker._private_jobs j where j.id = explain_job.job_id;

  if v_seen.finished_at is not null then
    reason := v_seen.state;
    detail := format('It has ended: %s at %s%s', v_seen.state, to_char(v_seen.finished_at, 'YYYY-MM-DD HH24:MI:SS TZ'),
      coalesce(': ' || v_seen.error, '.'));
    fix := case
      when v_seen.state = 'failed' and v_job.id is not null then format('select legwork.retry_job(%s);', job_id)
      when v_seen.state = 'failed' then 'It was discarded. Enqueue it again.'
      when v_seen.state = 'completed' then 'Nothing is wrong.'
      else 'Enqueue it again if it should run.'
    end;
    return next;
    for reason, detail, fix in
      select s.reason, s.detail, s.fix from legwork.explain_replaced(v_job) s where v_seen.state = 'failed'
      union all
      select s.reason, s.detail, s.fix from legwork.explain_schedules(job_id) s
    loop
      "position" := "position" + 1;
      return next;
    end loop;
    return;
  end if;

  if v_job.locked_at is not null then
    select * into v_worker from legwork.worker_processes w where w.id = v_job.locked_by;
    reason := 'running';
    detail := format('It is running: attempt %s, since %s, on %s.', v_seen.attempts, to_char(v_job.locked_at, 'YYYY-MM-DD HH24:MI:SS TZ'),
      case when legwork.confined_tenant() is not null then 'a worker'
        when v_worker.id is not null then format('worker %s (%s, process %s)', v_worker.id, v_worker.host, v_worker.pid)
        else format('%s, which is no Legwork worker that lives', v_job.locked_by) end);
    fix := case when v_worker.id is not null then 'Nothing to do, or stop it: ' || format('select legwork.cancel_job(%s);', job_id)
      else 'If that process is gone, its jobs are given back after four hours, or at once: ' || format('select legwork.give_back_jobs(%L);', v_job.locked_by) end;
    return next;
    for reason, detail, fix in select s.reason, s.detail, s.fix from legwork.explain_replaced(v_job) s loop
      "position" := "position" + 1;
      return next;
    end loop;
    if v_worker.id is not null and v_job.id <> all (v_worker.running) and v_job.locked_at < clock_timestamp() - interval '2 seconds' then
      "position" := "position" + 1;
      reason := 'fetched_ahead';
      detail := format('The worker has fetched it ahead and is busy with %s others.', cardinality(v_worker.running));
      fix := 'Wait, or make workers fetch fewer jobs ahead (LEGWORK_LOCAL_QUEUE_SIZE).';
      return next;
    end if;
    if v_worker.seen_at < clock_timestamp() - legwork.worker_grace() then
      "position" := "position" + 1;
      reason := 'worker_silent';
      detail := format('That worker has been silent since %s.', to_char(v_worker.seen_at, 'HH24:MI:SS'));
      fix := 'Any living Legwork worker gives its jobs to others within seconds.';
      return next;
    end if;
    if v_worker.blocked_since is not null then
      "position" := "position" + 1;
      reason := 'worker_blocked';
      detail := format('That worker has been busy in synchronous code for %s seconds, %s. Its other jobs stand still until that is over.',
        round(extract(epoch from clock_timestamp() - v_worker.blocked_since)),
        case when v_worker.blocked_jobs = array[explain_job.job_id] then 'this job''s'
          when cardinality(v_worker.blocked_jobs) = 0 then 'which belongs to no job'
          when legwork.confined_tenant() is not null then 'that of a job'
          when cardinality(v_worker.blocked_jobs) = 1 then (
            select format('that of job %s (task %s)', b.id, k.identifier)
            from (select v_worker.blocked_jobs[1] as id) b
            left join graphile_worker._private_jobs j on j.id = b.id
            left join graphile_worker._private_tasks k on k.id = j.task_id)
          else 'that of one of the jobs ' || array_to_string(v_worker.blocked_jobs[:10], ', ') end);
      fix := 'Wait, or give that task a thread or a process of its own (isolate), or let it compute in smaller pieces. A signal, a timeout or a cancellation cannot interrupt it.';
      return next;
    end if;
    if exists (select from legwork.cancellations c where c.job_id = explain_job.job_id) then
      "position" := "position" + 1;
      reason := 'cancelling';
      detail := (select c.reason from legwork.cancellations c where c.job_id = explain_job.job_id) || ' Its task was told to stop.';
      fix := 'Wait for the task to heed its signal; its timeout, if it has one, ends it otherwise.';
      return next;
    end if;
    return;
  end if;

  for reason, detail, fix in select p.reason, p.detail, p.fix from legwork.explain_pauses(v_seen.queue, v_seen.task) p loop
    return next;
    "position" := "position" + 1;
  end loop;

  for reason, detail, fix in select w.reason, w.detail, w.fix from legwork.explain_waits(job_id, v_seen.run_at) w loop
    return next;
    "position" := "position" + 1;
    v_is_suspended := true;
  end loop;
  if v_seen.run_at > clock_timestamp() and not v_is_suspended then
    reason := case when v_job.attempts > 0 then 'retry_ahead' else 'run_at_ahead' end;
    detail := case
        when not isfinite(v_seen.run_at) then 'Its run_at is infinity: it never starts by itself'
        when v_job.attempts > 0 then format('Attempt %s failed; the next one is due at %s', v_job.attempts, legwork.time_ahead(v_seen.run_at))
        else 'It may start at ' || legwork.time_ahead(v_seen.run_at) end
      || case when v_job.attempts > 0 then ': ' || coalesce(v_seen.error, 'no message') else '.' end;
    fix := format(case when isfinite(v_seen.run_at) then 'Wait, or start' else 'Start' end || ' it now: select legwork.retry_job(%s);', job_id);
    return next;
    "position" := "position" + 1;
  end if;

  if legwork.flag_value(v_job.flags, 'expires') ~ '^\d{1,15}$' then
    if to_timestamp(legwork.flag_value(v_job.flags, 'expires')::double precision / 1000) <= clock_timestamp() then
      reason := 'expired';
      detail := format('It was not to start after %s.', to_char(to_timestamp(legwork.flag_value(v_job.flags, 'expires')::double precision / 1000), 'YYYY-MM-DD HH24:MI:SS TZ'));
      fix := 'A living worker is about to end it as expired. Enqueue it again if it should run.';
      return next;
      "position" := "position" + 1;
    end if;
  end if;

  for reason, detail, fix in select d.reason, d.detail, d.fix from legwork.explain_dependencies(job_id) d loop
    return next;
    "position" := "position" + 1;
  end loop;
  for reason, detail, fix in select g.reason, g.detail, g.fix from legwork.explain_gates(job_id) g loop
    return next;
    "position" := "position" + 1;
  end loop;
  select * into v_waiting from legwork.waiting_jobs w where w.job_id = explain_job.job_id;
  if v_waiting.held is null and v_waiting.job_id is not null and "position" = 1 then
    reason := 'about_to_be_admitted';
    detail := 'There is room for it, and it is the turn of its line or of another one.';
    fix := 'A living Legwork worker lets it go within a second; or: select legwork.tick();';
    return next;
    "position" := "position" + 1;
  end if;

  if v_job.job_queue_id is not null then
    select h.id into v_holder
    from graphile_worker._private_job_queues q
    left join graphile_worker._private_jobs h on h.job_queue_id = q.id and h.locked_at is not null
    where q.id = v_job.job_queue_id and q.locked_at is not null
    order by h.id limit 1;
    v_is_taken := found;
    if v_is_taken and legwork.confined_tenant() is not null and not exists (
      select from graphile_worker._private_jobs h where h.id = v_holder and legwork.flag_value(h.flags, 'tenant') = legwork.confined_tenant())
    then
      v_holder := null;
    end if;
    if v_is_taken then
      reason := 'serial_key_taken';
      detail := format('Jobs with its serial key ''%s'' run one at a time, and %s.', v_seen.serial_key,
        coalesce('job ' || v_holder || ' runs now', 'a worker holds the key'));
      fix := 'Wait for that job, or cancel it' || coalesce(': select legwork.cancel_job(' || v_holder || ');', '.');
      return next;
      "position" := "position" + 1;
    end if;
  end if;

  if not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off' then
    perform from graphile_worker._private_jobs j where j.id = explain_job.job_id for share skip locked;
    if not found then
      reason := 'row_locked';
      detail := 'A transaction that is open has changed or locked the job''s row; workers pass it over until it ends.';
      fix := 'Find it: select pid, state, xact_start, query from pg_stat_activity where xact_start is not null order by xact_start; then pg_terminate_backend(pid).';
      return next;
      "position" := "position" + 1;
    end if;
  end if;

  for reason, detail, fix in select w.reason, w.detail, w.fix from legwork.explain_workers(v_job, v_seen.task) w loop
    return next;
    "position" := "position" + 1;
  end loop;

  if "position" = 1 then
    if v_seen.run_at < clock_timestamp() - interval '10 seconds' then
      reason := 'not_fetched';
      detail := format('Nothing holds it back. Its time came %s ago, and living workers that know its task have room for it, but none has fetched it.',
        legwork.in_words(date_trunc('second', clock_timestamp() - v_seen.run_at)));
      fix := 'If something held it back until a moment ago, wait a moment. Otherwise look at the log of the workers, and whether they reach Postgres directly: through a '
        'connection pooler in transaction mode they cannot fetch jobs. Workers that ran while the schema graphile_worker was dropped, and plain ones that ran while its task '
        'identifiers were cleaned up, have to be restarted.';
    else
      reason := 'about_to_start';
      detail := 'Nothing holds it back. Workers look for jobs at once when they are told, and every second or two otherwise.';
      fix := 'Wait a moment.';
    end if;
    return next;
  end if;
end $$;
comment on function legwork.explain_job(bigint) is
  'Why a job does not run: every reason, in the order in which they hold it back, each in words and with what to do. reason is one of everything_stopped, queue_paused, '
  'task_paused, waits_for_signal, sleeps, run_at_ahead, retry_ahead, expired, dependency, set_aside, concurrency_limit, rate_limit, about_to_be_admitted, serial_key_taken, row_locked, worker_refused, no_worker, '
  'workers_busy, not_fetched, about_to_start; running, replaced, fetched_ahead, worker_silent, worker_blocked or cancelling for one that runs; or the state of one that has ended, and schedule_waits or schedule_held_back for runs that '
  'wait for its schedule, or for what that requires. Raises LW404 for an unknown job.';
revoke execute on function legwork.explain_job(bigint) from public;
