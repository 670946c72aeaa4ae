import type { JobState } from "../../contract/states.ts";
import { common } from "./words.ts";

export function isFinished(state: string): boolean {
  return state === "completed" || state === "failed" || state === "cancelled" || state === "expired";
}

/** A job state: a color and a shape next to its name, with its meaning in a tooltip. */
export function State({ state }: { state: string }) {
  return (
    <span className="state" data-state={state} title={common.stateMeanings[state as JobState]}>
      <span className="state-dot" aria-hidden="true" />
      {state}
    </span>
  );
}

/** Other states in the same style: ok, warning, critical, healthy, degraded, unhealthy. */
export function Status({ status, title }: { status: string; title?: string }) {
  return (
    <span className="state" data-status={status} title={title}>
      <span className="state-dot" aria-hidden="true" />
      {status}
    </span>
  );
}
