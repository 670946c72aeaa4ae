/**
 * The functions and views that each database role may use in addition to those of the roles before it. `legwork_private.role_functions()` grants the
 * functions.
 */
const GRANTED: Readonly<Record<string, readonly string[]>> = {
  legwork_reader:
    `jobs attempts logs queues tasks schedules schedule_runs schedule_runs_page workers workflows workflows_page workflow_steps batches steps failed_groups bulk_actions alerts
    alert_rule_list explain_job explain_schedule explain_workflow explain_queue explain_worker describe_limits describe_retry known_queues ids_created emergency_stop_details step_results health read_metrics
    task_statistics job_reruns task_series worker_starts_between silences limits_in_use limit_use awaits_signal results_of await_results count_jobs workers_needed doctor
    installed_schema find_failed_groups policy_attempts job_timeline`.split(/\s+/),
  legwork_enqueuer: "enqueue enqueue_many enqueue_batch start_workflow".split(" "),
  legwork_operator:
    `cancel_job cancel_jobs retry_job retry_jobs discard_job discard_jobs rerun_job rerun_jobs set_priority set_priorities
    put_pause lift_pause set_worker_state quiet_worker resume_worker drain_worker pause_queue resume_queue pause_task resume_task emergency_stop resume_all put_limit limit_concurrency
    limit_rate drop_limit reset_limits set_retry_policy drop_retry_policy give_back_jobs tick tick_one_by_one take_up reconcile
    schedule unschedule enable_schedule disable_schedule run_schedule cancel_workflow retry_workflow send_signal plans_wanted
    put_plan acknowledge_alert set_alert_rule drop_alert_rule restore_alert_rules set_alert_channels silence_alerts
    end_silence start_bulk_action stop_bulk_action preview_bulk_action run_bulk_action
    stage_imports enqueue_imports settle_imports known_imports`.split(/\s+/),
  legwork_worker:
    `graphile_worker task_limits register_tasks worker_beat worker_poll worker_blocked worker_stopped attempt_verdicts recover_jobs maintain_history record_output trim_logs
    fire_schedules plan_intervals register_crontab load_steps record_step record_failed_step await_step invoke_step due_duties run_duty worker_host
    note_worker_fault cancelled_jobs`.split(/\s+/),
  legwork_admin:
    `token_list audit_log audit_log_page settings migrations legwork_confined create_token revoke_token find_token change_setting
    confine_login claim_request keep_response activity last_worker_faults`.split(/\s+/),
};

const NEEDED = new Map(Object.entries(GRANTED).flatMap(([role, names]) => names.map((name) => [name, role] as const)));

/** Returns the least privileged database role that may use a function, view or schema; undefined for anything else. */
export function neededRole(name: string): string | undefined {
  return NEEDED.get(name);
}

/** Returns the hint for a missing privilege. It names the role if Postgres's message is in English and names one of Legwork's objects. */
export function roleHint(message: string): string {
  const name = /^permission denied for \w+ (\S+)$/.exec(message)?.[1] ?? "";
  if (name === "legwork" || name === "legwork_private") {
    return "Grant this login a Legwork role, such as legwork_reader for reading. `legwork roles create` creates the roles, and docs/guides/access.md explains what each may do.";
  }
  if (/^(create|grant)_roles$/.test(name)) return "Run this as the owner of the schemas legwork and graphile_worker.";
  const role = neededRole(name);
  if (role === undefined)
    return "docs/guides/access.md explains what each database role may do. For your own tables, grant the privileges yourself.";
  return `This needs the role ${role}: grant ${role} to this login. docs/guides/access.md explains what it may do.`;
}
