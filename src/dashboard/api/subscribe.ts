import { type Client, createClient } from "graphql-ws";
import { useEffect, useState, useSyncExternalStore } from "react";
import { useUpdatesPaused } from "./live-updates.ts";
import { check, onReturn } from "./reach.ts";
import { serverUrl } from "./request.ts";
import { currentToken, refuseSession } from "./session.ts";
import { words } from "./words.ts";

/**
 * The state of the live connection: `idle` while the page has no subscriptions, `connecting` at first, `lost` after a connection has broken and until
 * the next one is open, `barred` after several failed attempts in a row to open one.
 */
type Connection = "idle" | "connecting" | "open" | "lost" | "barred";

/** How long a connection may take to open (ms). Some proxies accept a WebSocket request and never respond to it. */
const OPEN_LIMIT_MS = 10_000;

/** After how many failures in a row the connection counts as `barred`. */
const BARRED_AFTER = 3;

let connection: Connection = "idle";
/** The number of subscriptions. Without any, a broken connection is not reopened and does not count as lost. */
let subscriptions = 0;
const listeners = new Set<() => void>();
const reopened = new Set<() => void>();
let client: Client | undefined;
let failures = 0;
let overdue: ReturnType<typeof setTimeout> | undefined;

function become(next: Connection): void {
  if (next === connection) return;
  const wasLost = isBroken();
  connection = next;
  for (const listener of listeners) listener();
  if (isBroken()) check();
  if (next === "open" && wasLost) for (const listener of reopened) listener();
}

function isBroken(): boolean {
  return connection === "lost" || connection === "barred";
}

/** Records that a connection could not be opened, or has broken. */
function failed(): void {
  clearTimeout(overdue);
  failures += 1;
  become(failures >= BARRED_AFTER ? "barred" : "lost");
}

/** Calls the listener each time a broken connection has been reopened. Returns a function that removes the listener. */
export function onReopened(listener: () => void): () => void {
  reopened.add(listener);
  return () => reopened.delete(listener);
}

/** Waits for a time (ms), or until the server is reachable again if that happens sooner. */
async function untilReturn(ms: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const stop = onReturn(done);
    const timer = setTimeout(done, ms);
    function done(): void {
      stop();
      clearTimeout(timer);
      resolve();
    }
  });
}

/** One connection for all subscriptions of the page. The first subscription opens it; it is closed shortly after the last one has ended. */
function theClient(): Client {
  client ??= createClient({
    url: serverUrl("graphql").toString().replace(/^http/, "ws"),
    connectionParams: () => ({ authorization: `Bearer ${currentToken() ?? ""}` }),
    retryAttempts: Infinity,
    lazyCloseTimeout: 3_000,
    keepAlive: 15_000,
    connectionAckWaitTimeout: OPEN_LIMIT_MS,
    // Waits between half a second and ten seconds, with jitter so that browsers do not all reconnect at the same moment.
    retryWait: async (retries) => await untilReturn(Math.min(10_000, 500 * 2 ** retries) * (0.5 + Math.random() / 2)),
    shouldRetry: (event) => !(event instanceof CloseEvent && (event.code === 4401 || event.code === 4403)),
    on: {
      connecting: () => {
        if (!isBroken()) become("connecting");
        clearTimeout(overdue);
        overdue = setTimeout(() => {
          failures = BARRED_AFTER;
          failed();
        }, OPEN_LIMIT_MS);
      },
      connected: () => {
        clearTimeout(overdue);
        failures = 0;
        become("open");
      },
      closed: (event) => {
        const { code, wasClean } = event as CloseEvent;
        if (code === 4401 || code === 4403) refuseSession();
        clearTimeout(overdue);
        if (wasClean && code === 1000) become("idle");
        else failed();
      },
    },
  });
  return client;
}

/** Closes the connection, so that the next one uses the current token. */
export function disconnect(): void {
  void client?.dispose();
  client = undefined;
  clearTimeout(overdue);
  become("idle");
}

export function useConnection(): Connection {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => (subscriptions === 0 ? "idle" : connection),
  );
}

/**
 * The latest message of a subscription; undefined before the first one, or while `query` is null. `variables` are compared by their JSON. While a tab
 * is hidden or its updates are paused, it receives no messages; afterwards it gets the current state.
 */
export function useLive<T>(
  query: string | null,
  variables: Readonly<Record<string, unknown>> = {},
): { data: T | undefined; error: Error | undefined } {
  const [state, setState] = useState<{ data: T | undefined; error: Error | undefined }>({ data: undefined, error: undefined });
  const isVisible = useVisible();
  const isPaused = useUpdatesPaused();
  const key = JSON.stringify(variables);
  useEffect(() => {
    if (query === null || !isVisible || isPaused) return undefined;
    countSubscriptions(1);
    const stop = theClient().subscribe<T>(
      { query, variables: JSON.parse(key) as Record<string, unknown> },
      {
        next: ({ data, errors }) => {
          const message = errors?.[0]?.message;
          if (message !== undefined) setState((last) => ({ data: last.data, error: new Error(message) }));
          else setState({ data: data ?? undefined, error: undefined });
        },
        error: (error) => {
          const text = Array.isArray(error) ? (error[0] as { message: string }).message : words.liveEnded;
          setState((last) => ({ data: last.data, error: new Error(text) }));
        },
        complete: () => undefined,
      },
    );
    return () => {
      stop();
      countSubscriptions(-1);
    };
  }, [query, key, isVisible, isPaused]);
  return state;
}

function countSubscriptions(change: 1 | -1): void {
  subscriptions += change;
  for (const listener of listeners) listener();
}

function useVisible(): boolean {
  return useSyncExternalStore(
    (listener) => {
      document.addEventListener("visibilitychange", listener);
      return () => document.removeEventListener("visibilitychange", listener);
    },
    () => document.visibilityState === "visible",
  );
}
