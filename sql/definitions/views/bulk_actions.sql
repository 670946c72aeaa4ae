create or replace view legwork.bulk_actions with (security_barrier) as
select
  b.id, b.action, b.filter, b.priority, b.reason, b.actor, b.tenant, b.state, b.total, b.changed,
  coalesce((select sum(s.value::bigint) from jsonb_each_text(b.skipped) s), 0)::bigint as skipped, b.skipped as skip_reasons, b.last_error,
  b.started_at, b.worked_at, b.finished_at
from legwork_private.bulk_actions b
where (select legwork_private.confined_tenant()) is null or b.tenant = (select legwork_private.confined_tenant());
comment on view legwork.bulk_actions is 'Bulk actions, running and ended, which legwork.start_bulk_action starts. Order by id: newest last.';
comment on column legwork.bulk_actions.id is E'@notNull\nThe bulk action''s id.';
comment on column legwork.bulk_actions.action is E'@notNull\nThe action: retry, discard, cancel, rerun or priority.';
comment on column legwork.bulk_actions.filter is E'@notNull\nThe filter for its jobs. Relative periods were replaced by times when it started.';
comment on column legwork.bulk_actions.priority is 'The new priority, for the action priority.';
comment on column legwork.bulk_actions.reason is 'The reason that was given.';
comment on column legwork.bulk_actions.actor is E'@notNull\nWho started it.';
comment on column legwork.bulk_actions.tenant is 'The tenant whose jobs it changes; null for all tenants.';
comment on column legwork.bulk_actions.state is E'@notNull\nrunning, completed, stopped by a person, or failed.';
comment on column legwork.bulk_actions.total is 'How many jobs matched when it began, counted up to a million; null until they are counted.';
comment on column legwork.bulk_actions.changed is E'@notNull\nHow many jobs it has changed.';
comment on column legwork.bulk_actions.skipped is E'@notNull\nHow many matching jobs it could not change.';
comment on column legwork.bulk_actions.skip_reasons is E'@notNull\nHow many jobs it could not change, by reason.';
comment on column legwork.bulk_actions.last_error is 'Why the last chunk could not be processed, or why the action failed; null if nothing went wrong.';
comment on column legwork.bulk_actions.started_at is E'@notNull\nWhen it started.';
comment on column legwork.bulk_actions.worked_at is 'When the last chunk was processed; null before the first. If that was long ago and the action is still running, no worker and no server is running.';
comment on column legwork.bulk_actions.finished_at is 'When it ended; null while it is running.';
