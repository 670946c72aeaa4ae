-- Retries: whether and when a failed attempt is followed by another.

comment on table legwork_private.retry_policies is
  'How the jobs of a queue or a task are retried. The first of these that exists applies to a job: its task''s policy from set_retry_policy, its task''s policy from the task definition, or its queue''s policy.';
comment on column legwork_private.retry_policies.scope is 'queue or task.';
comment on column legwork_private.retry_policies.name is 'The queue or the task.';
comment on column legwork_private.retry_policies.is_declared is 'Whether the policy comes from the task''s definition. Otherwise it was set with set_retry_policy.';
comment on column legwork_private.retry_policies.attempts is 'The total number of attempts for jobs that were enqueued without a number. Null for 25.';
comment on column legwork_private.retry_policies.backoff is 'How delays grow: fixed, linear or exponential. Null for graphile-worker''s own delays: e to the power of the attempt, in seconds.';
comment on column legwork_private.retry_policies.delay is 'The delay after the first attempt.';
comment on column legwork_private.retry_policies.factor is 'The factor between an exponential delay and the next one.';
comment on column legwork_private.retry_policies.max_delay is 'The longest delay. Null for no maximum.';
comment on column legwork_private.retry_policies.jitter is 'Whether each delay is shortened randomly, by up to half, so that jobs that failed at the same time do not all retry at the same time.';
comment on column legwork_private.retry_policies.retry_on is 'The names, codes or classes of errors that are retried. Null for all errors. Attempts lost with their worker are always retried.';

create or replace function legwork_private.retry_policy(task text, queue text) returns setof legwork_private.retry_policies
language sql stable
as $$
  select p.* from legwork_private.retry_policies p
  where (p.scope = 'task' and p.name = retry_policy.task) or (p.scope = 'queue' and p.name = retry_policy.queue)
  order by p.scope = 'task' desc, p.is_declared
  limit 1
$$;
comment on function legwork_private.retry_policy(text, text) is 'The policy that applies to a task in a queue. Returns no row if graphile-worker''s default applies.';

create or replace function legwork_private.policy_attempts(by_number boolean) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select jsonb_object_agg(case when by_number then p.number else p.task end, p.attempts)
    from (
      -- Like legwork_private.retry_policy, for all tasks at once.
      select distinct on (r.task) r.task, t.id::text as number, r.attempts
      from (
        select d.name as task, t.attempts, t.is_declared, 1 as place
        from legwork_private.retry_policies t join legwork_private.task_definitions d on d.name = t.name where t.scope = 'task'
        union all
        select d.name, q.attempts, q.is_declared, 2
        from legwork_private.retry_policies q join legwork_private.task_definitions d on d.queue = q.name where q.scope = 'queue'
      ) r
      join legwork_private.graphile_tasks t on t.identifier = r.task
      order by r.task, r.place, r.is_declared
    ) p
    where p.attempts is not null);
end $$;
comment on function legwork_private.policy_attempts(boolean) is
  'The number of attempts that the retry policies set for jobs that are enqueued without one, as an object keyed by task, or by graphile-worker''s id of the task. Null if no policy sets it. '
  'A function for the views of jobs, which call it once per query: as a subquery, it would double their planning time.';
revoke execute on function legwork_private.policy_attempts(boolean) from public;

create or replace function legwork_private.describe_retry(task text, queue text) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
return (select to_jsonb(r) - array['scope', 'name', 'is_declared'] from legwork_private.retry_policy(describe_retry.task, describe_retry.queue) r);
comment on function legwork_private.describe_retry(text, text) is 'The policy that applies to a task in a queue, as JSON for the view legwork.tasks. Null if graphile-worker''s default applies.';
revoke execute on function legwork_private.describe_retry(text, text) from public;

create or replace function legwork_private.retry_delay(
  backoff text, delay interval, factor double precision, max_delay interval, jitter boolean, attempt integer
) returns interval
language sql volatile
return (
  -- In seconds, and at most a century, which an interval and a timestamp can hold. With jitter, half of the delay is fixed and half is
  -- random ("equal jitter" in AWS's Exponential Backoff And Jitter).
  select make_interval(secs => least(s.seconds, 3e9) * case when retry_delay.jitter then 0.5 + random() / 2 else 1 end)
  from (
    select least(
      extract(epoch from retry_delay.delay)::double precision * case retry_delay.backoff
        when 'fixed' then 1
        when 'linear' then retry_delay.attempt
        else exp(least((retry_delay.attempt - 1) * ln(coalesce(retry_delay.factor, 2)), 500))
      end,
      extract(epoch from retry_delay.max_delay)::double precision) as seconds
  ) s
);
comment on function legwork_private.retry_delay(text, interval, double precision, interval, boolean, integer) is
  'The delay after an attempt, counted from 1: delay, delay × attempt, or delay × factor to the power of attempt − 1; at most max_delay.';

create or replace function legwork_private.put_retry_policy(
  scope text, name text, is_declared boolean, attempts integer, backoff text, delay interval, factor double precision,
  max_delay interval, jitter boolean, retry_on text[]
) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_number('attempts', attempts, 1, 32767), legwork_private.assert_interval('delay', delay), legwork_private.assert_interval('max_delay', max_delay),
    legwork_private.assert_number('factor', factor::numeric, 1, 1000000);
  if backoff not in ('fixed', 'linear', 'exponential') then
    raise exception '''%'' is not a valid backoff.', backoff using errcode = 'LW400', hint = 'Use fixed, linear or exponential.';
  elsif backoff is null and (delay is not null or factor is not null or max_delay is not null) then
    raise exception 'A delay needs a backoff.' using errcode = 'LW400', hint = 'Set backoff to fixed, linear or exponential.';
  elsif cardinality(retry_on) = 0 then
    raise exception 'retry_on is an empty list; it must name at least one error.' using
      errcode = 'LW400', hint = 'To retry no error, set attempts to 1. To retry all errors, omit retry_on.';
  end if;
  insert into legwork_private.retry_policies as p (scope, name, is_declared, attempts, backoff, delay, factor, max_delay, jitter, retry_on)
  values (
    put_retry_policy.scope, put_retry_policy.name, put_retry_policy.is_declared, put_retry_policy.attempts, put_retry_policy.backoff,
    case when put_retry_policy.backoff is not null then coalesce(put_retry_policy.delay, interval '1 second') end,
    put_retry_policy.factor, put_retry_policy.max_delay, coalesce(put_retry_policy.jitter, false), put_retry_policy.retry_on)
  on conflict on constraint retry_policies_pkey do update set
    attempts = excluded.attempts, backoff = excluded.backoff, delay = excluded.delay, factor = excluded.factor,
    max_delay = excluded.max_delay, jitter = excluded.jitter, retry_on = excluded.retry_on;
end $$;
comment on function legwork_private.put_retry_policy(text, text, boolean, integer, text, interval, double precision, interval, boolean, text[]) is
  'Stores a retry policy, for set_retry_policy and for task definitions.';
revoke execute on function legwork_private.put_retry_policy(text, text, boolean, integer, text, interval, double precision, interval, boolean, text[]) from public;

create or replace function legwork.set_retry_policy(
  queue text default null,
  task text default null,
  attempts integer default null,
  backoff text default null,
  delay interval default null,
  factor double precision default null,
  max_delay interval default null,
  jitter boolean default false,
  retry_on text[] default null
) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_role('operator', true);
  perform legwork_private.assert_target(legwork_private.scope_of(queue, task), coalesce(queue, task));
  perform legwork_private.put_retry_policy(legwork_private.scope_of(queue, task), coalesce(queue, task), false, attempts, backoff, delay, factor,
    max_delay, jitter, retry_on);
end $$;
comment on function legwork.set_retry_policy(text, text, integer, text, interval, double precision, interval, boolean, text[]) is
  'Sets how the jobs of a queue or a task are retried, however they were enqueued, starting with their next failure. attempts: the total number of attempts, for '
  'jobs enqueued without a number. backoff: fixed, linear or exponential. delay: the delay after the first attempt, 1 second by default. factor: for exponential, 2 by default. '
  'max_delay: the longest delay. jitter: shorten each delay randomly, by up to half. retry_on: names, codes or classes of the errors that are retried. Omitted values are '
  'graphile-worker''s defaults. Replaces the previous policy. Raises LW400 for an invalid policy, and LW404 for an unknown queue or task.';
revoke execute on function legwork.set_retry_policy(text, text, integer, text, interval, double precision, interval, boolean, text[]) from public;

create or replace function legwork.drop_retry_policy(queue text default null, task text default null) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_role('operator', true);
  perform legwork_private.assert_target(legwork_private.scope_of(queue, task), coalesce(queue, task));
  delete from legwork_private.retry_policies p
  where p.scope = legwork_private.scope_of(queue, task) and p.name = coalesce(queue, task) and not p.is_declared;
  return found;
end $$;
comment on function legwork.drop_retry_policy(text, text) is
  'Removes the policy that set_retry_policy has set; the policy from the task''s definition applies again. Returns whether there was one. Raises LW404 for an unknown queue or task.';
revoke execute on function legwork.drop_retry_policy(text, text) from public;

create or replace function legwork_private.declare_retry(task text, policy jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if policy is null or policy = 'null' then
    delete from legwork_private.retry_policies p where p.scope = 'task' and p.name = task and p.is_declared;
  else
    perform legwork_private.put_retry_policy('task', task, true, (policy ->> 'attempts')::integer, policy ->> 'backoff',
      (policy ->> 'delay')::interval, (policy ->> 'factor')::double precision, (policy ->> 'max_delay')::interval,
      (policy ->> 'jitter')::boolean,
      case when jsonb_typeof(policy -> 'retry_on') = 'array' then array(select jsonb_array_elements_text(policy -> 'retry_on')) end);
  end if;
end $$;
comment on function legwork_private.declare_retry(text, jsonb) is 'Stores the retry policy from a task''s definition: an object of set_retry_policy''s parameters, or null for none.';
revoke execute on function legwork_private.declare_retry(text, jsonb) from public;
