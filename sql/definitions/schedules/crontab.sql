comment on table legwork_private.crontab_entries is 'The entries of the crontabs that workers have; graphile-worker runs them. legwork.schedules shows them.';
comment on column legwork_private.crontab_entries.identifier is 'The entry''s identifier: its id option, else its task.';
comment on column legwork_private.crontab_entries.task is 'The task that its jobs run.';
comment on column legwork_private.crontab_entries.cron is 'The five fields of the line.';
comment on column legwork_private.crontab_entries.payload is 'The payload on the line; null for none.';
comment on column legwork_private.crontab_entries.sentence is 'When it occurs, in words.';
comment on column legwork_private.crontab_entries.upcoming is 'The next occurrences as of seen_at, in UTC as graphile-worker reads a crontab.';
comment on column legwork_private.crontab_entries.seen_at is 'When a worker last told of it.';

create or replace function legwork_private.register_crontab(entries jsonb, as_of timestamptz default clock_timestamp()) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  insert into legwork_private.crontab_entries (identifier, task, cron, payload, sentence, upcoming, seen_at)
  select e.identifier, e.task, e.cron, nullif(e.payload, 'null'), e.sentence, e.upcoming, as_of
  from jsonb_to_recordset(entries) as e (identifier text, task text, cron text, payload jsonb, sentence text, upcoming timestamptz[])
  -- In one order everywhere, so that workers starting together wait for each other and do not deadlock.
  order by e.identifier
  on conflict (identifier) do update set
    task = excluded.task, cron = excluded.cron, payload = excluded.payload, sentence = excluded.sentence, upcoming = excluded.upcoming, seen_at = excluded.seen_at;
  -- Workers tell every five minutes: nobody has these any more.
  delete from legwork_private.crontab_entries c
  where c.identifier in (select o.identifier from legwork_private.crontab_entries o where o.seen_at < as_of - interval '15 minutes' for update skip locked);
end;
comment on function legwork_private.register_crontab(jsonb, timestamptz) is
  'Tells of the entries of a worker''s crontab: an array of {identifier, task, cron, payload, sentence, upcoming}. Entries that no worker has told of for 15 minutes go.';
revoke execute on function legwork_private.register_crontab(jsonb, timestamptz) from public;
