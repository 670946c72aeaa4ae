-- Legwork's triggers on graphile-worker's tables. The definitions of their functions can be found by name.
create or replace trigger _legwork_admit after insert on graphile_worker._private_jobs
  referencing new table as fresh for each statement execute function legwork_private.tg_jobs__admit();

create or replace trigger _legwork_record_change after update on graphile_worker._private_jobs
  for each row when (
    new.locked_at is null and (
      -- An attempt has ended, or the job was returned to the queue.
      old.locked_at is not null
      or (old.attempts >= old.max_attempts) <> (new.attempts >= new.max_attempts)
      -- It was replaced or rescheduled.
      or new.revision <> old.revision or new.priority <> old.priority
      or (new.run_at <> old.run_at and new.run_at <> 'infinity')
    )
  ) execute function legwork_private.tg_jobs__record_change();

create or replace trigger _legwork_record_finished after delete on graphile_worker._private_jobs
  referencing old table as gone for each statement execute function legwork_private.tg_jobs__record_finished();

create or replace trigger _legwork_truncate before truncate on graphile_worker._private_jobs
  for each statement execute function legwork_private.tg_jobs__truncate();

create or replace trigger _legwork_keep before delete on graphile_worker._private_tasks for each row execute function legwork_private.tg_tasks__keep();
