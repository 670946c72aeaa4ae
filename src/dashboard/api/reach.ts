import { useSyncExternalStore } from "react";

/** Whether the server can be reached. One state for the whole dashboard: every request and the live connection report to it. */
interface Reach {
  isAway: boolean;
  /** When the server last responded (ms since 1970): while the server is away, the page shows data from that time. */
  respondedAt: number;
}

/** How often an unreachable server is tried (ms). */
const PROBE_MS = 2_000;

let reach: Reach = { isAway: false, respondedAt: Date.now() };
let probe: (() => Promise<unknown>) | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;
const listeners = new Set<() => void>();
const returns = new Set<() => void>();

/** Sets the request that finds out whether the server is back; it reports its outcome like every other request. */
export function setProbe(request: () => Promise<unknown>): void {
  probe = request;
}

/** Any response, even a refusal. Everything that waits for the server continues. */
export function reportResponse(): void {
  if (!reach.isAway) {
    // Shown only while the server is away, so nothing is rendered for it.
    reach.respondedAt = Date.now();
    return;
  }
  become({ isAway: false, respondedAt: Date.now() });
  clearTimeout(timer);
  for (const listener of returns) listener();
}

export function reportAway(): void {
  if (!reach.isAway) become({ ...reach, isAway: true });
  clearTimeout(timer);
  timer = setTimeout(check, PROBE_MS);
}

/** Finds out at once whether the server can be reached. */
export function check(): void {
  void probe?.().catch(() => undefined);
}

/** Calls the listener each time the server is back after it was away. Returns a function that removes the listener. */
export function onReturn(listener: () => void): () => void {
  returns.add(listener);
  return () => returns.delete(listener);
}

/** Resolves to true once an unreachable server is back, and to false at once if it can be reached. */
export async function untilBack(): Promise<boolean> {
  await probe?.().catch(() => undefined);
  if (!reach.isAway) return false;
  await new Promise<void>((resolve) => {
    const stop = onReturn(() => {
      stop();
      resolve();
    });
  });
  return true;
}

function become(next: Reach): void {
  reach = next;
  for (const listener of listeners) listener();
}

export function useReach(): Reach {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => reach,
  );
}

addEventListener("online", check);
