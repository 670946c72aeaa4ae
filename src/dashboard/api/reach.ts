import { useSyncExternalStore } from "react";

/** Whether the server can be reached. The whole dashboard shares this state: every request and the live connection report to it. */
interface Reach {
  isAway: boolean;
  /** When the server last responded (ms since 1970). While the server is unreachable, the page shows data from that time. */
  respondedAt: number;
}

/** How often an unreachable server is probed (ms). */
const PROBE_MS = 2_000;

let reach: Reach = { isAway: false, respondedAt: Date.now() };
let probe: (() => Promise<unknown>) | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;
const listeners = new Set<() => void>();
const returns = new Set<() => void>();

/** Sets the request that checks whether the server is reachable again. It reports its outcome like every other request. */
export function setProbe(request: () => Promise<unknown>): void {
  probe = request;
}

/** Records that the server has responded, even if it rejected the request. Everything that waits for the server continues. */
export function reportResponse(): void {
  if (!reach.isAway) {
    // The time is shown only while the server is unreachable, so changing it does not need a render.
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

/** Checks immediately whether the server can be reached. */
export function check(): void {
  void probe?.().catch(() => undefined);
}

/** Calls the listener each time the server becomes reachable again. Returns a function that removes the listener. */
export function onReturn(listener: () => void): () => void {
  returns.add(listener);
  return () => returns.delete(listener);
}

/** Resolves to true once an unreachable server is reachable again, or to false immediately if it is reachable now. */
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
