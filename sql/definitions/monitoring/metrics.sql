-- Metrics: how many jobs ended and failed, and how long they took, rolled up per minute and task from the history without ever scanning it.
--
-- Ending a job costs nothing extra. Every few seconds one of the workers counts the rows that the history has gained since the last
-- time (legwork_private.roll_up), by their position: history is appended, so new rows are in the last blocks of its partitions, and scanning
-- a range of blocks needs no index.
--
-- Why each row is counted exactly once: for each range of blocks, a segment records which transactions have been counted in it: all those
-- below its horizon, and those in its list. Reading a segment counts the rows that are visible to the snapshot and whose transaction (xmin)
-- is in neither. Then the horizon becomes the oldest transaction that was running at that moment (all transactions below it had ended, so
-- their rows were visible), and the list becomes the transactions above it that were seen. All rows of a transaction become visible at once,
-- a subtransaction's with its parent's, so a transaction that has been seen is complete. Nothing depends on clocks or on the order of commits.
-- Why a row of a transaction that commits late is not missed: a segment that the end of its table has left behind is read once more after
-- every transaction that had begun by then has ended, because only those can have written there. Until then the segment stays open, and an
-- open transaction delays only its own rows and other late ones.
-- How rows get into old blocks: small rows fit where larger ones have left room, and any row where vacuum has made room. Postgres counts the
-- rows inserted into each table. While that number exceeds the rows found, the segments left behind are read again, the newest each time and
-- the others a few at a time. Such a row may be counted a few minutes late, but is not lost.
-- What is not counted: the failure of a job that is retried within the few seconds before it would be counted.
-- Locks: none that another session waits for.

create or replace function legwork_private.histogram_bounds() returns double precision[]
language sql immutable parallel safe
return array[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600]::double precision[];
comment on function legwork_private.histogram_bounds() is
  'The upper bounds (seconds) of the buckets for waiting and running times. The last bucket has no upper bound.';

create or replace function legwork_private.add_counts(a bigint[], b bigint[]) returns bigint[]
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  -- Adds in place, which is ten times faster than unnesting both arrays.
  if a is null or b is null then
    return coalesce(a, b);
  end if;
  for i in 1..cardinality(b) loop
    a[i] := coalesce(a[i], 0) + coalesce(b[i], 0);
  end loop;
  return a;
end $$;
comment on function legwork_private.add_counts(bigint[], bigint[]) is 'The element-wise sum of two arrays.';

create or replace aggregate legwork_private.sum_counts(bigint[]) (sfunc = legwork_private.add_counts, stype = bigint[], parallel = safe);
comment on aggregate legwork_private.sum_counts(bigint[]) is 'The element-wise sum of arrays; null if no array is given.';

create or replace function legwork_private.count_bucket(counts bigint[], bucket integer, number bigint) returns bigint[]
language plpgsql immutable parallel safe as $$
begin
  if bucket is not null then
    counts[bucket + 1] := counts[bucket + 1] + number;
  end if;
  return counts;
end $$;
comment on function legwork_private.count_bucket(bigint[], integer, bigint) is 'Adds number to a bucket, counted from 0; changes nothing for a null bucket.';

create or replace aggregate legwork_private.histogram(integer, bigint) (
  sfunc = legwork_private.count_bucket, stype = bigint[], initcond = '{0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0}', parallel = safe
);
comment on aggregate legwork_private.histogram(integer, bigint) is 'The counts for each bucket of legwork_private.histogram_bounds(), including the one above the last bound.';

create or replace function legwork_private.quantile(q double precision, counts double precision[]) returns double precision
language sql immutable parallel safe
return (
  -- Interpolates linearly within the bucket, like Prometheus. For the last bucket only the lower bound is known.
  select case when c.n > cardinality(legwork_private.histogram_bounds()) then c.low else c.low + (c.high - c.low) * (c.wanted - c.before) / c.here end
  from (
    select x.n, x.here, x.total - x.here as before, x.total, q * sum(x.here) over () as wanted,
      coalesce((legwork_private.histogram_bounds())[x.n - 1], 0) as low, (legwork_private.histogram_bounds())[x.n] as high
    from (select b.n, b.here, sum(b.here) over (order by b.n) as total from unnest(counts) with ordinality as b (here, n)) x
  ) c
  where c.here > 0 and c.total >= c.wanted
  order by c.n limit 1
);
comment on function legwork_private.quantile(double precision, double precision[]) is
  'The estimated quantile q (seconds) of the values counted in the buckets of legwork_private.histogram_bounds(). Null if no value is given.';
comment on table legwork_private.task_minutes is 'How each task''s jobs and attempts ended, by minute. Kept for as long as the setting metrics_minutes says.';
comment on column legwork_private.task_minutes.minute is 'The beginning of the minute.';
comment on column legwork_private.task_minutes.task is 'The task.';
comment on column legwork_private.task_minutes.completed is 'Jobs that completed.';
comment on column legwork_private.task_minutes.failed is 'Jobs that failed permanently.';
comment on column legwork_private.task_minutes.cancelled is 'Jobs that were cancelled.';
comment on column legwork_private.task_minutes.expired is 'Jobs that expired.';
comment on column legwork_private.task_minutes.failed_attempts is 'Attempts that failed, including last attempts.';
comment on column legwork_private.task_minutes.retried is 'Attempts that failed and are retried.';
comment on column legwork_private.task_minutes.wait_seconds is 'The total waiting time of the jobs in waits.';
comment on column legwork_private.task_minutes.run_seconds is 'The total running time of the attempts in runs.';
comment on column legwork_private.task_minutes.waits is 'How long jobs that completed or failed had been due before their last attempt started: counts by the buckets of legwork_private.histogram_bounds().';
comment on column legwork_private.task_minutes.runs is 'How long attempts ran, including failed ones: counts by the buckets of legwork_private.histogram_bounds().';
select legwork_private.copy_comments('legwork_private.task_minutes', 'legwork_private.task_hours');
comment on table legwork_private.task_hours is 'The counts of legwork_private.task_minutes by hour. Kept for as long as the setting metrics_hours says.';
comment on column legwork_private.task_hours.hour is 'The beginning of the hour.';
comment on table legwork_private.task_totals is 'The counts of legwork_private.task_minutes since counting began. They only grow.';
comment on column legwork_private.task_totals.task is 'The task.';
comment on column legwork_private.task_totals.first_seen is 'When the task was first counted.';
comment on column legwork_private.task_totals.completed is 'Jobs that completed.';
comment on column legwork_private.task_totals.failed is 'Jobs that failed permanently.';
comment on column legwork_private.task_totals.cancelled is 'Jobs that were cancelled.';
comment on column legwork_private.task_totals.expired is 'Jobs that expired.';
comment on column legwork_private.task_totals.failed_attempts is 'Attempts that failed, including last attempts.';
comment on column legwork_private.task_totals.retried is 'Attempts that failed and are retried.';
comment on column legwork_private.task_totals.wait_seconds is 'The total waiting time of the jobs in waits.';
comment on column legwork_private.task_totals.run_seconds is 'The total running time of the attempts in runs.';
comment on column legwork_private.task_totals.waits is 'Like waits in legwork_private.task_minutes.';
comment on column legwork_private.task_totals.runs is 'Like runs in legwork_private.task_minutes.';
comment on column legwork_private.task_totals.last_completed_at is 'When a job of the task last completed; null if none has.';
comment on column legwork_private.task_totals.last_failed_at is 'When an attempt of the task last failed; null if none has.';
comment on table legwork_private.rollup_relations is 'The partitions of the history that have been counted. Written by legwork_private.roll_up.';
comment on column legwork_private.rollup_relations.relation is 'The partition.';
comment on column legwork_private.rollup_relations.filenode is 'Its file. A different file means that it was truncated or rewritten.';
comment on column legwork_private.rollup_relations.rows_counted is 'The number of rows counted in it.';
comment on column legwork_private.rollup_relations.inserted is 'The number of rows inserted into it, according to Postgres''s statistics at the last roll-up.';
comment on column legwork_private.rollup_relations.tolerated is 'How many more rows the statistics may report than rows_counted. These rows presumably belong to transactions that were rolled back.';
comment on column legwork_private.rollup_relations.swept_to is 'The block down to which segments have been read again in this round; null while no row is missing.';
comment on table legwork_private.rollup_segments is 'Ranges of blocks of those partitions, with the transactions whose rows have been counted in them. Written by legwork_private.roll_up.';
comment on column legwork_private.rollup_segments.relation is 'The partition.';
comment on column legwork_private.rollup_segments.from_block is 'The first block.';
comment on column legwork_private.rollup_segments.to_block is 'The block after the last one that was read.';
comment on column legwork_private.rollup_segments.horizon is 'All transactions before this one have been counted; null before the first time.';
comment on column legwork_private.rollup_segments.counted is 'The later transactions that have been counted.';
comment on column legwork_private.rollup_segments.full_at is 'The next transaction id at the moment when the end of the table left the segment behind; null before that.';
comment on column legwork_private.rollup_segments.is_closed is 'Whether every transaction that could have appended to it has ended and been counted.';
comment on type legwork_private.counted_rows is 'A group of similar rows of the history, as counted by legwork_private.roll_up.';

create or replace function legwork_private.add_metrics(rows legwork_private.counted_rows[]) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp set timezone = 'UTC' set jit = off as $$
begin
  with minutes as materialized (
    select r.minute, r.task,
      coalesce(sum(r.number) filter (where r.outcome = 'completed'), 0) as completed, coalesce(sum(r.number) filter (where r.outcome = 'failed'), 0) as failed,
      coalesce(sum(r.number) filter (where r.outcome = 'cancelled'), 0) as cancelled, coalesce(sum(r.number) filter (where r.outcome = 'expired'), 0) as expired,
      coalesce(sum(r.number) filter (where r.outcome in ('gave_up', 'retried')), 0) as failed_attempts,
      coalesce(sum(r.number) filter (where r.outcome = 'retried'), 0) as retried,
      coalesce(sum(r.waited), 0) as wait_seconds, coalesce(sum(r.ran), 0) as run_seconds,
      legwork_private.histogram(r.wait_bucket, r.number) as waits, legwork_private.histogram(r.run_bucket, r.number) as runs,
      max(r.last_at) filter (where r.outcome = 'completed') as last_completed_at, max(r.last_at) filter (where r.outcome in ('gave_up', 'retried')) as last_failed_at
    from unnest(rows) r
    group by r.minute, r.task
  ), wider as materialized (
    -- By hour, and in total.
    select x.span, x.at, m.task, sum(m.completed) as completed, sum(m.failed) as failed, sum(m.cancelled) as cancelled, sum(m.expired) as expired,
      sum(m.failed_attempts) as failed_attempts, sum(m.retried) as retried, sum(m.wait_seconds) as wait_seconds, sum(m.run_seconds) as run_seconds,
      legwork_private.sum_counts(m.waits) as waits, legwork_private.sum_counts(m.runs) as runs, max(m.last_completed_at) as last_completed_at, max(m.last_failed_at) as last_failed_at
    from minutes m
    cross join lateral (values ('hour', date_trunc('hour', m.minute)), ('ever', null)) as x (span, at)
    group by x.span, x.at, m.task
  ), by_minute as (
    insert into legwork_private.task_minutes as o (minute, task, completed, failed, cancelled, expired, failed_attempts, retried, wait_seconds, run_seconds, waits, runs)
    select m.minute, m.task, m.completed, m.failed, m.cancelled, m.expired, m.failed_attempts, m.retried, m.wait_seconds, m.run_seconds, m.waits, m.runs
    from minutes m
    on conflict (minute, task) do update set
      completed = o.completed + excluded.completed, failed = o.failed + excluded.failed, cancelled = o.cancelled + excluded.cancelled,
      expired = o.expired + excluded.expired, failed_attempts = o.failed_attempts + excluded.failed_attempts, retried = o.retried + excluded.retried,
      wait_seconds = o.wait_seconds + excluded.wait_seconds, run_seconds = o.run_seconds + excluded.run_seconds,
      waits = legwork_private.add_counts(o.waits, excluded.waits), runs = legwork_private.add_counts(o.runs, excluded.runs)
  ), by_hour as (
    insert into legwork_private.task_hours as o (hour, task, completed, failed, cancelled, expired, failed_attempts, retried, wait_seconds, run_seconds, waits, runs)
    select m.at, m.task, m.completed, m.failed, m.cancelled, m.expired, m.failed_attempts, m.retried, m.wait_seconds, m.run_seconds, m.waits, m.runs
    from wider m where m.span = 'hour'
    on conflict (hour, task) do update set
      completed = o.completed + excluded.completed, failed = o.failed + excluded.failed, cancelled = o.cancelled + excluded.cancelled,
      expired = o.expired + excluded.expired, failed_attempts = o.failed_attempts + excluded.failed_attempts, retried = o.retried + excluded.retried,
      wait_seconds = o.wait_seconds + excluded.wait_seconds, run_seconds = o.run_seconds + excluded.run_seconds,
      waits = legwork_private.add_counts(o.waits, excluded.waits), runs = legwork_private.add_counts(o.runs, excluded.runs)
  )
  insert into legwork_private.task_totals as o (
    task, completed, failed, cancelled, expired, failed_attempts, retried, wait_seconds, run_seconds, waits, runs, last_completed_at, last_failed_at)
  select m.task, m.completed, m.failed, m.cancelled, m.expired, m.failed_attempts, m.retried, m.wait_seconds, m.run_seconds, m.waits, m.runs,
    m.last_completed_at, m.last_failed_at
  from wider m where m.span = 'ever'
  on conflict (task) do update set
    completed = o.completed + excluded.completed, failed = o.failed + excluded.failed, cancelled = o.cancelled + excluded.cancelled,
    expired = o.expired + excluded.expired, failed_attempts = o.failed_attempts + excluded.failed_attempts, retried = o.retried + excluded.retried,
    wait_seconds = o.wait_seconds + excluded.wait_seconds, run_seconds = o.run_seconds + excluded.run_seconds,
    waits = legwork_private.add_counts(o.waits, excluded.waits), runs = legwork_private.add_counts(o.runs, excluded.runs),
    last_completed_at = greatest(o.last_completed_at, excluded.last_completed_at), last_failed_at = greatest(o.last_failed_at, excluded.last_failed_at);
end $$;
comment on function legwork_private.add_metrics(legwork_private.counted_rows[]) is 'Adds counted rows to the minutes, the hours and the totals.';
revoke execute on function legwork_private.add_metrics(legwork_private.counted_rows[]) from public;

create or replace function legwork_private.count_rows(
  relation regclass, of_attempts boolean, from_block bigint, seen_to bigint, to_block bigint, inout horizon text, inout counted text[],
  out number bigint, out next_xid text
)
language plpgsql volatile set search_path = pg_catalog, pg_temp set timezone = 'UTC' set jit = off as $$
declare
  v_known text[] := counted;
  v_rows legwork_private.counted_rows[];
begin
  execute format($q$
    with snap as materialized (
      select pg_current_snapshot() as taken
    ), grouped as materialized (
      select f.x, f.task, f.outcome, f.minute, width_bucket(f.waited, $3) as wait_bucket, width_bucket(f.ran, $3) as run_bucket,
        count(*) as number, sum(f.waited) as waited, sum(f.ran) as ran, max(f.at) as last_at
      from (
        select r.xmin as x, %2$s
        from only %1$s r
        where r.ctid >= %3$L::tid and r.ctid < %5$L::tid
          -- All rows in blocks that have not been read, and in the other blocks the rows of transactions that have not been counted.
          and (r.ctid >= %4$L::tid or $1 is null or (age(r.xmin) <= age($1::xid8::xid) and r.xmin <> all ($2::xid[])))
      ) f
      group by 1, 2, 3, 4, 5, 6
    )
    select array(select row(g.task, g.outcome, g.minute, g.wait_bucket, g.run_bucket, g.number, g.waited, g.ran, g.last_at)::legwork_private.counted_rows from grouped g),
      coalesce((select sum(g.number) from grouped g), 0), pg_snapshot_xmin(s.taken), pg_snapshot_xmax(s.taken),
      array(select g.x::text from grouped g where age(g.x) <= age(pg_snapshot_xmin(s.taken)::xid) group by g.x)
      || array(select k from unnest($2) as k where age(k::xid) <= age(pg_snapshot_xmin(s.taken)::xid))
    from snap s $q$,
    relation,
    case when of_attempts then
      $q$ r.task, case when r.error_name = 'JobCancelled' then 'stopped' when r.retry_at is null then 'gave_up' else 'retried' end as outcome,
        date_trunc('minute', r.failed_at) as minute, null::double precision as waited,
        case when r.started_at is not null then greatest(0, date_part('epoch', r.failed_at - r.started_at)) end as ran, r.failed_at as at $q$
    else
      $q$ r.task, r.state::text as outcome, date_trunc('minute', r.finished_at) as minute,
        case when r.started_at is not null and isfinite(r.run_at) and r.state in ('completed', 'failed')
          then greatest(0, date_part('epoch', legwork_private.elapsed(r.run_at, r.started_at))) end as waited,
        case when r.state = 'completed' and r.worker is not null and r.started_at is not null
          then greatest(0, date_part('epoch', r.finished_at - r.started_at)) end as ran, r.finished_at as at $q$
    end,
    format('(%s,0)', from_block), format('(%s,0)', seen_to), format('(%s,0)', to_block))
  into v_rows, number, horizon, next_xid, counted
  using horizon, v_known, legwork_private.histogram_bounds();
  if number > 0 then
    perform legwork_private.add_metrics(v_rows);
  end if;
end $$;
comment on function legwork_private.count_rows(regclass, boolean, bigint, bigint, bigint, text, text[]) is
  'Adds the rows in these blocks of a partition to the metrics: all rows from seen_to on, and before it the rows of transactions that are neither before the '
  'horizon nor in counted. Returns the new horizon and list, the number of rows, and the next transaction id. The caller must hold the lock of legwork_private.roll_up.';
revoke execute on function legwork_private.count_rows(regclass, boolean, bigint, bigint, bigint, text, text[]) from public;

create or replace function legwork_private.roll_up_relation(relation regclass, of_attempts boolean, deadline timestamptz) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  -- The end of the table, where rows are still added. Postgres adds at most 512 blocks at once.
  c_margin constant bigint := 512;
  -- The longest range that one statement reads (8 MB, some 25,000 rows).
  c_step constant bigint := 1024;
  v_blocks bigint := pg_relation_size(relation) / current_setting('block_size')::bigint;
  v_file oid := pg_relation_filenode(relation);
  v_inserted bigint := pg_stat_get_tuples_inserted(relation);
  v_known legwork_private.rollup_relations;
  v_segment legwork_private.rollup_segments;
  v_look record;
  v_to bigint;
  v_number bigint := 0;
begin
  insert into legwork_private.rollup_relations (relation, filenode) values (relation, v_file) on conflict do nothing;
  select * into v_known from legwork_private.rollup_relations r where r.relation = roll_up_relation.relation;
  if v_known.filenode is distinct from v_file then
    -- Truncated, or rewritten under an exclusive lock; its rows keep their transactions.
    select * into v_segment from legwork_private.rollup_segments s where s.relation = roll_up_relation.relation order by s.from_block desc limit 1;
    delete from legwork_private.rollup_segments s where s.relation = roll_up_relation.relation;
    if v_segment.relation is not null then
      insert into legwork_private.rollup_segments (relation, from_block, to_block, horizon, counted)
      values (relation, 0, v_blocks, v_segment.horizon, v_segment.counted);
    end if;
    update legwork_private.rollup_relations r set filenode = v_file, rows_counted = 0, tolerated = v_inserted, swept_to = null
    where r.relation = roll_up_relation.relation returning * into v_known;
  end if;

  -- Segments that the end of the table has left behind, once every transaction that could have written there has ended.
  for v_segment in
    select * from legwork_private.rollup_segments s
    where s.relation = roll_up_relation.relation and not s.is_closed and s.full_at::xid8 <= pg_snapshot_xmin(pg_current_snapshot())
    order by s.from_block
  loop
    exit when clock_timestamp() > deadline;
    v_look := legwork_private.count_rows(relation, of_attempts, v_segment.from_block, v_segment.to_block, v_segment.to_block, v_segment.horizon, v_segment.counted);
    update legwork_private.rollup_segments s set horizon = v_look.horizon, counted = v_look.counted, is_closed = true
    where s.relation = roll_up_relation.relation and s.from_block = v_segment.from_block;
    v_number := v_number + v_look.number;
  end loop;

  loop
    select * into v_segment from legwork_private.rollup_segments s where s.relation = roll_up_relation.relation order by s.from_block desc limit 1;
    if not found then
      exit when v_blocks = 0;
      insert into legwork_private.rollup_segments (relation, from_block, to_block) values (relation, 0, 0) returning * into v_segment;
    end if;
    v_to := greatest(least(v_blocks, v_segment.to_block + c_step), v_segment.to_block);
    v_look := legwork_private.count_rows(relation, of_attempts, v_segment.from_block, v_segment.to_block, v_to, v_segment.horizon, v_segment.counted);
    v_number := v_number + v_look.number;
    if v_to - v_segment.from_block >= c_margin + c_step then
      update legwork_private.rollup_segments s set to_block = v_to - c_margin, horizon = v_look.horizon, counted = v_look.counted, full_at = v_look.next_xid
      where s.relation = roll_up_relation.relation and s.from_block = v_segment.from_block;
      insert into legwork_private.rollup_segments (relation, from_block, to_block, horizon, counted)
      values (relation, v_to - c_margin, v_to, v_look.horizon, v_look.counted);
    else
      update legwork_private.rollup_segments s set to_block = v_to, horizon = v_look.horizon, counted = v_look.counted
      where s.relation = roll_up_relation.relation and s.from_block = v_segment.from_block;
    end if;
    exit when v_to >= v_blocks or clock_timestamp() > deadline;
  end loop;

  if v_inserted < v_known.inserted then
    -- The statistics were reset.
    v_known.tolerated := v_inserted - v_known.rows_counted - v_number;
  end if;
  -- The statistics cover only transactions that have ended, so an open one does not count as missing rows.
  if coalesce(v_to, 0) >= v_blocks and v_inserted - v_known.rows_counted - v_number > v_known.tolerated then
    -- Rows are missing: they are in old blocks, or were never committed. The newest segments have the most room, so they are read each
    -- time; the others take turns.
    for v_segment in
      (select * from legwork_private.rollup_segments s where s.relation = roll_up_relation.relation and s.full_at is not null order by s.from_block desc limit 2)
      union all
      (select * from (
        select * from legwork_private.rollup_segments s where s.relation = roll_up_relation.relation and s.full_at is not null order by s.from_block desc offset 2
      ) o where v_known.swept_to is null or o.from_block < v_known.swept_to limit 6)
    loop
      exit when clock_timestamp() > deadline;
      v_look := legwork_private.count_rows(relation, of_attempts, v_segment.from_block, v_segment.to_block, v_segment.to_block, v_segment.horizon, v_segment.counted);
      update legwork_private.rollup_segments s set horizon = v_look.horizon, counted = v_look.counted
      where s.relation = roll_up_relation.relation and s.from_block = v_segment.from_block;
      v_number := v_number + v_look.number;
      v_known.swept_to := v_segment.from_block;
    end loop;
    if v_known.swept_to is null or not exists (
      select from legwork_private.rollup_segments s where s.relation = roll_up_relation.relation and s.full_at is not null and s.from_block < v_known.swept_to)
    then
      v_known.tolerated := v_inserted - v_known.rows_counted - v_number;
      v_known.swept_to := null;
    end if;
  else
    v_known.swept_to := null;
  end if;
  update legwork_private.rollup_relations r set rows_counted = v_known.rows_counted + v_number, inserted = v_inserted, tolerated = v_known.tolerated, swept_to = v_known.swept_to
  where r.relation = roll_up_relation.relation
    and (v_number > 0 or (r.inserted, r.tolerated, r.swept_to) is distinct from (v_inserted, v_known.tolerated, v_known.swept_to));
  return v_number;
end $$;
comment on function legwork_private.roll_up_relation(regclass, boolean, timestamptz) is
  'Counts the new rows of one partition for legwork_private.roll_up. Returns their number.';
revoke execute on function legwork_private.roll_up_relation(regclass, boolean, timestamptz) from public;

create or replace function legwork_private.roll_up(budget interval default '1 second') returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_deadline timestamptz := clock_timestamp() + budget;
  v_partition record;
  v_number bigint := 0;
begin
  -- Only one session at a time, because segments are read before their blocks. Every statement after this one has its own snapshot.
  if not pg_try_advisory_xact_lock(hashtext('legwork_private.roll_up')) then
    return null;
  end if;
  delete from legwork_private.rollup_relations r where not exists (select from pg_class c where c.oid = r.relation);
  for v_partition in
    select c.oid::regclass as name, i.inhparent = 'legwork_private.failed_attempts'::regclass as of_attempts
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    left join legwork_private.history_partitions() h on h.partition = c.oid
    left join legwork_private.rollup_relations r on r.relation = c.oid
    where i.inhparent in ('legwork_private.finished_jobs'::regclass, 'legwork_private.failed_attempts'::regclass)
      and (
        (now() >= h.lower_bound - interval '1 hour' and now() < h.upper_bound + interval '1 hour') or h.partition is null
        -- Other partitions are seldom written to. The statistics report rows after their commit, so they will report those still missing.
        or r.relation is null or r.filenode is distinct from pg_relation_filenode(c.oid) or r.inserted <> pg_stat_get_tuples_inserted(c.oid)
        or r.swept_to is not null
        or exists (select from legwork_private.rollup_segments s where s.relation = c.oid and not s.is_closed and (s.full_at is not null or s.counted <> '{}'))
      )
    order by h.upper_bound desc nulls last
  loop
    v_number := v_number + legwork_private.roll_up_relation(v_partition.name, v_partition.of_attempts, v_deadline);
    exit when clock_timestamp() > v_deadline;
  end loop;
  return v_number;
end $$;
comment on function legwork_private.roll_up(interval) is
  'Counts the rows that the history has gained since the last call, for about budget at most (1 second); the next call counts the rest. A worker calls it every five seconds. '
  'Returns the number of rows counted; null while another session is counting. Needs a transaction at read committed.';
revoke execute on function legwork_private.roll_up(interval) from public;

-- When a partition is created while its rows are in the default partition, they are moved by deleting and inserting them. They are counted
-- in the default partition, while no other session can write there, and not again in the new one.
create or replace function legwork_private.roll_up_before_move(relation regclass) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  -- The session that rolls up may be waiting for the partition that our caller has locked. The caller's lock_timeout ends that.
  perform pg_advisory_xact_lock(hashtext('legwork_private.roll_up'));
  perform legwork_private.roll_up_relation(relation, relation = 'legwork_private.failed_attempts_default'::regclass, 'infinity');
end $$;
comment on function legwork_private.roll_up_before_move(regclass) is 'Counts the new rows of a default partition that the caller has locked exclusively, before its rows are moved.';
revoke execute on function legwork_private.roll_up_before_move(regclass) from public;

create or replace function legwork_private.skip_roll_up(relation regclass) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_counted text[];
begin
  execute format('select array(select r.xmin::text from only %s r group by r.xmin)', relation) into v_counted;
  insert into legwork_private.rollup_relations (relation, filenode) values (relation, pg_relation_filenode(relation));
  -- Transactions that are running now may write here once we have committed.
  insert into legwork_private.rollup_segments (relation, from_block, to_block, horizon, counted)
  values (relation, 0, pg_relation_size(relation) / current_setting('block_size')::bigint, pg_snapshot_xmin(pg_current_snapshot())::text, v_counted);
end $$;
comment on function legwork_private.skip_roll_up(regclass) is
  'Marks all rows of a partition as counted. The caller must see all of its rows.';
revoke execute on function legwork_private.skip_roll_up(regclass) from public;

create or replace function legwork_private.forget_metrics(at_most integer default 20000) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_count integer;
begin
  delete from legwork_private.task_minutes m
  where (m.minute, m.task) in (
    select o.minute, o.task from legwork_private.task_minutes o
    where o.minute < now() - legwork_private.interval_setting('metrics_minutes', '2 days') order by o.minute limit at_most);
  get diagnostics v_count = row_count;
  delete from legwork_private.task_hours h
  where (h.hour, h.task) in (
    select o.hour, o.task from legwork_private.task_hours o
    where o.hour < now() - legwork_private.interval_setting('metrics_hours', '400 days') order by o.hour limit at_most);
  perform legwork_private.forget_backlog(at_most);
  return v_count;
end $$;
comment on function legwork_private.forget_metrics(integer) is
  'Deletes minutes and hours older than the settings metrics_minutes and metrics_hours, up to at_most of each (20,000). Returns the number of minutes deleted. A worker calls it every ten minutes.';
revoke execute on function legwork_private.forget_metrics(integer) from public;
