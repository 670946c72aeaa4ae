-- The doctor: what a person on call looks at first, each finding with its remedy.
--
-- One function per theme; legwork.doctor() runs them one by one, so that what one role may not see, or a lock somebody holds, costs one
-- theme and not the answer. Everything comes from statistics, the catalog and probes of a bounded number of rows, so it answers as fast
-- with ten million jobs as with ten. Thresholds are parameters with defaults, so that another limit can be asked for.
-- Locks: none while migrating.

create function legwork.doctor_waiting(patience interval default '5 minutes')
returns table ("check" text, severity text, finding text, remedy text, detail jsonb)
language sql volatile
-- In the order of the index, whatever the statistics say: sorting a million jobs to look at a few takes ten times as long.
set enable_seqscan = off set jit = off set enable_bitmapscan = off set enable_sort = off as $$
  with recursive priorities as (
    -- From one priority to the next through the index, over whatever number of jobs lies between.
    (select j.priority, 1 as nth from graphile_worker._private_jobs j where j.is_available order by j.priority limit 1)
    union all
    select n.priority, p.nth + 1
    from priorities p
    cross join lateral (
      select j.priority from graphile_worker._private_jobs j where j.is_available and j.priority > p.priority order by j.priority limit 1
    ) n
    where p.nth < 20
  ), due as materialized (
    -- The jobs of each priority that have been due for longest: what nobody fetches gathers there, so a bounded look finds it.
    select t.identifier as task, count(*) as jobs, min(d.run_at) as oldest, bool_or(d.nth >= 5000) as more
    from priorities p
    cross join lateral (
      select j.task_id, j.run_at, row_number() over (order by j.run_at) as nth from graphile_worker._private_jobs j
      where j.is_available and j.priority = p.priority and j.run_at <= now() order by j.run_at limit 5000
    ) d
    join graphile_worker._private_tasks t on t.id = d.task_id
    group by t.identifier
  ), alive as materialized (
    select w.* from legwork.worker_processes w
    where w.suspected_at is null and w.seen_at > clock_timestamp() - legwork.worker_grace()
  ), known as materialized (
    select distinct unnest(a.tasks) as task from alive a
  ), counts as materialized (
    select count(*) as workers, coalesce(sum(cardinality(a.running)), 0) as running from alive a
  ), totals as materialized (
    select coalesce(sum(d.jobs), 0) as jobs, min(d.oldest) as oldest, case when bool_or(d.more) then ' or more' else '' end as more from due d
  ), unserved as materialized (
    -- A minute, because a worker that is being replaced is back by then; ten are no deployment any more.
    select d.* from due d, counts c
    where c.workers > 0 and d.oldest < now() - interval '1 minute' and not exists (select from known k where k.task = d.task)
  ), late as materialized (
    select coalesce(sum(d.jobs), 0) as jobs, min(d.oldest) as oldest from due d where not exists (select from unserved u where u.task = d.task)
  )
  select 'workers',
    case when c.workers > 0 then 'ok' when t.oldest < now() - interval '1 minute' then 'critical' else 'warning' end,
    case
      when c.workers > 0 then format('%s Legwork worker(s) live and run %s job(s).', c.workers, c.running)
      when t.jobs = 0 then 'No Legwork worker lives. No job waits.'
      else format('No Legwork worker lives while %s job(s)%s wait, the first for %s.', t.jobs, t.more, legwork.in_words(date_trunc('second', legwork.elapsed(t.oldest, now()))))
    end,
    'Start one: legwork worker. If plain graphile-worker processes run your jobs, look at them: they do not report here.',
    jsonb_build_object('workers', c.workers, 'running', c.running, 'due', t.jobs, 'oldest', t.oldest)
  from counts c, totals t
  union all
  select 'workers', 'warning',
    format('Worker %s (%s, pid %s) has been silent for %s.', w.id, w.host, w.pid, legwork.in_words(date_trunc('second', clock_timestamp() - w.seen_at))),
    'Look at its process and log. The other workers give its jobs to the living within seconds; without another worker, start one.',
    jsonb_build_object('worker', w.id, 'host', w.host, 'pid', w.pid, 'seen_at', w.seen_at, 'running', w.running)
  from legwork.worker_processes w
  where not exists (select from alive a where a.id = w.id)
  union all
  (select 'tasks', case when u.oldest < now() - interval '10 minutes' then 'critical' else 'warning' end,
    format('%s job(s)%s wait for task ''%s'', the first for %s, and no live Legwork worker has it.', u.jobs,
      case when u.more then ' or more' else '' end, u.task, legwork.in_words(date_trunc('second', legwork.elapsed(u.oldest, now())))),
    coalesce('Did a worker miss a file, or was it meant to be ''' || legwork.nearest_name(u.task, array(select k.task from known k)) || '''? ', '')
      || 'Start a worker that has the task, or remove the jobs. Plain graphile-worker processes do not tell what they have and are not counted.',
    jsonb_build_object('task', u.task, 'jobs', u.jobs, 'oldest', u.oldest)
  from unserved u order by u.oldest limit 20)
  union all
  select 'tasks', 'ok',
    case c.workers when 0 then 'No Legwork worker lives to say which tasks it has.'
      else 'A live Legwork worker has every task that jobs have been waiting for.' end, null, null
  from counts c where not exists (select from unserved)
  union all
  -- A job that may start is fetched within seconds: minutes mean too few workers. Long waits can be wanted (a small priority), so
  -- they are critical only when the workers are idle all the same.
  select 'waiting',
    case when l.oldest is null or l.oldest >= now() - patience then 'ok' when c.workers > 0 and c.running = 0 then 'critical' else 'warning' end,
    case when l.oldest is null then 'No job waits that could run.'
      else format('%s job(s)%s wait, the first for %s%s.', l.jobs, t.more, legwork.in_words(date_trunc('second', legwork.elapsed(l.oldest, now()))),
        case when c.workers > 0 and c.running = 0 then ', and the workers run nothing' else '' end)
    end,
    case when c.workers > 0 and c.running = 0
      then 'Look at the workers'' logs, and at serial keys that are held (check abandoned); legwork jobs --state pending lists the jobs.'
      else 'Start more workers or raise their concurrency (LEGWORK_CONCURRENCY), and see which task is slow: legwork jobs --state running.' end,
    jsonb_build_object('jobs', l.jobs, 'oldest', l.oldest, 'tasks', (
      select jsonb_object_agg(x.task, x.jobs) from (select d.task, d.jobs from due d order by d.jobs desc, d.task limit 10) x))
  from late l, counts c, totals t
$$;
comment on function legwork.doctor_waiting(interval) is
  'Of legwork.doctor: whether workers live, whether they have the tasks that jobs wait for, and whether jobs wait longer than patience (5 minutes). '
  'Looks at the 5,000 jobs that have been due for longest in each of the first 20 priorities.';

-- An hour: graphile-worker frees a dead worker's jobs after four, and by then somebody has asked already.
create function legwork.doctor_jobs(held_for interval default '1 hour', failures integer default 100)
returns table ("check" text, severity text, finding text, remedy text, detail jsonb)
language sql volatile
set enable_seqscan = off set jit = off set enable_bitmapscan = off set enable_sort = off as $$
  with held as materialized (
    -- What has been held for long is old, so it is among the smallest ids; a serial key is released when its job is.
    select h.locked_by, count(*) filter (where h.is_job) as jobs, count(*) filter (where not h.is_job) as serial_keys, min(h.locked_at) as since
    from (
      (select true as is_job, j.locked_by, j.locked_at from graphile_worker._private_jobs j order by j.id limit 20000)
      union all
      (select false, q.locked_by, q.locked_at from graphile_worker._private_job_queues q order by q.id limit 20000)
    ) h
    where h.locked_at < now() - held_for and not exists (select from legwork.worker_processes w where w.id = h.locked_by)
    group by h.locked_by
  ), failed as materialized (
    select f.task, f.error from (
      select r.task, r.error, r.finished_at from legwork.finished_jobs r where r.state = 'failed' order by r.id desc limit 10000
    ) f
    where f.finished_at > now() - interval '1 hour'
  ), worst as materialized (
    select f.task, count(*) as jobs, max(f.error) as error from failed f group by f.task order by 2 desc, 1 limit 5
  )
  (select 'abandoned', 'warning',
    format('%s job(s) and %s serial key(s) have been held for %s by %s, which is no living Legwork worker.', h.jobs, h.serial_keys,
      legwork.in_words(date_trunc('second', now() - h.since)), h.locked_by),
    format('If that worker is dead: select graphile_worker.force_unlock_workers(array[%L]). If it is a plain graphile-worker with a long job, let it be. '
      'graphile-worker takes them back after 4 hours.', h.locked_by),
    jsonb_build_object('worker', h.locked_by, 'jobs', h.jobs, 'serial_keys', h.serial_keys, 'since', h.since)
  from held h order by h.since limit 20)
  union all
  select 'abandoned', 'ok', format('No job has been held for %s by a worker that Legwork does not know.', legwork.in_words(held_for)), null, null
  where not exists (select from held)
  union all
  select 'failed', case when count(*) >= failures then 'warning' else 'ok' end,
    case when count(*) >= failures
      then format('%s job(s) have failed for good within the hour, most of them of task ''%s'': %s', count(*), (select w.task from worst w limit 1),
        coalesce(left((select w.error from worst w limit 1), 200), 'no error was given'))
      else format('%s job(s) have failed for good within the hour.', count(*)) end,
    'legwork jobs --state failed lists them, legwork job <id> shows the error. Once it is mended, retry them.',
    jsonb_build_object('jobs', count(*), 'tasks', (select jsonb_object_agg(w.task, w.jobs) from worst w))
  from failed
$$;
comment on function legwork.doctor_jobs(interval, integer) is
  'Of legwork.doctor: jobs and serial keys that an unknown worker has held for longer than held_for (1 hour), and whether failures or more (100) jobs '
  'have failed for good within the hour. Looks at the 20,000 oldest jobs and keys and the 10,000 newest failures.';

create function legwork.doctor_history()
returns table ("check" text, severity text, finding text, remedy text, detail jsonb)
language sql volatile as $$
  with missing as materialized (
    select p.parent, d.day
    from unnest(array['legwork.finished_jobs', 'legwork.failed_attempts']::regclass[]) as p (parent)
    cross join unnest(array[now(), now() + interval '1 day']) as d (day)
    where not exists (select from legwork.history_partitions() h where h.parent = p.parent and d.day >= h.lower_bound and d.day < h.upper_bound)
  ), strays as materialized (
    select 'legwork.finished_jobs_default' as partition, count(*) as jobs from (select from only legwork.finished_jobs_default limit 10000) s
    union all
    select 'legwork.failed_attempts_default', count(*) from (select from only legwork.failed_attempts_default limit 10000) s
  ), kept as materialized (
    -- A partition is dropped at the first maintenance after its time; a day is many of them.
    select h.partition, h.upper_bound from legwork.history_partitions() h
    where h.upper_bound < now() - legwork.history_retention() - interval '1 day'
  ), triggers as materialized (
    select t.name from unnest(array['_legwork_record_finished', '_legwork_record_change', '_legwork_truncate', '_legwork_admit']) as t (name)
    where not exists (select from pg_trigger g where g.tgrelid = 'graphile_worker._private_jobs'::regclass and g.tgname = t.name)
    union
    -- Enabled for replicas only is as good as disabled.
    select g.tgname from pg_trigger g
    where g.tgrelid = 'graphile_worker._private_jobs'::regclass and starts_with(g.tgname, '_legwork_') and g.tgenabled not in ('O', 'A')
  )
  select 'partitions', 'warning',
    format('%s has no partition for %s: its rows go to the default partition.', m.parent, to_char(m.day at time zone 'UTC', 'YYYY-MM-DD')),
    'select * from legwork.maintain_history() makes it or says why not. Every Legwork process calls it every five minutes: is one running?',
    jsonb_build_object('table', m.parent, 'day', m.day)
  from missing m
  union all
  select 'partitions', 'warning', format('%s row(s) lie in the default partition %s%s.', s.jobs, s.partition, case when s.jobs = 10000 then ' or more' else '' end),
    'Nothing is lost, but retention must delete them one by one. select * from legwork.maintain_history() moves those of a day without a '
      'partition; the others go with the retention.',
    jsonb_build_object('partition', s.partition, 'rows', s.jobs)
  from strays s where s.jobs > 0
  union all
  select 'partitions', 'warning', format('Partition %s should have been dropped: its last row is older than the retention of %s.', k.partition, legwork.history_retention()),
    'select * from legwork.maintain_history() drops it or says why not: busy means that a transaction reads it (check transactions).',
    jsonb_build_object('partition', k.partition, 'until', k.upper_bound)
  from kept k
  union all
  select 'partitions', 'ok', 'The history has its partitions for today and tomorrow, and none that is too old.', null, null
  where not exists (select from missing) and not exists (select from kept) and not exists (select from strays s where s.jobs > 0)
  union all
  select 'triggers', 'critical', format('Trigger %s on graphile_worker._private_jobs is missing or disabled: jobs end without being recorded.', t.name),
    format('alter table graphile_worker._private_jobs enable trigger %I. If it is gone, take its definition from sql/schema.sql.', t.name),
    jsonb_build_object('trigger', t.name)
  from triggers t
  union all
  select 'triggers', 'ok', 'Legwork''s triggers on the job table are enabled.', null, null
  where not exists (select from triggers)
$$;
comment on function legwork.doctor_history() is
  'Of legwork.doctor: whether the history has the partitions it needs and no others, and whether the triggers that write it are enabled.';

create function legwork.doctor_transactions(warning_after interval default '5 minutes', critical_after interval default '1 hour')
returns table ("check" text, severity text, finding text, remedy text, detail jsonb)
language sql volatile as $$
  with sessions as materialized (
    select a.* from pg_stat_activity a where a.datname = current_database() and a.pid <> pg_backend_pid()
  ), open as materialized (
    -- Vacuum does not wait for itself. Five minutes at a thousand jobs a second are a million dead rows that every fetch wades through.
    select s.* from sessions s
    where s.xact_start < clock_timestamp() - warning_after and s.backend_type is distinct from 'autovacuum worker'
      and (s.backend_xmin is not null or s.backend_xid is not null or s.state like 'idle in transaction%')
  ), prepared as materialized (
    select p.* from pg_prepared_xacts p where p.database = current_database() and p.prepared < clock_timestamp() - warning_after
  ), ours as materialized (
    select c.oid from pg_class c where c.relnamespace in ('legwork'::regnamespace, 'graphile_worker'::regnamespace)
  ), blocked as materialized (
    select l.pid, l.waitstart, pg_blocking_pids(l.pid) as blockers
    from pg_locks l
    where not l.granted and l.waitstart < clock_timestamp() - least(warning_after, interval '5 seconds')
      and exists (
        select from pg_locks h
        where h.pid = l.pid and h.database = (select d.oid from pg_database d where d.datname = current_database())
          and h.relation in (select o.oid from ours o))
  )
  (select 'transactions', case when o.xact_start < clock_timestamp() - critical_after then 'critical' else 'warning' end,
    format('A transaction of ''%s'' (pid %s, user %s, %s) has been open for %s: no vacuum can remove what has been deleted since.', o.application_name, o.pid, o.usename,
      o.state, legwork.in_words(date_trunc('second', clock_timestamp() - o.xact_start))),
    format('Let it end, or end it: select pg_terminate_backend(%s). For the next one: idle_in_transaction_session_timeout for the user %s.', o.pid, o.usename),
    jsonb_build_object('pid', o.pid, 'application', o.application_name, 'user', o.usename, 'state', o.state, 'since', o.xact_start, 'client', o.client_addr)
  from open o order by o.xact_start limit 10)
  union all
  select 'transactions', 'ok', format('No transaction that can be seen has been open for %s.', legwork.in_words(warning_after)), null, null where not exists (select from open)
  union all
  select 'transactions', 'warning',
    format('%s session(s) of other users hide their transactions from ''%s''; the oldest snapshot is %s transactions old.', count(*), current_user, coalesce(max(age(s.backend_xmin)), 0)),
    format('grant pg_read_all_stats to %I, as a superuser or its like.', current_user), jsonb_build_object('pids', jsonb_agg(s.pid))
  from sessions s
  -- What a session of another user hides is null, its very kind included.
  where s.backend_type is null having count(*) > 0
  union all
  select 'prepared_transactions', case when p.prepared < clock_timestamp() - critical_after then 'critical' else 'warning' end,
    format('The prepared transaction ''%s'' of %s has waited for %s: no vacuum can remove what has been deleted since, and it keeps its locks.', p.gid, p.owner,
      legwork.in_words(date_trunc('second', clock_timestamp() - p.prepared))),
    format('Ask whoever prepared it, then commit prepared %L or rollback prepared %L.', p.gid, p.gid),
    jsonb_build_object('gid', p.gid, 'owner', p.owner, 'since', p.prepared)
  from prepared p
  union all
  select 'prepared_transactions', 'ok', format('No prepared transaction has waited for %s.', legwork.in_words(warning_after)), null, null where not exists (select from prepared)
  union all
  (select 'locks', case when b.waitstart < clock_timestamp() - interval '1 minute' then 'critical' else 'warning' end,
    format('''%s'' (pid %s) has waited for a lock on the job system''s tables for %s, behind %s.', w.application_name, b.pid,
      legwork.in_words(date_trunc('second', clock_timestamp() - b.waitstart)),
      (select string_agg(format('''%s'' (pid %s, %s)', s.application_name, s.pid, coalesce(s.state, 'state hidden')), ', ') from sessions s where s.pid = any (b.blockers))),
    format('Let the other end, or end it: select pg_terminate_backend(%s).', b.blockers[1]),
    jsonb_build_object('pid', b.pid, 'since', b.waitstart, 'blockers', b.blockers)
  from blocked b left join pg_stat_activity w on w.pid = b.pid order by b.waitstart limit 10)
  union all
  select 'locks', 'ok', 'Nobody waits for a lock on the job system''s tables.', null, null where not exists (select from blocked)
$$;
comment on function legwork.doctor_transactions(interval, interval) is
  'Of legwork.doctor: transactions, prepared ones and locks that have lasted for longer than warning_after (5 minutes; 5 seconds for a lock), critical after '
  'critical_after (1 hour; 1 minute for a lock).';

create function legwork.doctor_vacuum(dead_rows bigint default 50000, bloat_bytes bigint default 100 * 1024 * 1024)
returns table ("check" text, severity text, finding text, remedy text, detail jsonb)
language sql volatile as $$
  with tables as materialized (
    select c.oid::regclass as name, c.relpersistence, s.n_live_tup as live, s.n_dead_tup as dead, greatest(s.last_vacuum, s.last_autovacuum) as vacuumed,
      exists (select from pg_options_to_table(c.reloptions) o where o.option_name = 'autovacuum_enabled' and not o.option_value::boolean) as disabled
    from pg_class c
    left join pg_stat_all_tables s on s.relid = c.oid
    where c.relnamespace in ('legwork'::regnamespace, 'graphile_worker'::regnamespace) and c.relkind = 'r'
  ), neglected as materialized (
    -- A busy job table makes millions of dead rows between two vacuums, which is fine as long as they come (every minute by default).
    select t.* from tables t
    where t.dead >= dead_rows and t.dead > t.live and (t.vacuumed is null or t.vacuumed < now() - interval '5 minutes')
  ), indexes as materialized (
    -- An entry is its columns, rounded up to 8 bytes, an 8-byte header and a 4-byte pointer; pages of a B-tree in use are 70 % full. 40 bytes
    -- are taken for a text.
    select i.indexrelid::regclass as name, pg_relation_size(i.indexrelid) as bytes,
      8192 * (2 + ceil(t.live * (ceil(w.width / 8.0) * 8 + 12) / (8192 * 0.7))) as expected
    from pg_index i
    join tables t on t.name = i.indrelid
    cross join lateral (
      select sum(case when a.attlen > 0 then a.attlen else 40 end) as width from pg_attribute a where a.attrelid = i.indexrelid
    ) w
    where i.indrelid in ('graphile_worker._private_jobs'::regclass, 'graphile_worker._private_job_queues'::regclass)
  ), bloated as materialized (
    -- Four times as much is what a backlog that has passed leaves behind; only much more of it is worth somebody's night.
    select x.* from indexes x where x.bytes >= bloat_bytes and x.bytes > 4 * x.expected
  )
  select 'dead_rows',
    case when n.dead >= 20 * dead_rows and (n.vacuumed is null or n.vacuumed < now() - interval '30 minutes') then 'critical' else 'warning' end,
    format('%s has %s dead rows beside %s live ones; last vacuumed: %s.', n.name, n.dead, n.live,
      coalesce(legwork.in_words(date_trunc('second', now() - n.vacuumed)) || ' ago', 'never')),
    format('vacuum (analyze) %s; then find out why autovacuum did not: checks autovacuum, transactions and settings.', n.name),
    jsonb_build_object('table', n.name, 'dead', n.dead, 'live', n.live, 'vacuumed_at', n.vacuumed)
  from neglected n
  union all
  select 'dead_rows', 'ok', format('The job table has %s dead rows beside %s live ones; last vacuumed: %s.', t.dead, t.live,
    coalesce(legwork.in_words(date_trunc('second', now() - t.vacuumed)) || ' ago', 'never')), null, jsonb_build_object('dead', t.dead, 'live', t.live, 'vacuumed_at', t.vacuumed)
  from tables t where t.name = 'graphile_worker._private_jobs'::regclass and not exists (select from neglected)
  union all
  select 'autovacuum', case when t.name = 'graphile_worker._private_jobs'::regclass then 'critical' else 'warning' end,
    format('Autovacuum is switched off for %s: every fetch gets slower with the jobs that were run.', t.name),
    format('alter table %s reset (autovacuum_enabled)', t.name), jsonb_build_object('table', t.name)
  from tables t where t.disabled
  union all
  select 'autovacuum', 'critical', format('%s is off for the whole server: nothing is vacuumed until it must be.', s.name),
    format('alter system set %s = on; select pg_reload_conf()', s.name), jsonb_build_object('setting', s.name)
  from pg_settings s where s.name in ('autovacuum', 'track_counts') and s.setting = 'off'
  union all
  select 'autovacuum', 'ok', 'Autovacuum is on for every table of the job system.', null, null
  where not exists (select from tables t where t.disabled)
    and not exists (select from pg_settings s where s.name in ('autovacuum', 'track_counts') and s.setting = 'off')
  union all
  select 'index_bloat', 'warning', format('Index %s takes %s; by an estimate %s would do.', b.name, pg_size_pretty(b.bytes), pg_size_pretty(b.expected)),
    format('reindex index concurrently %s, once no transaction is old (check transactions). Jobs run on meanwhile.', b.name),
    jsonb_build_object('index', b.name, 'bytes', b.bytes, 'expected', b.expected)
  from bloated b
  union all
  select 'index_bloat', 'ok', format('The indexes of the job tables take %s; that is not too much, by an estimate.', pg_size_pretty(sum(x.bytes))), null, null
  from indexes x having not exists (select from bloated)
  union all
  select 'unlogged', 'critical', format('%s is unlogged: it is empty after a crash of the server, and not on replicas.', t.name), format('alter table %s set logged', t.name),
    jsonb_build_object('table', t.name)
  from tables t where t.relpersistence = 'u'
  union all
  select 'unlogged', 'ok', 'Every table of the job system survives a crash of the server.', null, null
  where not exists (select from tables t where t.relpersistence = 'u')
$$;
comment on function legwork.doctor_vacuum(bigint, bigint) is
  'Of legwork.doctor: tables with dead_rows or more (50,000) dead rows that nobody vacuums, critical from twenty times as many, tables without autovacuum, indexes '
  'of bloat_bytes or more (100 MB) that are much larger than they need be, and unlogged tables.';

create function legwork.doctor_server(
  connections_used double precision default 0.8, notify_used double precision default 0.1, slot_bytes bigint default 10::bigint * 1024 * 1024 * 1024,
  transaction_age bigint default 1000000000
) returns table ("check" text, severity text, finding text, remedy text, detail jsonb)
language sql volatile as $$
  with connections as materialized (
    select x.* from (
      select 'the server' as whose, sum(s.numbackends) as used,
        (current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
          - coalesce(current_setting('reserved_connections', true)::integer, 0)) as allowed  -- from Postgres 16 on
      from pg_stat_database s
      union all
      select format('database %I', d.datname), s.numbackends, d.datconnlimit
      from pg_database d join pg_stat_database s on s.datid = d.oid
      where d.datname = current_database() and d.datconnlimit >= 0
    ) x
    order by x.used::double precision / greatest(x.allowed, 1) desc limit 1
  ), slots as materialized (
    select s.slot_name, s.active, s.wal_status, s.xmin, r.bytes
    from pg_replication_slots s
    cross join lateral (
      select case when not pg_is_in_recovery() then pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn) end as bytes
    ) r
    where not s.temporary
      and ((not s.active and (r.bytes >= slot_bytes or age(s.xmin) > 1000000)) or s.wal_status in ('unreserved', 'lost'))
  ), ids as materialized (
    select format('%I.%I', q.schemaname, q.sequencename) as name, q.last_value, coalesce(q.last_value, 0) / q.max_value::double precision as used
    from pg_sequences q where q.schemaname in ('graphile_worker', 'legwork')
  ), wraps as materialized (
    select age(d.datfrozenxid) as age from pg_database d where d.datname = current_database()
  ), bad as materialized (
    -- What this connection has; Legwork's own have it too when they connect as the same user.
    select s.name, s.setting, p.severity, p.why
    from pg_settings s
    join (values
      ('fsync', 'critical', '{on}'::text[], 'a crash of the machine can destroy the whole database'),
      ('full_page_writes', 'critical', '{on}', 'a crash of the machine can destroy pages'),
      ('synchronous_commit', 'warning', '{on,remote_write,remote_apply,local}', 'jobs that were committed can be lost in a crash'),
      ('session_replication_role', 'critical', '{origin,local}', 'triggers do not fire and nothing is recorded'),
      ('default_transaction_read_only', 'critical', '{off}', 'no job can be enqueued or run'),
      ('default_transaction_isolation', 'warning', '{"read committed"}', 'workers run into serialization failures')
    ) as p (name, severity, fine, why) on p.name = s.name
    where s.setting <> all (p.fine)
    union all
    select s.name, s.setting || ' ms', 'warning', 'what takes longer is cut off: a fetch from a busy table, a task''s own statement or transaction'
    from pg_settings s
    -- The last one came with Postgres 17. Ten seconds are long for a worker's own statements and short for a task's.
    where s.name in ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout') and s.setting::integer between 1 and 9999
    union all
    select 'hot standby', 'on', 'critical', 'this server is a read-only replica' where pg_is_in_recovery()
  )
  select 'connections', case when c.used >= c.allowed * greatest(connections_used, 0.95) then 'critical' when c.used >= c.allowed * connections_used then 'warning' else 'ok' end,
    format('%s of the %s connections of %s are in use.', c.used, c.allowed, c.whose),
    'See who holds them: select application_name, state, count(*) from pg_stat_activity group by 1, 2 order by 3 desc. A worker takes concurrency + about 10; '
      'lower LEGWORK_CONCURRENCY, end idle sessions or raise the limit.',
    jsonb_build_object('used', c.used, 'allowed', c.allowed)
  from connections c
  union all
  -- When it is full, every commit that notifies fails: no job can be enqueued.
  select 'notify_queue', case when n.used >= greatest(notify_used, 0.5) then 'critical' when n.used >= notify_used then 'warning' else 'ok' end,
    format('The queue of notifications is %s %% full.', round(100 * n.used::numeric, 2)),
    'A session that listens has a transaction open, and nothing behind it can be thrown away: find it with check transactions (in every database of the server) and end it.',
    jsonb_build_object('used', n.used)
  from (select pg_notification_queue_usage() as used) n
  union all
  select 'replication_slots', case when s.wal_status in ('unreserved', 'lost') then 'critical' else 'warning' end,
    format('Replication slot ''%s'' is %s, keeps %s of WAL (%s)%s.', s.slot_name, case when s.active then 'active' else 'used by nobody' end, pg_size_pretty(s.bytes),
      s.wal_status, case when s.xmin is not null then ' and holds back vacuum' else '' end),
    format('Start its replica again, or drop it before the disk is full: select pg_drop_replication_slot(%L)', s.slot_name),
    jsonb_build_object('slot', s.slot_name, 'bytes', s.bytes, 'wal_status', s.wal_status, 'xmin_age', age(s.xmin))
  from slots s
  union all
  select 'replication_slots', 'ok', 'No replication slot keeps too much.', null, null where not exists (select from slots)
  union all
  -- Postgres stops taking writes at two thousand million, and vacuums by itself from autovacuum_freeze_max_age (200 million) on.
  select 'transaction_ids', case when w.age >= greatest(transaction_age, 1600000000) then 'critical' when w.age >= transaction_age then 'warning' else 'ok' end,
    format('The oldest transaction id in this database is %s transactions old; at 2,000 million no more writes are taken.', w.age),
    'Look for what holds back vacuum (checks transactions, prepared_transactions, replication_slots), then vacuum (freeze) the oldest tables.',
    jsonb_build_object('age', w.age)
  from wraps w
  union all
  -- graphile-worker's ids of tasks and serial keys are integers, and every new serial key takes one; the others are bigints that only somebody's setval can use up.
  select 'ids', case when i.used >= 0.9 then 'critical' else 'warning' end,
    format('%s %% of the numbers of %s are used up; after the last one nothing that needs a new one can be enqueued.', round(100 * i.used::numeric, 1), i.name),
    case
      when i.name = 'graphile_worker.job_queues_id_seq' then 'Use fewer different serial keys. Once no job has one, empty graphile_worker._private_job_queues and restart its sequence.'
      when i.name = 'graphile_worker.tasks_id_seq' then
        'Every attempt to make a known task known again took one. Take numbers that are free: alter sequence graphile_worker.tasks_id_seq restart, below the smallest id in graphile_worker._private_tasks.'
      else format('Restart it where its table has no ids: alter sequence %s restart.', i.name)
    end, jsonb_build_object('sequence', i.name, 'last', i.last_value)
  from ids i where i.used >= 0.5
  union all
  select 'ids', 'ok', 'There are ids enough for jobs, serial keys and tasks.', null, null where not exists (select from ids i where i.used >= 0.5)
  union all
  select 'settings', b.severity, format('%s is %s: %s.', b.name, b.setting, b.why),
    case b.name when 'hot standby' then 'Set DATABASE_URL to the primary.'
      else format('Find where it is set: select source, sourcefile from pg_settings where name = %L; alter role … reset %s, or alter system and pg_reload_conf().', b.name, b.name) end,
    jsonb_build_object('setting', b.name, 'value', b.setting)
  from bad b
  union all
  select 'settings', 'ok', 'No setting of the server or of this user does harm.', null, null where not exists (select from bad)
$$;
comment on function legwork.doctor_server(double precision, double precision, bigint, bigint) is
  'Of legwork.doctor: how much is used of the connections (warning at connections_used, 0.8), of the notification queue (notify_used, 0.1), of transaction ids '
  '(transaction_age, 1,000 million) and of serial numbers; replication slots that nobody uses and that keep slot_bytes (10 GB) or hold back vacuum; and settings that do harm.';

create function legwork.doctor_versions()
returns table ("check" text, severity text, finding text, remedy text, detail jsonb)
language sql volatile as $$
  -- Only a client knows which versions it was made for: the command line compares them with this.
  select 'versions', 'ok', format('The schema graphile_worker is at migration %s, legwork at %s.', g.id, l.names ->> -1), null,
    jsonb_build_object('graphile_worker', g.id, 'legwork', l.migrations)
  from (select max(m.id) as id from graphile_worker.migrations m) g,
    (select jsonb_agg(to_jsonb(m) - 'applied_at' order by m.id) as migrations, jsonb_agg(m.name order by m.id) as names from legwork.migrations m) l
$$;
comment on function legwork.doctor_versions() is 'Of legwork.doctor: the migrations that have been applied.';

create function legwork.doctor_rules(paused_for interval default '1 hour', stuck_for interval default '1 minute')
returns table ("check" text, severity text, finding text, remedy text, detail jsonb)
language sql stable
as $$
  with overdue as materialized (
    -- Nobody has let them go, although somebody should every second.
    select count(*) as jobs, min(x.run_at) as oldest
    from (
      select w.run_at from legwork.waiting_jobs w
      where w.held = 'run_at' and w.run_at < clock_timestamp() - stuck_for order by w.run_at limit 10000
    ) x
  ), ringing as materialized (
    select count(*) as gates from legwork.gate_alarms a where a.ring_at < clock_timestamp() - stuck_for
  )
  select 'pauses', case when p.scope = 'all' then 'critical' when p.paused_at < now() - paused_for then 'warning' else 'ok' end,
    format('%s for %s by %s%s.',
      case p.scope when 'all' then 'Everything has been stopped' when 'queue' then format('Queue %L has been paused', p.name)
        else format('Task %L has been paused', p.name) end,
      legwork.in_words(date_trunc('second', clock_timestamp() - p.paused_at)), p.paused_by, coalesce(': ' || p.reason, ', no reason was given')),
    format('When the reason is gone: select legwork.%s;', case p.scope when 'all' then 'resume_all()'
      when 'queue' then format('resume_queue(%L)', p.name) else format('resume_task(%L)', p.name) end),
    to_jsonb(p)
  from legwork.pauses p
  union all
  select 'pauses', 'ok', 'Nothing is paused.', null, null where not exists (select from legwork.pauses)
  union all
  select 'waiting_room', case when o.jobs + r.gates > 0 then 'critical' else 'ok' end,
    case when o.jobs + r.gates > 0 then
      format('%s job(s) in the waiting room and %s rate limit(s) are overdue%s.', o.jobs, r.gates,
        coalesce(', the first for ' || legwork.in_words(date_trunc('second', legwork.elapsed(o.oldest, clock_timestamp()))), ''))
      else 'The waiting room is looked after.' end,
    'Keep a Legwork worker running, which looks every second; or call it yourself: select legwork.tick();',
    jsonb_build_object('jobs', o.jobs, 'gates', r.gates, 'oldest', o.oldest)
  from overdue o, ringing r
$$;
comment on function legwork.doctor_rules(interval, interval) is
  'Findings of legwork.doctor() about pauses and the waiting room. A pause of more than paused_for is a warning; what should have been let go for stuck_for is critical.';

create function legwork.doctor()
returns table ("check" text, severity text, finding text, remedy text, detail jsonb)
language plpgsql volatile security definer
-- Somebody's lock must not make the doctor wait, and compiling would take longer than the queries.
set search_path = pg_catalog, pg_temp set lock_timeout = '500ms' set jit = off as $$
declare
  v_theme text;
begin
  perform legwork.assert_may('viewer', true);
  foreach v_theme in array array['waiting', 'worker_faults', 'rules', 'schedules', 'jobs', 'history', 'transactions', 'vacuum', 'server', 'versions', 'set_aside', 'confined_logins'] loop
    begin
      return query execute format(
        'select f."check", f.severity, f.finding, case when f.severity <> ''ok'' then f.remedy end, f.detail from legwork.%I() f', 'doctor_' || v_theme);
    exception
      when lock_not_available then
        "check" := v_theme; severity := 'critical'; detail := null;
        finding := 'Somebody holds a lock that keeps everybody else from the tables that this looks at.';
        remedy := 'Find it (check locks): select pid, pg_blocking_pids(pid), application_name from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0.';
        return next;
      when others then
        "check" := v_theme; severity := 'warning'; detail := jsonb_build_object('sqlstate', sqlstate);
        finding := format('This could not be looked at: %s.', sqlerrm);
        remedy := case sqlstate when '42501' then format('Grant what is missing to %I, who owns legwork.doctor().', current_user) else 'The other checks are not affected.' end;
        return next;
    end;
  end loop;
end $$;
comment on function legwork.doctor() is
  'What is wrong with this job system and what to do about it, a row per finding, and a row with severity ok for what was looked at and found well. '
  'severity: ok, warning or critical. Looks at statistics and bounded samples only, waits for nobody and raises nothing: what it may not see is a finding, too.';
-- It tells of all sessions and jobs.
revoke execute on function legwork.doctor() from public;
