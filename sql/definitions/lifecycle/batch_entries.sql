-- graphile-worker's batch jobs: jobs whose payload is a list, of whose entries some may fail. graphile-worker keeps only those that failed as the payload of the
-- next attempt. What was enqueued, and what the other entries came to, is kept here until the job ends.

comment on table legwork_private.job_entries is
  'Jobs whose payload is a list, from the first attempt in which some of its entries failed until they end. Written by the triggers on graphile-worker''s job table.';
comment on column legwork_private.job_entries.job_id is 'The job.';
comment on column legwork_private.job_entries.payload is 'Its payload before that attempt. No view shows it before the job has ended.';
comment on column legwork_private.job_entries.results is 'What each entry of that payload came to; null for one that has not, or to nothing. Null as a whole where no entry came to anything.';
comment on column legwork_private.job_entries.open_positions is
  'The positions in that payload, counted from 1, of the entries that are left. Null when a worker without Legwork ran an attempt, which does not say.';

create or replace function legwork_private.keep_entries(job_id bigint, payload json, failed_entries integer[], entry_results jsonb) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_kept legwork_private.job_entries;
  v_entries integer := json_array_length(payload);
begin
  insert into legwork_private.job_entries as e (job_id, payload, open_positions)
  values (keep_entries.job_id, keep_entries.payload, array(select generate_series(1, v_entries)))
  on conflict on constraint job_entries_pkey do update set open_positions = e.open_positions
  returning * into v_kept;
  if failed_entries is null or cardinality(v_kept.open_positions) <> v_entries then
    v_kept.open_positions := null;
  elsif v_kept.open_positions is not null then
    if jsonb_typeof(entry_results) = 'array' then
      v_kept.results := legwork_private.put_results(v_kept, entry_results);
    end if;
    v_kept.open_positions := array(select v_kept.open_positions[f.position + 1] from unnest(failed_entries) as f (position));
  end if;
  update legwork_private.job_entries e set results = v_kept.results, open_positions = v_kept.open_positions where e.job_id = keep_entries.job_id;
end $$;
comment on function legwork_private.keep_entries(bigint, json, integer[], jsonb) is
  'Keeps what is known of a batch job whose attempt failed. payload: of that attempt. failed_entries: the positions of those that failed, counted from 0; null from a worker without '
  'Legwork. entry_results: what the entries came to.';
revoke execute on function legwork_private.keep_entries(bigint, json, integer[], jsonb) from public;

-- The results of the entries that are left, each at its place among all.
create or replace function legwork_private.put_results(kept legwork_private.job_entries, results jsonb) returns jsonb
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select jsonb_agg(coalesce(nullif(results -> (array_position(kept.open_positions, i) - 1), 'null'), kept.results -> (i - 1), 'null') order by i)
  from generate_series(1, json_array_length(kept.payload)) as i
$$;
comment on function legwork_private.put_results(legwork_private.job_entries, jsonb) is
  'What the entries of a batch job came to: what is kept of those that are done, and these results of those that are left, in the order of its first payload.';
revoke execute on function legwork_private.put_results(legwork_private.job_entries, jsonb) from public;

create or replace function legwork_private.first_payload(job_id bigint, payload json) returns json
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce((select e.payload from legwork_private.job_entries e where e.job_id = first_payload.job_id), payload)
$$;
comment on function legwork_private.first_payload(bigint, json) is 'What a job was enqueued with, whose payload is this by now.';
revoke execute on function legwork_private.first_payload(bigint, json) from public;

create or replace function legwork_private.all_results(job_id bigint, result jsonb) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_kept legwork_private.job_entries;
begin
  select * into v_kept from legwork_private.job_entries e where e.job_id = all_results.job_id;
  if v_kept.results is null and result is null or v_kept.open_positions is null then
    return result;
  end if;
  -- A result that was too large to be kept, or is not one for each entry, stands for itself.
  if result is not null and (jsonb_typeof(result) <> 'array' or jsonb_array_length(result) <> cardinality(v_kept.open_positions)) then
    return result;
  end if;
  return legwork_private.put_results(v_kept, coalesce(result, '[]'));
end $$;
comment on function legwork_private.all_results(bigint, jsonb) is
  'What the entries of a batch job came to in all its attempts, in the order in which they were enqueued, given the result of the last one. The result itself for any other job.';
revoke execute on function legwork_private.all_results(bigint, jsonb) from public;
