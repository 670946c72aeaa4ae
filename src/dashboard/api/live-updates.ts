import { focusManager } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";

let isPaused = false;
const listeners = new Set<() => void>();

/**
 * Pauses or resumes automatic updates: the live connection and polling. Data that the user requests by opening a page or making a change is still
 * fetched. Applies to this tab until it is closed.
 */
export function pauseUpdates(paused: boolean): void {
  isPaused = paused;
  // TanStack Query does not poll while the window counts as unfocused.
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
