-- Metrics: what ended, failed and took how long, rolled up per minute and task from the history, and never counted by a scan of it.
--
-- Nothing is done when a job ends. Every few seconds one of the workers counts the rows that the history has gained since the last
-- time (legwork_private.roll_up), from where they are: history is appended, so what is new lies in the last blocks of its partitions, and a
-- scan of a range of blocks needs no index.
--
-- Why a row is counted once, and once only: for each range of blocks a segment notes which transactions have been counted in it, all those below
-- its horizon and those in its list. A look at a segment counts the rows that are visible to its snapshot and whose transaction (xmin) is
-- neither; then the horizon becomes the oldest transaction that ran at that moment (everything below it had ended, so its rows
-- were visible), and the list those above it that were seen. All rows of a transaction become visible at once, a subtransaction's with
-- its parent's, so one that has been seen is done. Nothing depends on clocks, or on the order in which transactions commit.
-- Why a row of a transaction that commits late is not missed: a segment that the end of its table has left behind is looked at once more
-- when every transaction has ended that had begun when it was left behind; only those can have written there. Until then it stays open,
-- and an open transaction delays nothing but its own rows and those of other late ones.
-- What else may come into old blocks: small rows where larger ones have left room, and any where vacuum has found some. Postgres counts the
-- rows that each table was given; while that is more than were found, the segments left behind are looked at again, the newest at once and the
-- others some at a time. So such a row may be counted some minutes late, and is not lost.
-- What is not counted: a failed job that is revived in the seconds before it is counted has not failed.
-- Locks: none that anybody waits for.

create or replace function legwork_private.histogram_bounds() returns double precision[]
language sql immutable parallel safe
return array[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600]::double precision[];
comment on function legwork_private.histogram_bounds() is
  'The upper bounds (seconds) of the buckets in which waiting and running times are counted; the last bucket has none.';

create or replace function legwork_private.add_counts(a bigint[], b bigint[]) returns bigint[]
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  -- In place, which is ten times as fast as unnesting both.
  if a is null or b is null then
    return coalesce(a, b);
  end if;
  for i in 1..cardinality(b) loop
    a[i] := coalesce(a[i], 0) + coalesce(b[i], 0);
  end loop;
  return a;
end $$;
comment on function legwork_private.add_counts(bigint[], bigint[]) is 'The sum of two arrays, place by place.';

create or replace aggregate legwork_private.sum_counts(bigint[]) (sfunc = legwork_private.add_counts, stype = bigint[], parallel = safe);
comment on aggregate legwork_private.sum_counts(bigint[]) is 'The sum of arrays, place by place; null for none.';

create or replace function legwork_private.count_bucket(counts bigint[], bucket integer, number bigint) returns bigint[]
language plpgsql immutable parallel safe as $$
begin
  if bucket is not null then
    counts[bucket + 1] := counts[bucket + 1] + number;
  end if;
  return counts;
end $$;
comment on function legwork_private.count_bucket(bigint[], integer, bigint) is 'Counts so many more in a bucket, the first one being 0; nothing for null.';

create or replace aggregate legwork_private.histogram(integer, bigint) (
  sfunc = legwork_private.count_bucket, stype = bigint[], initcond = '{0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0}', parallel = safe
);
comment on aggregate legwork_private.histogram(integer, bigint) is 'How many there are in each bucket of legwork_private.histogram_bounds(), and behind the last one.';

create or replace function legwork_private.quantile(q double precision, counts double precision[]) returns double precision
language sql immutable parallel safe
return (
  -- Evenly within the bucket, as Prometheus does it; of the last bucket its lower bound is all that is known.
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
  'The value (seconds) below which a share q of what was counted in legwork_private.histogram_bounds() lies, by an estimate. Null when nothing was counted.';
comment on table legwork_private.task_minutes is 'What became of each task''s jobs, by the minute in which it happened; kept for the setting metrics_minutes.';
comment on column legwork_private.task_minutes.minute is 'The minute, by its beginning.';
comment on column legwork_private.task_minutes.task is 'The task.';
comment on column legwork_private.task_minutes.completed is 'Jobs that completed.';
comment on column legwork_private.task_minutes.failed is 'Jobs that failed for good.';
comment on column legwork_private.task_minutes.cancelled is 'Jobs that were cancelled.';
comment on column legwork_private.task_minutes.expired is 'Jobs that expired.';
comment on column legwork_private.task_minutes.failed_attempts is 'Attempts that failed, the last ones included.';
comment on column legwork_private.task_minutes.retried is 'Attempts that failed and are followed by another.';
comment on column legwork_private.task_minutes.wait_seconds is 'How long the jobs counted in waits had waited, together.';
comment on column legwork_private.task_minutes.run_seconds is 'How long the attempts counted in runs ran, together.';
comment on column legwork_private.task_minutes.waits is 'How long jobs that completed or failed had been due before their last attempt started: how many in each bucket of legwork_private.histogram_bounds().';
comment on column legwork_private.task_minutes.runs is 'How long attempts ran, those that failed included: how many in each bucket of legwork_private.histogram_bounds().';
select legwork_private.copy_comments('legwork_private.task_minutes', 'legwork_private.task_hours');
comment on table legwork_private.task_hours is 'The same by the hour; kept for the setting metrics_hours.';
comment on column legwork_private.task_hours.hour is 'The hour, by its beginning.';
comment on table legwork_private.task_totals is 'The same counts since Legwork began to count; they only grow.';
comment on column legwork_private.task_totals.task is 'The task.';
comment on column legwork_private.task_totals.first_seen is 'When it was counted first.';
comment on column legwork_private.task_totals.completed is 'Jobs that completed.';
comment on column legwork_private.task_totals.failed is 'Jobs that failed for good.';
comment on column legwork_private.task_totals.cancelled is 'Jobs that were cancelled.';
comment on column legwork_private.task_totals.expired is 'Jobs that expired.';
comment on column legwork_private.task_totals.failed_attempts is 'Attempts that failed, the last ones included.';
comment on column legwork_private.task_totals.retried is 'Attempts that failed and are followed by another.';
comment on column legwork_private.task_totals.wait_seconds is 'How long the jobs counted in waits had waited, together.';
comment on column legwork_private.task_totals.run_seconds is 'How long the attempts counted in runs ran, together.';
comment on column legwork_private.task_totals.waits is 'As in legwork_private.task_minutes.';
comment on column legwork_private.task_totals.runs is 'As in legwork_private.task_minutes.';
comment on column legwork_private.task_totals.last_completed_at is 'When a job of it last completed; null when none has.';
comment on column legwork_private.task_totals.last_failed_at is 'When an attempt of it last failed; null when none has.';
comment on table legwork_private.rollup_relations is 'The partitions of the history that have been counted. Written by legwork_private.roll_up.';
comment on column legwork_private.rollup_relations.relation is 'The partition.';
comment on column legwork_private.rollup_relations.filenode is 'Its file: another one means that it was truncated or rewritten.';
comment on column legwork_private.rollup_relations.rows_counted is 'Rows that were counted in it.';
comment on column legwork_private.rollup_relations.inserted is 'Rows that Postgres''s statistics said it had been given, at the last look.';
comment on column legwork_private.rollup_relations.tolerated is 'By how many the statistics may exceed what was counted: rows of transactions that were rolled back, as far as is known.';
comment on column legwork_private.rollup_relations.swept_to is 'Down to which block segments have been looked at again in this round; null while no row is missing.';
comment on table legwork_private.rollup_segments is 'Ranges of blocks of those partitions, with the transactions whose rows have been counted there. Written by legwork_private.roll_up.';
comment on column legwork_private.rollup_segments.relation is 'The partition.';
comment on column legwork_private.rollup_segments.from_block is 'The first block.';
comment on column legwork_private.rollup_segments.to_block is 'The block behind the last one that was looked at.';
comment on column legwork_private.rollup_segments.horizon is 'Transactions before this one have been counted; null before the first look.';
comment on column legwork_private.rollup_segments.counted is 'Later transactions that have been counted.';
comment on column legwork_private.rollup_segments.full_at is 'The next transaction at the moment when the table''s end had left the segment behind; null before.';
comment on column legwork_private.rollup_segments.is_closed is 'Whether every transaction that could have appended to it has ended and was counted.';
comment on type legwork_private.counted_rows is 'Rows of the history that are alike, as legwork_private.roll_up counts them.';

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
    -- By minute, by hour and for ever.
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
comment on function legwork_private.add_metrics(legwork_private.counted_rows[]) is 'Adds what was counted to the minutes, the hours and the totals.';
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
          -- Blocks that have not been looked at, and transactions that have not been counted in the others.
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
  'Adds the rows in these blocks of a partition to the metrics: all of those from seen_to on, and before it those of transactions that are neither before the '
  'horizon nor among the counted. Returns the new horizon and list, how many rows there were, and the next transaction. Its caller must hold the lock of legwork_private.roll_up.';
revoke execute on function legwork_private.count_rows(regclass, boolean, bigint, bigint, bigint, text, text[]) from public;

create or replace function legwork_private.roll_up_relation(relation regclass, of_attempts boolean, deadline timestamptz) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  -- The end of the table, where rows still come in. Postgres adds 512 blocks at once at most.
  c_margin constant bigint := 512;
  -- The longest range that is looked at in one statement (8 MB, some 25,000 rows).
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
    -- Truncated, or written anew by somebody who had it for himself; its rows keep their transactions.
    select * into v_segment from legwork_private.rollup_segments s where s.relation = roll_up_relation.relation order by s.from_block desc limit 1;
    delete from legwork_private.rollup_segments s where s.relation = roll_up_relation.relation;
    if v_segment.relation is not null then
      insert into legwork_private.rollup_segments (relation, from_block, to_block, horizon, counted)
      values (relation, 0, v_blocks, v_segment.horizon, v_segment.counted);
    end if;
    update legwork_private.rollup_relations r set filenode = v_file, rows_counted = 0, tolerated = v_inserted, swept_to = null
    where r.relation = roll_up_relation.relation returning * into v_known;
  end if;

  -- What the table's end has left behind, once whoever could have written there has ended.
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
    -- The statistics began anew.
    v_known.tolerated := v_inserted - v_known.rows_counted - v_number;
  end if;
  -- Of transactions that have ended only, so an open one makes nothing missing.
  if coalesce(v_to, 0) >= v_blocks and v_inserted - v_known.rows_counted - v_number > v_known.tolerated then
    -- Rows are missing: they have come into old blocks, or were never committed. The newest segments have the most room, so they are
    -- looked at each time; the others by turns.
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
  'Of legwork_private.roll_up: counts what is new in one partition. Returns how many rows there were.';
revoke execute on function legwork_private.roll_up_relation(regclass, boolean, timestamptz) from public;

create or replace function legwork_private.roll_up(budget interval default '1 second') returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_deadline timestamptz := clock_timestamp() + budget;
  v_partition record;
  v_number bigint := 0;
begin
  -- One at a time: segments are read before their blocks. Every statement after this one has a snapshot of its own.
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
        -- Other times' partitions are seldom written to. The statistics tell after the commit, so what they have not told yet they will.
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
  'Counts what the history has gained since the last call, for about so long at most (1 second); what is left comes with the next call. A worker calls it every five seconds. '
  'Returns how many rows it counted; null when another session is at it. Needs a transaction that reads committed rows.';
revoke execute on function legwork_private.roll_up(interval) from public;

-- A partition that is made while its rows lie in the default partition gets them by deleting and inserting. They are counted where they
-- were, while nobody else can write there, and not again where they come to.
create or replace function legwork_private.roll_up_before_move(relation regclass) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  -- Whoever rolls up may be waiting for the partition that our caller has locked: the caller's lock_timeout ends that.
  perform pg_advisory_xact_lock(hashtext('legwork_private.roll_up'));
  perform legwork_private.roll_up_relation(relation, relation = 'legwork_private.failed_attempts_default'::regclass, 'infinity');
end $$;
comment on function legwork_private.roll_up_before_move(regclass) is 'Counts what is new in a default partition that the caller has locked against everybody, before its rows are moved.';
revoke execute on function legwork_private.roll_up_before_move(regclass) from public;

create or replace function legwork_private.skip_roll_up(relation regclass) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_counted text[];
begin
  execute format('select array(select r.xmin::text from only %s r group by r.xmin)', relation) into v_counted;
  insert into legwork_private.rollup_relations (relation, filenode) values (relation, pg_relation_filenode(relation));
  -- Whoever runs now may write here once we have committed.
  insert into legwork_private.rollup_segments (relation, from_block, to_block, horizon, counted)
  values (relation, 0, pg_relation_size(relation) / current_setting('block_size')::bigint, pg_snapshot_xmin(pg_current_snapshot())::text, v_counted);
end $$;
comment on function legwork_private.skip_roll_up(regclass) is
  'Says of a partition that its rows, of which the caller sees all there are, have been counted.';
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
  return v_count;
end $$;
comment on function legwork_private.forget_metrics(integer) is
  'Deletes minutes and hours older than the settings metrics_minutes and metrics_hours, at most so many of each. Returns how many minutes. A worker calls it every ten minutes.';
revoke execute on function legwork_private.forget_metrics(integer) from public;
