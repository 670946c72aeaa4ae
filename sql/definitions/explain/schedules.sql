create or replace function legwork_private.unmet_requirement(requires jsonb, due_at timestamptz, tenant text) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_other record;
  v_definition legwork_private.schedule_definitions;
  v_run legwork_private.schedule_occurrences;
  v_job record;
begin
  for v_other in select r.key as name, r.value::interval as within from jsonb_each_text(requires) r order by r.key loop
    select * into v_definition from legwork_private.schedule_definitions d where d.name = v_other.name;
    if v_definition.name is null then
      return format('It requires %s, which no longer exists.', v_other.name);
    elsif v_definition.tenant <> unmet_requirement.tenant then
      -- Names are unique in the database, so another tenant may have created a schedule with this name. The message does not reveal this.
      return format('It requires %s, which is no longer a schedule of its tenant.', v_other.name);
    end if;
    if v_definition.next_at <= unmet_requirement.due_at then
      return format('It requires %s, which is due first and has not run yet.', v_other.name);
    end if;
    select * into v_run from legwork_private.schedule_occurrences r
    where r.schedule = v_other.name and r.state in ('enqueued', 'manual', 'waiting', 'held_back')
    order by r.due_at desc limit 1;
    if v_run.schedule is null then
      return format('It requires %s, which has not run yet.', v_other.name);
    elsif v_run.state = 'waiting' then
      return format('It requires %s, which is itself waiting.', v_other.name);
    elsif v_run.state = 'held_back' then
      return format('It requires %s, which was itself held back.', v_other.name);
    end if;
    select f.state, f.finished_at into v_job from legwork_private.finished_jobs f where f.id = v_run.job_id order by f.finished_at desc limit 1;
    if not found then
      return case when legwork_private.live_jobs(array[v_run.job_id]) = '{}'
        then format('It requires %s, but the history no longer shows how its job %s ended.', v_other.name, v_run.job_id)
        else format('It requires %s, whose job %s has not ended.', v_other.name, v_run.job_id) end;
    elsif v_job.state <> 'completed' then
      return format('It requires %s, whose last job, job %s, %s.', v_other.name, v_run.job_id,
        case v_job.state when 'cancelled' then 'was cancelled' else v_job.state::text end);
    elsif v_job.finished_at < legwork_private.earlier(unmet_requirement.due_at, v_other.within) then
      return format('It requires %s to have completed within the last %s, but the last job of that schedule, job %s, completed earlier than that.', v_other.name,
        legwork_private.period_in_words(v_other.within), v_run.job_id);
    end if;
  end loop;
  return null;
end $$;
comment on function legwork_private.unmet_requirement(jsonb, timestamptz, text) is
  'Why an occurrence of a tenant''s schedule may not run yet, as a sentence. Null once all schedules that it requires have completed.';

create or replace function legwork_private.explain_schedules(job_id bigint) returns table (reason text, detail text, fix text, actions jsonb)
language sql stable
as $$
  select
    case r.state when 'waiting' then 'schedule_waits' else 'schedule_held_back' end,
    format('%s schedule ''%s'', due at %s, %s: %s', case when d.name = own.name then 'The next occurrence of its' else 'An occurrence of the' end, d.name,
      to_char(r.due_at, 'YYYY-MM-DD HH24:MI:SS TZ'),
      case r.state when 'waiting' then format('is waiting, until %s at the latest', to_char(legwork_private.later(greatest(r.due_at, r.recorded_at), d.requires_wait), 'YYYY-MM-DD HH24:MI:SS TZ')) else 'was held back' end, r.reason),
    case when r.state = 'waiting' then 'it starts as soon as that job has completed. To run it now, ' else 'to run it anyway, ' end || legwork_private.suggest('run the schedule', a.action),
    jsonb_build_array(a.action)
  from legwork_private.schedule_definitions own
  join legwork_private.schedule_definitions d on d.name = own.name or d.requires ? own.name
  cross join lateral (select * from legwork_private.schedule_occurrences o where o.schedule = d.name order by o.due_at desc limit 1) r
  cross join lateral (select jsonb_build_object('do', 'run_schedule', 'name', d.name)) a (action)
  where own.last_job_id = explain_schedules.job_id and r.state in ('waiting', 'held_back')
    -- Where another schedule that it requires is the cause, that schedule's last job reports it.
    and (d.name = own.name or starts_with(r.reason, format('It requires %s', own.name)))
    and (legwork_private.confined_tenant() is null or d.tenant = legwork_private.confined_tenant())
  order by d.name <> own.name, d.name
$$;
comment on function legwork_private.explain_schedules(bigint) is
  'For the most recent job of a schedule: whether the next occurrence is waiting or was held back, and the occurrences of other schedules that are waiting or were held back because they require this one.';
