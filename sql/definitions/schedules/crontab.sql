comment on table legwork_private.crontab_entries is 'The entries of the workers'' crontabs. graphile-worker runs them, and legwork.schedules shows them.';
comment on column legwork_private.crontab_entries.identifier is 'The entry''s identifier: its id option, or its task if it has none.';
comment on column legwork_private.crontab_entries.task is 'The task that its jobs run.';
comment on column legwork_private.crontab_entries.cron is 'The five fields of the line.';
comment on column legwork_private.crontab_entries.payload is 'The payload on the line. Null if it has none.';
comment on column legwork_private.crontab_entries.sentence is 'When it occurs, in words.';
comment on column legwork_private.crontab_entries.upcoming is 'The next occurrences as of seen_at. graphile-worker reads a crontab in UTC.';
comment on column legwork_private.crontab_entries.seen_at is 'When a worker last reported it.';

create or replace function legwork_private.register_crontab(entries jsonb, as_of timestamptz default clock_timestamp()) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  insert into legwork_private.crontab_entries (identifier, task, cron, payload, sentence, upcoming, seen_at)
  select e.identifier, e.task, e.cron, nullif(e.payload, 'null'), e.sentence, e.upcoming, as_of
  from jsonb_to_recordset(entries) as e (identifier text, task text, cron text, payload jsonb, sentence text, upcoming timestamptz[])
  -- Always in the same order, so that workers starting together queue up instead of deadlocking.
  order by e.identifier
  on conflict (identifier) do update set
    task = excluded.task, cron = excluded.cron, payload = excluded.payload, sentence = excluded.sentence, upcoming = excluded.upcoming, seen_at = excluded.seen_at;
  -- Workers report their entries every five minutes, so no worker has these anymore.
  delete from legwork_private.crontab_entries c
  where c.identifier in (select o.identifier from legwork_private.crontab_entries o where o.seen_at < as_of - interval '15 minutes' for update skip locked);
end;
comment on function legwork_private.register_crontab(jsonb, timestamptz) is
  'Records the entries of a worker''s crontab: an array of {identifier, task, cron, payload, sentence, upcoming}. Entries that no worker has reported for 15 minutes are removed.';
revoke execute on function legwork_private.register_crontab(jsonb, timestamptz) from public;
