import { focusManager } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";

let isPaused = false;
const listeners = new Set<() => void>();

/**
 * Pauses or resumes all updates that the user did not ask for: the live connection and repeated requests. What the user opens or changes is still
 * fetched. In this tab, until it is closed.
 */
export function pauseUpdates(paused: boolean): void {
  isPaused = paused;
  // Without the focus, queries are not repeated.
  focusManager.setFocused(paused ? false : undefined);
  for (const listener of listeners) listener();
}

export function useUpdatesPaused(): boolean {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => isPaused,
  );
}
