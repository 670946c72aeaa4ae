-- What a server in front of the jobs needs: requests that may be repeated, pages by time, and cancelling everything that fits.
--
-- Locks: none but those on what is made here.

comment on table legwork_private.idempotent_requests is 'Requests that were sent with an idempotency key, with what was answered; kept for a day.';
comment on column legwork_private.idempotent_requests.subject is 'Who sent it. A key is its sender''s own.';
comment on column legwork_private.idempotent_requests.key is 'The key.';
comment on column legwork_private.idempotent_requests.request_hash is 'Tells whether a later request with the key is the same one.';
comment on column legwork_private.idempotent_requests.response is 'What was answered. Null only within the transaction that answers.';
comment on column legwork_private.idempotent_requests.requested_at is 'When.';

create or replace function legwork_private.assert_server() returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from legwork_private.confined_logins c where c.login = session_user) then
    raise exception 'This is for the server, and the login % is confined to a tenant.', session_user using
      errcode = 'LW403', hint = 'Run `legwork server` as a login that is not confined: its tokens and JWTs say for which tenant each request is.';
  end if;
end $$;
comment on function legwork_private.assert_server() is
  'Does nothing for a login that may act for any tenant. Raises LW403 for one that is confined (legwork.confine_login): it would answer for others.';

create or replace function legwork_private.claim_request(subject text, key text, request_hash text) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_known legwork_private.idempotent_requests;
begin
  perform legwork_private.assert_server();
  loop
    -- A second request with the key waits here for the transaction of the first one, by the primary key. When that is rolled back, this
    -- one is the first.
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
    -- Forgotten in this moment: ask again.
    exit when found;
  end loop;
  if v_known.request_hash <> claim_request.request_hash then
    raise exception 'The idempotency key ''%'' was used for another request.', key using
      errcode = 'LW409', hint = 'Nothing was done. Send a new key with each new request, and the same one only to repeat a request.';
  end if;
  return v_known.response;
end $$;
comment on function legwork_private.claim_request(text, text, text) is
  'Asks whether a request with this key was answered within 24 hours: returns what was answered, or null when this is the first one; it is then done in the '
  'same transaction and its answer kept with keep_response. Raises LW409 when the key came with another request, LW403 for a login that is confined to a tenant.';
revoke execute on function legwork_private.claim_request(text, text, text) from public;

create or replace function legwork_private.keep_response(subject text, key text, response jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform legwork_private.assert_server();
  update legwork_private.idempotent_requests r set response = keep_response.response
  where r.subject = keep_response.subject and r.key = keep_response.key;
end $$;
comment on function legwork_private.keep_response(text, text, jsonb) is 'Keeps the answer to a request that claim_request has let in, in the same transaction.';
revoke execute on function legwork_private.keep_response(text, text, jsonb) from public;

create or replace function legwork_private.forget_requests() returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  delete from legwork_private.idempotent_requests r where (r.subject, r.key) in (
    select o.subject, o.key from legwork_private.idempotent_requests o
    where o.requested_at < clock_timestamp() - interval '24 hours' for update skip locked);
  -- One mark that is older than everything stays, as a bound.
  delete from legwork_private.id_marks m where m.at < now() - legwork_private.history_retention() * 1.125 - interval '1 day';
  delete from legwork_private.reruns r where r.requested_at < now() - legwork_private.history_retention() * 1.125 - interval '1 day';
end;
comment on function legwork_private.forget_requests() is
  'Deletes answers to requests that are older than a day, and marks and re-runs that are older than the history. legwork.maintain_history calls it.';
revoke execute on function legwork_private.forget_requests() from public;
