-- graphile-worker's batch jobs: jobs whose payload is a list and whose entries can fail individually. graphile-worker keeps only the failed entries
-- as the payload of the next attempt. The original payload and the results of the other entries are kept here until the job ends.

comment on table legwork_private.job_entries is
  'Jobs whose payload is a list, from the first attempt in which some entries failed until the job ends. Written by the triggers on graphile-worker''s job table.';
comment on column legwork_private.job_entries.job_id is 'The job.';
comment on column legwork_private.job_entries.payload is 'The job''s payload before that attempt. No view shows it before the job has ended.';
comment on column legwork_private.job_entries.results is 'The result of each entry in payload. An entry is null if it has not completed or returned nothing. The column is null if no entry has a result.';
comment on column legwork_private.job_entries.open_positions is
  'The positions in payload, counted from 1, of the entries that are left. Null if a worker without Legwork ran an attempt, because such a worker does not report them.';

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
  'Stores the results of a batch job whose attempt failed. payload: that attempt''s payload. failed_entries: the positions of the failed entries, counted from 0; null from a worker without '
  'Legwork. entry_results: the results of the entries.';
revoke execute on function legwork_private.keep_entries(bigint, json, integer[], jsonb) from public;

-- Puts the results of the remaining entries at their positions among all entries.
create or replace function legwork_private.put_results(kept legwork_private.job_entries, results jsonb) returns jsonb
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select jsonb_agg(coalesce(nullif(results -> (array_position(kept.open_positions, i) - 1), 'null'), kept.results -> (i - 1), 'null') order by i)
  from generate_series(1, json_array_length(kept.payload)) as i
$$;
comment on function legwork_private.put_results(legwork_private.job_entries, jsonb) is
  'The results of a batch job''s entries, in the order of its first payload: the stored results of completed entries, and the given results of the remaining ones.';
revoke execute on function legwork_private.put_results(legwork_private.job_entries, jsonb) from public;

create or replace function legwork_private.first_payload(job_id bigint, payload json) returns json
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce((select e.payload from legwork_private.job_entries e where e.job_id = first_payload.job_id), payload)
$$;
comment on function legwork_private.first_payload(bigint, json) is 'The payload with which a job was enqueued, given its current payload.';
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
  -- A result that was too large to be stored, or does not have one element per entry, is returned unchanged.
  if result is not null and (jsonb_typeof(result) <> 'array' or jsonb_array_length(result) <> cardinality(v_kept.open_positions)) then
    return result;
  end if;
  return legwork_private.put_results(v_kept, coalesce(result, '[]'));
end $$;
comment on function legwork_private.all_results(bigint, jsonb) is
  'The results of a batch job''s entries from all its attempts, in the order in which they were enqueued, given the result of the last attempt. For any other job, the given result.';
revoke execute on function legwork_private.all_results(bigint, jsonb) from public;
