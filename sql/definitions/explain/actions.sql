-- Fixes as data. A fix is a sentence with statements in backquotes, and the array next to it names, in the same order, the action that each of them
-- performs. So a surface that has no SQL can replace each statement with its own words, such as a command, a request or a button (src/action.ts).
create or replace function legwork_private.quoted(value text) returns text
language sql immutable parallel safe strict
-- A backquote would end the statement that contains the literal.
return case when strpos(value, '`') = 0 then quote_literal(value) else 'E''' || replace(replace(replace(value, '\', '\\'), '''', ''''''), '`', '\x60') || '''' end;
comment on function legwork_private.quoted(text) is 'A text as a literal for a statement that a fix shows in backquotes: quote_literal without backquotes.';

create or replace function legwork_private.statement_for(action jsonb) returns text
language sql stable parallel safe
return case action ->> 'do'
  when 'resume_all' then 'select legwork.resume_all();'
  when 'resume_worker' then format('select legwork.resume_worker(%s);', legwork_private.quoted(action ->> 'name'))
  when 'resume_queue' then format('select legwork.resume_queue(%s);', legwork_private.quoted(action ->> 'name'))
  when 'resume_task' then format('select legwork.resume_task(%s);', legwork_private.quoted(action ->> 'name'))
  when 'limit_concurrency' then format('select legwork.limit_concurrency(%s, %s => %s%s);', action ->> 'max', action ->> 'scope', legwork_private.quoted(action ->> 'name'),
    ', key => ' || legwork_private.quoted(action ->> 'key'))
  when 'limit_rate' then format('select legwork.limit_rate(%s, %s, %s => %s%s);', action ->> 'max', legwork_private.quoted(action ->> 'per'), action ->> 'scope',
    legwork_private.quoted(action ->> 'name'), ', key => ' || legwork_private.quoted(action ->> 'key'))
  when 'cancel_job' then format('select legwork.cancel_job(%s);', action ->> 'id')
  when 'retry_job' then format('select legwork.retry_job(%s);', action ->> 'id')
  when 'rerun_job' then format('select legwork.rerun_job(%s%s%s%s);', action ->> 'id',
    ', task => ' || legwork_private.quoted(action ->> 'task'),
    case when action -> 'asks' ? 'payload' then ', payload => ''{…}''' end,
    case when action -> 'discard' = 'true' then ', discard => true' end)
  when 'set_priority' then format('select legwork.set_priority(%s, %s);', action ->> 'id', action ->> 'priority')
  when 'send_signal' then format('select legwork.send_signal(%s, %s);', action ->> 'id', legwork_private.quoted(action ->> 'name'))
  when 'explain_job' then format('select * from legwork.explain_job(%s);', action ->> 'id')
  when 'show_log' then format('select * from legwork.logs where job_id = %s order by id;', action ->> 'id')
  when 'retry_workflow' then format('select legwork.retry_workflow(%s);', action ->> 'id')
  when 'enable_schedule' then format('select legwork.enable_schedule(%s);', legwork_private.quoted(action ->> 'name'))
  when 'run_schedule' then format('select legwork.run_schedule(%s);', legwork_private.quoted(action ->> 'name'))
  when 'give_back_jobs' then format('select legwork_private.give_back_jobs(%s);', legwork_private.quoted(action ->> 'name'))
  when 'end_session' then format('select pg_terminate_backend(%s);', action ->> 'id')
  when 'tick' then 'select legwork.tick();'
  when 'take_up' then 'select legwork.take_up();'
end;
comment on function legwork_private.statement_for(jsonb) is
  'The statement that performs an action, such as {"do": "resume_queue", "name": "mail"}. Null for an unknown action. asks: the values that the caller has to fill in.';

create or replace function legwork_private.covers_all_tenants(action jsonb) returns boolean
language sql immutable parallel safe
return action ->> 'do' in ('resume_all', 'resume_queue', 'resume_task', 'resume_worker', 'limit_concurrency', 'limit_rate', 'give_back_jobs', 'end_session', 'tick', 'take_up');
comment on function legwork_private.covers_all_tenants(jsonb) is 'Whether an action fails with LW403 in a session that is confined to a tenant.';

create or replace function legwork_private.asker() returns name
language sql stable parallel safe
-- In a security definer function, current_user is its owner.
return coalesce(nullif(current_setting('role', true), 'none')::name, session_user);
comment on function legwork_private.asker() is 'The role whose privileges apply to the statement that the session is running.';

create or replace function legwork_private.may_do(action jsonb) returns boolean
language sql stable set search_path = pg_catalog, pg_temp
return case
  when legwork_private.covers_all_tenants(action) and legwork_private.confined_tenant() is not null then false
  when action ->> 'do' in ('explain_job', 'show_log') then legwork_private.has_role('viewer')
  when action ->> 'do' = 'end_session' then legwork_private.has_role('admin') and pg_has_role(legwork_private.asker(), 'pg_signal_backend', 'usage')
  else legwork_private.has_role('operator')
    and has_function_privilege(legwork_private.asker(), to_regproc(substring(legwork_private.statement_for(action) from '^select (\w+\.\w+)\(')), 'execute') end;
comment on function legwork_private.may_do(jsonb) is
  'Whether the session may perform an action, according to the role and the tenant that the server has set for its client, and to the privileges of its login.';

create or replace function legwork_private.suggest(what text, action jsonb) returns text
language sql stable set search_path = pg_catalog, pg_temp
return case
  when legwork_private.may_do(action) then format('%s: `%s`', suggest.what, legwork_private.statement_for(action))
  else format('%s to %s', case
      when legwork_private.covers_all_tenants(action) and legwork_private.confined_tenant() is not null then 'ask an operator of the whole system'
      when action ->> 'do' = 'end_session' then 'ask a database administrator' else 'ask an operator' end, suggest.what) end;
comment on function legwork_private.suggest(text, jsonb) is
  'A suggestion for the middle of a sentence, with its statement in backquotes: retry it: `select legwork.retry_job(42);`. If the session may not perform the action: ask an operator to retry it.';

create or replace function legwork_private.as_fix(text text) returns text
language sql immutable parallel safe strict
return upper(left(as_fix.text, 1)) || substr(as_fix.text, 2) || case when as_fix.text ~ '[.`?]$' then '' else '.' end;
comment on function legwork_private.as_fix(text) is 'Turns suggestions into a sentence: capitalizes the first letter, and adds a full stop unless the text ends with a statement.';

create or replace function legwork_private.as_sentence(text text) returns text
language sql immutable parallel safe strict
return regexp_replace(as_sentence.text, '([^.!?…])$', '\1.');
comment on function legwork_private.as_sentence(text) is 'A user''s text with a full stop, so that another sentence can follow it.';

create or replace function legwork_private.open_actions(actions jsonb) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp
return (select coalesce(jsonb_agg(a.action order by a.n), '[]') from jsonb_array_elements(open_actions.actions) with ordinality as a (action, n)
  where legwork_private.may_do(a.action));
comment on function legwork_private.open_actions(jsonb) is 'Those of the actions that the session may perform: the ones for which legwork_private.suggest has shown a statement.';
