create or replace function legwork.doctor_history()
returns table ("check" text, severity text, finding text, fix text, detail jsonb)
language sql volatile as $$
  with missing as materialized (
    select p.parent, d.day
    from unnest(array['legwork_private.finished_jobs', 'legwork_private.failed_attempts']::regclass[]) as p (parent)
    cross join unnest(array[now(), now() + interval '1 day']) as d (day)
    where not exists (select from legwork_private.history_partitions() h where h.parent = p.parent and d.day >= h.lower_bound and d.day < h.upper_bound)
  ), strays as materialized (
    select 'legwork_private.finished_jobs_default' as partition, count(*) as jobs from (select from only legwork_private.finished_jobs_default limit 10000) s
    union all
    select 'legwork_private.failed_attempts_default', count(*) from (select from only legwork_private.failed_attempts_default limit 10000) s
  ), kept as materialized (
    -- Maintenance drops a partition when its retention has ended, and runs many times a day.
    select h.partition, h.upper_bound from legwork_private.history_partitions() h
    where h.upper_bound < now() - legwork_private.history_retention() - interval '1 day'
  ), triggers as materialized (
    select t.name from unnest(array['_legwork_record_finished', '_legwork_record_change', '_legwork_truncate', '_legwork_admit']) as t (name)
    where not exists (select from pg_trigger g where g.tgrelid = legwork_private.jobs_table() and g.tgname = t.name)
    union
    -- A trigger that is enabled only for replicas counts as disabled.
    select g.tgname from pg_trigger g
    where g.tgrelid = legwork_private.jobs_table() and starts_with(g.tgname, '_legwork_') and g.tgenabled not in ('O', 'A')
  )
  select 'partitions', 'warning',
    format('%s has no partition for %s: rows of that day go to the default partition.', m.parent, to_char(m.day at time zone 'UTC', 'YYYY-MM-DD')),
    'select * from legwork.maintain_history() creates it or reports why it cannot. Every Legwork process calls it every five minutes. Check that one is running.',
    jsonb_build_object('table', m.parent, 'day', m.day)
  from missing m
  union all
  select 'partitions', 'warning', format('The default partition %s has %s.', s.partition, legwork_private.counted(s.jobs, case when s.jobs = 10000 then 'or more row' else 'row' end)),
    'No row is lost, but retention must delete them one by one. select * from legwork.maintain_history() moves the rows of days without a '
      'partition. The others are deleted when their retention ends.',
    jsonb_build_object('partition', s.partition, 'rows', s.jobs)
  from strays s where s.jobs > 0
  union all
  select 'partitions', 'warning', format('Partition %s should have been dropped: its last row is older than the retention of %s.', k.partition, legwork_private.in_words(legwork_private.history_retention())),
    'select * from legwork.maintain_history() drops it or reports why it cannot: busy means that a transaction is reading it (see the ''transactions'' check).',
    jsonb_build_object('partition', k.partition, 'until', k.upper_bound)
  from kept k
  union all
  select 'partitions', 'ok', 'The history has partitions for today and tomorrow, and no partition that is too old.', null, null
  where not exists (select from missing) and not exists (select from kept) and not exists (select from strays s where s.jobs > 0)
  union all
  select 'triggers', 'critical', format('Trigger %s on %s is missing or disabled: jobs end without being recorded.', t.name, legwork_private.jobs_table()),
    format('alter table %s enable trigger %I. If it is gone, run legwork migrate.', legwork_private.jobs_table(), t.name),
    jsonb_build_object('trigger', t.name)
  from triggers t
  union all
  select 'triggers', 'ok', 'Legwork''s triggers on the job table are enabled.', null, null
  where not exists (select from triggers)
$$;
comment on function legwork.doctor_history() is
  'Findings of legwork.doctor about the history: whether it has the partitions it needs and no others, and whether the triggers that write it are enabled.';

create or replace function legwork.doctor_transactions(warning_after interval default '5 minutes', critical_after interval default '1 hour')
returns table ("check" text, severity text, finding text, fix text, detail jsonb)
language sql volatile as $$
  with sessions as materialized (
    select a.* from pg_stat_activity a where a.datname = current_database() and a.pid <> pg_backend_pid()
  ), open as materialized (
    -- A running vacuum does not hold back other vacuums. At a thousand jobs a second, five minutes leave a million dead rows that every fetch has to
    -- scan.
    select s.* from sessions s
    where s.xact_start < clock_timestamp() - warning_after and s.backend_type is distinct from 'autovacuum worker'
      and (s.backend_xmin is not null or s.backend_xid is not null or s.state like 'idle in transaction%')
  ), prepared as materialized (
    select p.* from pg_prepared_xacts p where p.database = current_database() and p.prepared < clock_timestamp() - warning_after
  ), ours as materialized (
    select c.oid from pg_class c where c.relnamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace, 'graphile_worker'::regnamespace)
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
    format('A transaction of ''%s'' (pid %s, user %s, %s) has been open for %s: vacuum cannot remove rows that were deleted since it began.', o.application_name, o.pid, o.usename,
      o.state, legwork_private.in_words(date_trunc('second', clock_timestamp() - o.xact_start))),
    format('Let it finish, or end it: select pg_terminate_backend(%s). To prevent it, set idle_in_transaction_session_timeout for the user %s.', o.pid, o.usename),
    jsonb_build_object('pid', o.pid, 'application', o.application_name, 'user', o.usename, 'state', o.state, 'since', o.xact_start, 'client', o.client_addr)
  from open o order by o.xact_start limit 10)
  union all
  select 'transactions', 'ok', format('No visible transaction has been open for %s.', legwork_private.in_words(warning_after)), null, null where not exists (select from open)
  union all
  select 'transactions', 'warning',
    format('The transactions in %s of other users are hidden from ''%s''. The oldest snapshot is %s old.', legwork_private.counted(count(*), 'session'), current_user,
      legwork_private.counted(coalesce(max(age(s.backend_xmin)), 0), 'transaction')),
    format('grant pg_read_all_stats to %I, as a superuser or with equivalent rights.', current_user), jsonb_build_object('pids', jsonb_agg(s.pid))
  from sessions s
  -- Everything that another user's session hides is null, including its backend type.
  where s.backend_type is null having count(*) > 0
  union all
  select 'prepared_transactions', case when p.prepared < clock_timestamp() - critical_after then 'critical' else 'warning' end,
    format('The prepared transaction ''%s'' of user %s has been open for %s: vacuum cannot remove rows that were deleted since it began, and it keeps its locks.', p.gid, p.owner,
      legwork_private.in_words(date_trunc('second', clock_timestamp() - p.prepared))),
    format('Find out which application prepared it, then commit prepared %L or rollback prepared %L.', p.gid, p.gid),
    jsonb_build_object('gid', p.gid, 'owner', p.owner, 'since', p.prepared)
  from prepared p
  union all
  select 'prepared_transactions', 'ok', format('No prepared transaction has been open for %s.', legwork_private.in_words(warning_after)), null, null where not exists (select from prepared)
  union all
  (select 'locks', case when b.waitstart < clock_timestamp() - interval '1 minute' then 'critical' else 'warning' end,
    format('''%s'' (pid %s) has been waiting for a lock on the job system''s tables for %s, behind %s.', w.application_name, b.pid,
      legwork_private.in_words(date_trunc('second', clock_timestamp() - b.waitstart)),
      (select string_agg(format('''%s'' (pid %s, %s)', s.application_name, s.pid, coalesce(s.state, 'state hidden')), ', ') from sessions s where s.pid = any (b.blockers))),
    format('Let the blocking session finish, or end it: select pg_terminate_backend(%s).', b.blockers[1]),
    jsonb_build_object('pid', b.pid, 'since', b.waitstart, 'blockers', b.blockers)
  from blocked b left join pg_stat_activity w on w.pid = b.pid order by b.waitstart limit 10)
  union all
  select 'locks', 'ok', 'No session is waiting for a lock on the job system''s tables.', null, null where not exists (select from blocked)
$$;
comment on function legwork.doctor_transactions(interval, interval) is
  'Findings of legwork.doctor about transactions, prepared transactions and lock waits that have lasted longer than warning_after (5 minutes; 5 seconds for a lock). They are critical after '
  'critical_after (1 hour; 1 minute for a lock).';

create or replace function legwork.doctor_vacuum(dead_rows bigint default 50000, bloat_bytes bigint default 100 * 1024 * 1024)
returns table ("check" text, severity text, finding text, fix text, detail jsonb)
language sql volatile as $$
  with tables as materialized (
    select c.oid::regclass as name, c.relpersistence, s.n_live_tup as live, s.n_dead_tup as dead, greatest(s.last_vacuum, s.last_autovacuum) as vacuumed,
      exists (select from pg_options_to_table(c.reloptions) o where o.option_name = 'autovacuum_enabled' and not o.option_value::boolean) as disabled
    from pg_class c
    left join pg_stat_all_tables s on s.relid = c.oid
    where c.relnamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace, 'graphile_worker'::regnamespace) and c.relkind = 'r'
  ), neglected as materialized (
    -- A busy job table collects millions of dead rows between two vacuums. That is fine as long as vacuum runs (every minute by default).
    select t.* from tables t
    where t.dead >= dead_rows and t.dead > t.live and (t.vacuumed is null or t.vacuumed < now() - interval '5 minutes')
  ), indexes as materialized (
    -- An entry is its columns, rounded up to 8 bytes, an 8-byte header and a 4-byte pointer. Pages of a B-tree in use are 70% full. A text
    -- counts as 40 bytes.
    select i.indexrelid::regclass as name, pg_relation_size(i.indexrelid) as bytes,
      8192 * (2 + ceil(t.live * (ceil(w.width / 8.0) * 8 + 12) / (8192 * 0.7))) as expected
    from pg_index i
    join tables t on t.name = i.indrelid
    cross join lateral (
      select sum(case when a.attlen > 0 then a.attlen else 40 end) as width from pg_attribute a where a.attrelid = i.indexrelid
    ) w
    where i.indrelid in (legwork_private.jobs_table(), legwork_private.job_queues_table())
  ), bloated as materialized (
    -- A past backlog leaves an index four times as large as necessary. Only larger indexes are worth a warning.
    select x.* from indexes x where x.bytes >= bloat_bytes and x.bytes > 4 * x.expected
  )
  select 'dead_rows',
    case when n.dead >= 20 * dead_rows and (n.vacuumed is null or n.vacuumed < now() - interval '30 minutes') then 'critical' else 'warning' end,
    format('%s has %s and %s. Last vacuumed: %s.', n.name, legwork_private.counted(n.dead, 'dead row'), legwork_private.counted(n.live, 'live row'),
      coalesce(legwork_private.in_words(date_trunc('second', now() - n.vacuumed)) || ' ago', 'never')),
    format('vacuum (analyze) %s; then find out why autovacuum did not do it: see the ''autovacuum'', ''transactions'' and ''settings'' checks.', n.name),
    jsonb_build_object('table', n.name, 'dead', n.dead, 'live', n.live, 'vacuumed_at', n.vacuumed)
  from neglected n
  union all
  select 'dead_rows', 'ok', format('The job table has %s and %s. Last vacuumed: %s.', legwork_private.counted(t.dead, 'dead row'), legwork_private.counted(t.live, 'live row'),
    coalesce(legwork_private.in_words(date_trunc('second', now() - t.vacuumed)) || ' ago', 'never')), null, jsonb_build_object('dead', t.dead, 'live', t.live, 'vacuumed_at', t.vacuumed)
  from tables t where t.name = legwork_private.jobs_table() and not exists (select from neglected)
  union all
  select 'autovacuum', case when t.name = legwork_private.jobs_table() then 'critical' else 'warning' end,
    format('Autovacuum is off for %s: fetches get slower with every job that runs.', t.name),
    format('alter table %s reset (autovacuum_enabled)', t.name), jsonb_build_object('table', t.name)
  from tables t where t.disabled
  union all
  select 'autovacuum', 'critical', format('%s is off for the whole server: Postgres vacuums only to prevent transaction id wraparound.', s.name),
    format('alter system set %s = on; select pg_reload_conf()', s.name), jsonb_build_object('setting', s.name)
  from pg_settings s where s.name in ('autovacuum', 'track_counts') and s.setting = 'off'
  union all
  select 'autovacuum', 'ok', 'Autovacuum is on for every table of the job system.', null, null
  where not exists (select from tables t where t.disabled)
    and not exists (select from pg_settings s where s.name in ('autovacuum', 'track_counts') and s.setting = 'off')
  union all
  select 'index_bloat', 'warning', format('Index %s takes %s. An estimated %s would be enough.', b.name, pg_size_pretty(b.bytes), pg_size_pretty(b.expected)),
    format('reindex index concurrently %s, once no old transaction is open (see the ''transactions'' check). Jobs keep running meanwhile.', b.name),
    jsonb_build_object('index', b.name, 'bytes', b.bytes, 'expected', b.expected)
  from bloated b
  union all
  select 'index_bloat', 'ok', format('The indexes of the job tables take %s, which is within the estimate.', pg_size_pretty(sum(x.bytes))), null, null
  from indexes x having not exists (select from bloated)
  union all
  select 'unlogged', 'critical', format('%s is unlogged: a server crash empties it, and replicas do not have it.', t.name), format('alter table %s set logged', t.name),
    jsonb_build_object('table', t.name)
  from tables t where t.relpersistence = 'u' and t.name <> 'legwork_private.awaited_jobs'::regclass
  union all
  select 'unlogged', 'ok', 'Every table of the job system survives a server crash.', null, null
  where not exists (select from tables t where t.relpersistence = 'u' and t.name <> 'legwork_private.awaited_jobs'::regclass)
$$;
comment on function legwork.doctor_vacuum(bigint, bigint) is
  'Findings of legwork.doctor about storage: tables that have at least dead_rows dead rows (50,000) and are not vacuumed, critical at twenty times as many; tables without '
  'autovacuum; indexes of at least bloat_bytes (100 MB) that are much larger than necessary; and unlogged tables, except the one that is unlogged on purpose.';

create or replace function legwork.doctor_server(
  connections_used double precision default 0.8, notify_used double precision default 0.1, slot_bytes bigint default 10::bigint * 1024 * 1024 * 1024,
  transaction_age bigint default 1000000000
) returns table ("check" text, severity text, finding text, fix text, detail jsonb)
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
    from pg_sequences q where q.schemaname in ('graphile_worker', 'legwork', 'legwork_private')
  ), wraps as materialized (
    select age(d.datfrozenxid) as age from pg_database d where d.datname = current_database()
  ), bad as materialized (
    -- The settings of this connection. Legwork's own connections have them too if they connect as the same user.
    select s.name, s.setting, p.severity, p.why
    from pg_settings s
    join (values
      ('fsync', 'critical', '{on}'::text[], 'a crash of the machine can destroy the whole database'),
      ('full_page_writes', 'critical', '{on}', 'a crash of the machine can destroy pages'),
      ('synchronous_commit', 'warning', '{on,remote_write,remote_apply,local}', 'committed jobs can be lost in a crash'),
      ('session_replication_role', 'critical', '{origin,local}', 'triggers do not fire and nothing is recorded'),
      ('default_transaction_read_only', 'critical', '{off}', 'no job can be enqueued or run'),
      ('default_transaction_isolation', 'warning', '{"read committed"}', 'workers run into serialization failures')
    ) as p (name, severity, fine, why) on p.name = s.name
    where s.setting <> all (p.fine)
    union all
    select s.name, s.setting || ' ms', 'warning', 'Postgres ends every statement or transaction that takes longer than this, including a worker''s fetches from a busy table and the statements of tasks'
    from pg_settings s
    -- The last setting was added in Postgres 17. Ten seconds are long for a worker's own statements and short for a task's.
    where s.name in ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout') and s.setting::integer between 1 and 9999
    union all
    select 'hot standby', 'on', 'critical', 'this server is a read-only replica' where pg_is_in_recovery()
  )
  select 'connections', case when c.used >= c.allowed * greatest(connections_used, 0.95) then 'critical' when c.used >= c.allowed * connections_used then 'warning' else 'ok' end,
    format('%s of the %s connections to %s are in use.', c.used, c.allowed, c.whose),
    'See which applications hold them: select application_name, state, count(*) from pg_stat_activity group by 1, 2 order by 3 desc. A worker uses about 10 connections more than its concurrency. '
      'Lower LEGWORK_CONCURRENCY, end idle sessions or raise the limit.',
    jsonb_build_object('used', c.used, 'allowed', c.allowed)
  from connections c
  union all
  -- When this queue is full, every commit that sends a notification fails: no job can be enqueued.
  select 'notify_queue', case when n.used >= greatest(notify_used, 0.5) then 'critical' when n.used >= notify_used then 'warning' else 'ok' end,
    format('The notification queue is %s%% full.', round(100 * n.used::numeric, 2)),
    'A listening session has an open transaction, so later notifications cannot be discarded. Find it with the ''transactions'' check (in every database of the server) and end it.',
    jsonb_build_object('used', n.used)
  from (select pg_notification_queue_usage() as used) n
  union all
  select 'replication_slots', case when s.wal_status in ('unreserved', 'lost') then 'critical' else 'warning' end,
    format('Replication slot ''%s'' is %s and keeps %s of WAL (%s)%s.', s.slot_name, case when s.active then 'active' else 'inactive' end, pg_size_pretty(s.bytes),
      s.wal_status, case when s.xmin is not null then '. It also holds back vacuum' else '' end),
    format('Restart its replica, or drop the slot before the disk is full: select pg_drop_replication_slot(%L)', s.slot_name),
    jsonb_build_object('slot', s.slot_name, 'bytes', s.bytes, 'wal_status', s.wal_status, 'xmin_age', age(s.xmin))
  from slots s
  union all
  select 'replication_slots', 'ok', 'No replication slot keeps too much WAL or holds back vacuum.', null, null where not exists (select from slots)
  union all
  -- Postgres refuses writes at two billion, and vacuums automatically from autovacuum_freeze_max_age (200 million) on.
  select 'transaction_ids', case when w.age >= greatest(transaction_age, 1600000000) then 'critical' when w.age >= transaction_age then 'warning' else 'ok' end,
    format('The oldest transaction id in this database is %s old. At two billion, Postgres refuses all writes.', legwork_private.counted(w.age, 'transaction')),
    'Find what holds back vacuum (see the ''transactions'', ''prepared_transactions'' and ''replication_slots'' checks), then vacuum (freeze) the oldest tables.',
    jsonb_build_object('age', w.age)
  from wraps w
  union all
  -- graphile-worker's ids of tasks and serial keys are integers, and every new serial key takes one. The others are bigints, which only a setval can
  -- exhaust.
  select 'ids', case when i.used >= 0.9 then 'critical' else 'warning' end,
    format('%s%% of the ids of %s are used up. After the last one, jobs that need a new id cannot be enqueued.', round(100 * i.used::numeric, 1), i.name),
    case
      when i.name = 'graphile_worker.job_queues_id_seq' then format('Use fewer different serial keys. Once no job has one, empty %s and restart its sequence.', legwork_private.job_queues_table())
      when i.name = 'graphile_worker.tasks_id_seq' then
        format('Each time a known task was registered again, an id was used up. Free ids are below the smallest id in %s: alter sequence graphile_worker.tasks_id_seq restart.',
          legwork_private.tasks_table())
      else format('Restart it in a range that its table does not use: alter sequence %s restart.', i.name)
    end, jsonb_build_object('sequence', i.name, 'last', i.last_value)
  from ids i where i.used >= 0.5
  union all
  select 'ids', 'ok', 'There are enough ids for jobs, serial keys and tasks.', null, null where not exists (select from ids i where i.used >= 0.5)
  union all
  select 'settings', b.severity, format('%s is %s: %s.', b.name, b.setting, b.why),
    case b.name when 'hot standby' then 'Set DATABASE_URL to the primary.'
      else format('Find where it is set: select source, sourcefile from pg_settings where name = %L; then change it: alter role … reset %s, or alter system and pg_reload_conf().', b.name, b.name) end,
    jsonb_build_object('setting', b.name, 'value', b.setting)
  from bad b
  union all
  select 'settings', 'ok', 'No setting of the server or of this user is harmful.', null, null where not exists (select from bad)
$$;
comment on function legwork.doctor_server(double precision, double precision, bigint, bigint) is
  'Findings of legwork.doctor about the server: how many connections (warning at connections_used, 0.8), how much of the notification queue (notify_used, 0.1), how many transaction ids '
  '(transaction_age, one billion) and how many sequence numbers are used; inactive replication slots that keep slot_bytes (10 GB) of WAL or hold back vacuum; and harmful settings.';

create or replace function legwork.doctor_versions()
returns table ("check" text, severity text, finding text, fix text, detail jsonb)
language sql volatile as $$
  -- Only a client knows which versions it supports: the command line compares them with this finding.
  select 'versions', 'ok', format('The schema graphile_worker is at migration %s, and legwork at migration %s of version %s.', i.graphile_worker, i.migrations -> -1 ->> 'name', i.version), null, to_jsonb(i)
  from legwork_private.installed_schema() i
  union all
  select 'definitions', case when d.objects = '{}' then 'ok' else 'warning' end,
    case when d.objects = '{}' then 'Functions, views, triggers, policies and indexes are as Legwork created them.'
      else format('Changed manually since Legwork created them: %s%s.', array_to_string(d.objects[:3], ', '),
        case when cardinality(d.objects) > 3 then format(' and %s more', cardinality(d.objects) - 3) else '' end) end,
    'legwork migrate restores everything except indexes. Drop a changed index and recreate it as legwork doctor --json shows.', to_jsonb(d.objects)
  from (select array(select legwork_private.changed_definitions()) as objects) d
$$;
comment on function legwork.doctor_versions() is 'Findings of legwork.doctor about the schema: its version, and what was changed manually since Legwork created it.';

create or replace function legwork.doctor_confined_logins()
returns table ("check" text, severity text, finding text, fix text, detail jsonb)
language sql volatile as $$
  with found as (
    select c.login, c.tenant, r.rolname is not null as is_there, u.reason, u.fix
    from legwork_private.confined_logins c
    left join pg_roles r on r.rolname = c.login
    left join lateral legwork_private.unconfinable(c.login) u on r.rolname is not null
    where r.rolname is null or u.reason is not null
  )
  select 'confined_logins', case when f.is_there then 'critical' else 'warning' end,
    case when f.is_there then format('The login %s is no longer confined to the tenant %s: it %s.', f.login, f.tenant, f.reason)
      else format('The login %s, which is confined to the tenant %s, does not exist. If it was renamed, it is no longer confined.', f.login, f.tenant) end,
    coalesce(f.fix, format('Confine it under its new name, and free the old name: select legwork.confine_login(%L, null);', f.login)), to_jsonb(f)
  from (select * from found order by login limit 20) f
  union all
  select 'confined_logins', 'ok', 'Every confined login is restricted to its tenant.', null, null where not exists (select from found)
$$;
comment on function legwork.doctor_confined_logins() is 'Findings of legwork.doctor about confined logins that have since been renamed, or granted privileges that confinement does not restrict.';
