-- Functions for the HTTP server: requests that clients may repeat.
--
-- Locks: none except on the objects created here.

comment on table legwork_private.idempotent_requests is 'Requests that were sent with an idempotency key, with their responses. Kept for a day.';
comment on column legwork_private.idempotent_requests.subject is 'The sender. Each sender has its own keys.';
comment on column legwork_private.idempotent_requests.key is 'The key.';
comment on column legwork_private.idempotent_requests.request_hash is 'A hash that shows whether a later request with the key is the same request.';
comment on column legwork_private.idempotent_requests.response is 'The response. Null only within the transaction that handles the request.';
comment on column legwork_private.idempotent_requests.requested_at is 'When it was sent.';

create or replace function legwork_private.assert_server() returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from legwork_private.confined_logins c where c.login = session_user) then
    raise exception 'This function is for the server, and the login % is confined to a tenant.', session_user using
      errcode = 'LW403', hint = 'Run `legwork server` with a login that is not confined: its tokens and JWTs determine the tenant of each request.';
  end if;
end $$;
comment on function legwork_private.assert_server() is
  'Does nothing for a login that may act for any tenant. Raises LW403 for a confined login (legwork.confine_login), which would handle the requests of other tenants.';

create or replace function legwork_private.claim_request(subject text, key text, request_hash text) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_known legwork_private.idempotent_requests;
begin
  perform legwork_private.assert_server();
  loop
    -- The primary key makes a second request with the key wait here for the transaction of the first. If that is rolled back, the second
    -- becomes the first.
    insert into legwork_private.idempotent_requests as r (subject, key, request_hash)
    values (claim_request.subject, claim_request.key, claim_request.request_hash)
    on conflict on constraint idempotent_requests_pkey do update set
      request_hash = excluded.request_hash, response = null, requested_at = clock_timestamp()
    where r.requested_at < clock_timestamp() - interval '24 hours';
    if found then
      return null;
    end if;
    select * into v_known from legwork_private.idempotent_requests r
    where r.subject = claim_request.subject and r.key = claim_request.key;
    -- The row was deleted at this moment, so the insert is tried again.
    exit when found;
  end loop;
  if v_known.request_hash <> claim_request.request_hash then
    raise exception 'The idempotency key ''%'' was used for a different request.', key using
      errcode = 'LW409', hint = 'Nothing was done. Send a new key with each new request, and the same key only to repeat a request.';
  end if;
  return v_known.response;
end $$;
comment on function legwork_private.claim_request(text, text, text) is
  'Returns the response to an earlier request with this key within 24 hours, or null for the first request. The caller then handles the request in the '
  'same transaction and stores its response with keep_response. Raises LW409 if the key was used for a different request, LW403 for a login that is confined to a tenant.';
revoke execute on function legwork_private.claim_request(text, text, text) from public;

create or replace function legwork_private.keep_response(subject text, key text, response jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_server();
  update legwork_private.idempotent_requests r set response = keep_response.response
  where r.subject = keep_response.subject and r.key = keep_response.key;
end $$;
comment on function legwork_private.keep_response(text, text, jsonb) is 'Stores the response to a request for which claim_request returned null, in the same transaction.';
revoke execute on function legwork_private.keep_response(text, text, jsonb) from public;

create or replace function legwork_private.forget_requests() returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  delete from legwork_private.idempotent_requests r where (r.subject, r.key) in (
    select o.subject, o.key from legwork_private.idempotent_requests o
    where o.requested_at < clock_timestamp() - interval '24 hours' for update skip locked);
  -- One mark that is older than the history is kept as a bound.
  delete from legwork_private.id_marks m where m.at < now() - legwork_private.history_retention() * 1.125 - interval '1 day';
  delete from legwork_private.reruns r where r.requested_at < now() - legwork_private.history_retention() * 1.125 - interval '1 day';
end;
comment on function legwork_private.forget_requests() is
  'Deletes responses that are older than a day, and id marks and reruns that are older than the history. legwork.maintain_history calls it.';
revoke execute on function legwork_private.forget_requests() from public;
