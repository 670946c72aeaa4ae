create or replace function legwork.doctor()
returns table ("check" text, severity text, finding text, fix text, detail jsonb)
language plpgsql volatile security definer
-- Somebody's lock must not make the doctor wait, and compiling would take longer than the queries.
set search_path = pg_catalog, pg_temp set lock_timeout = '500ms' set jit = off as $$
declare
  v_theme text;
begin
  perform legwork_private.assert_role('viewer', true);
  foreach v_theme in array array['waiting', 'worker_faults', 'rules', 'schedules', 'jobs', 'history', 'transactions', 'vacuum', 'server', 'versions', 'set_aside', 'confined_logins'] loop
    begin
      return query execute format(
        'select f."check", f.severity, f.finding, case when f.severity <> ''ok'' then f.fix end, f.detail from legwork.%I() f', 'doctor_' || v_theme);
    exception
      when lock_not_available then
        "check" := v_theme; severity := 'critical'; detail := null;
        finding := 'Somebody holds a lock that keeps everybody else from the tables that this looks at.';
        fix := 'Find it (check locks): select pid, pg_blocking_pids(pid), application_name from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0.';
        return next;
      when others then
        "check" := v_theme; severity := 'warning'; detail := jsonb_build_object('sqlstate', sqlstate);
        finding := format('This could not be looked at: %s.', sqlerrm);
        fix := case sqlstate when '42501' then format('Grant what is missing to %I, who owns legwork.doctor().', current_user) else 'The other checks are not affected.' end;
        return next;
    end;
  end loop;
end $$;
comment on function legwork.doctor() is
  'What is wrong with this job system and what to do about it, a row per finding, and a row with severity ok for what was looked at and found well. '
  'severity: ok, warning or critical. Looks at statistics and bounded samples only, waits for nobody and raises nothing: what it may not see is a finding, too.';

-- It tells of all sessions and jobs.
revoke execute on function legwork.doctor() from public;
