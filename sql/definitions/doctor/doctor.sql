create or replace function legwork.doctor()
returns table ("check" text, severity text, finding text, fix text, detail jsonb)
language plpgsql volatile security definer
-- The doctor must not wait for locks, and JIT compilation would take longer than the queries.
set search_path = pg_catalog, pg_temp set lock_timeout = '500ms' set jit = off as $$
declare
  v_theme text;
begin
  perform legwork_private.assert_role('viewer', true);
  foreach v_theme in array array['waiting', 'worker_faults', 'rules', 'schedules', 'jobs', 'history', 'transactions', 'vacuum', 'server', 'versions', 'set_aside', 'enqueue_on', 'confined_logins'] loop
    begin
      return query execute format(
        'select f."check", f.severity, f.finding, case when f.severity <> ''ok'' then f.fix end, f.detail from legwork.%I() f', 'doctor_' || v_theme);
    exception
      when lock_not_available then
        "check" := v_theme; severity := 'critical'; detail := null;
        finding := 'Another session holds a lock that blocks access to the tables that this check reads.';
        fix := 'Find that session (see the ''locks'' check): select pid, pg_blocking_pids(pid), application_name from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0.';
        return next;
      when others then
        "check" := v_theme; severity := 'warning'; detail := jsonb_build_object('sqlstate', sqlstate);
        finding := format('This check failed: %s.', sqlerrm);
        fix := case sqlstate when '42501' then format('Grant the missing privilege to %I, the owner of legwork.doctor().', current_user) else 'The other checks are not affected.' end;
        return next;
    end;
  end loop;
end $$;
comment on function legwork.doctor() is
  'Checks this installation. Returns a row with a fix for each problem, and a row with severity ok for each check that found none. '
  'severity: ok, warning or critical. Reads only statistics and bounded samples, waits for no lock and raises no error: a check that it is not permitted to make is reported as a finding.';

-- It reports on all sessions and jobs.
revoke execute on function legwork.doctor() from public;
