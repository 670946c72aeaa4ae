import type { JobState } from "../../contract/states.ts";

/** What each state means, for whoever hovers over it. */
const MEANINGS: Readonly<Record<JobState, string>> = {
  scheduled: "Its time is ahead.",
  pending: "It may start now.",
  blocked: "It waits for a limit or for another job.",
  paused: "Its queue, its task or everything is paused.",
  running: "A worker runs it.",
  retrying: "An attempt failed; the next one is ahead.",
  completed: "It has completed.",
  failed: "Its attempts are used up, or the error is not worth a retry. It can be retried.",
  cancelled: "Somebody or something cancelled it.",
  expired: "It waited longer than it was allowed to.",
};

export function isFinished(state: string): boolean {
  return state === "completed" || state === "failed" || state === "cancelled" || state === "expired";
}

/** A state: its own colour and shape beside its word. */
export function State({ state }: { state: string }) {
  return (
    <span className="state" data-state={state} title={MEANINGS[state as JobState]}>
      <span className="state-dot" aria-hidden="true" />
      {state}
    </span>
  );
}

/** ok, warning, critical, healthy, degraded, unhealthy … in the same manner. */
export function Status({ status, title }: { status: string; title?: string }) {
  return (
    <span className="state" data-status={status} title={title}>
      <span className="state-dot" aria-hidden="true" />
      {status}
    </span>
  );
}
