create or replace view legwork.token_list with (security_barrier) as
select t.id, t.name, t.role, t.tenant, t.created_at, t.created_by, t.expires_at, t.revoked_at, t.last_used_at,
  t.revoked_at is null and coalesce(t.expires_at > now(), true) as is_valid
from legwork_private.tokens t
where (select legwork_private.has_role('admin')) and ((select legwork_private.confined_tenant()) is null or t.tenant = (select legwork_private.confined_tenant()));
comment on view legwork.token_list is 'All tokens, without their secrets.';
comment on column legwork.token_list.id is E'@notNull\nThe token''s id.';
comment on column legwork.token_list.name is E'@notNull\nWhat it is for.';
comment on column legwork.token_list.role is E'@notNull\nviewer, enqueuer, operator or admin.';
comment on column legwork.token_list.tenant is 'The only tenant whose rows it can read and change; null for all tenants.';
comment on column legwork.token_list.created_at is E'@notNull\nWhen it was created.';
comment on column legwork.token_list.created_by is E'@notNull\nWho created it.';
comment on column legwork.token_list.expires_at is 'When it stops working; null for never.';
comment on column legwork.token_list.revoked_at is 'When it was revoked; null if it has not been.';
comment on column legwork.token_list.last_used_at is 'When it was last used, to the minute; null for never.';
comment on column legwork.token_list.is_valid is E'@notNull\nWhether it is valid now.';
