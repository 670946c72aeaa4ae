import { type Client, createClient } from "graphql-ws";
import { useEffect, useState, useSyncExternalStore } from "react";
import { serverUrl } from "./request.ts";
import { currentToken, refuseSession } from "./session.ts";
import { words } from "./words.ts";

/** The state of the live connection: `connecting` at first, `lost` from a broken connection until the next one is open. */
export type Connection = "idle" | "connecting" | "open" | "lost";

let connection: Connection = "idle";
const listeners = new Set<() => void>();
let client: Client | undefined;

function become(next: Connection): void {
  if (next === connection) return;
  connection = next;
  for (const listener of listeners) listener();
}

/** One connection for all subscriptions of the page; opened by the first, closed shortly after the last. */
function theClient(): Client {
  client ??= createClient({
    url: serverUrl("graphql").toString().replace(/^http/, "ws"),
    connectionParams: () => ({ authorization: `Bearer ${currentToken() ?? ""}` }),
    retryAttempts: Infinity,
    lazyCloseTimeout: 3_000,
    keepAlive: 15_000,
    // From half a second to ten, with jitter so that browsers do not all reconnect at the same moment.
    retryWait: async (retries) =>
      await new Promise((resolve) => setTimeout(resolve, Math.min(10_000, 500 * 2 ** retries) * (0.5 + Math.random() / 2))),
    shouldRetry: (event) => !(event instanceof CloseEvent && (event.code === 4401 || event.code === 4403)),
    on: {
      connecting: () => become(connection === "lost" ? "lost" : "connecting"),
      connected: () => become("open"),
      closed: (event) => {
        const { code, wasClean } = event as CloseEvent;
        if (code === 4401 || code === 4403) refuseSession();
        become(wasClean && code === 1000 ? "idle" : "lost");
      },
    },
  });
  return client;
}

/** Closes the connection, so that the next one uses the current token. */
export function disconnect(): void {
  void client?.dispose();
  client = undefined;
  become("idle");
}

export function useConnection(): Connection {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => connection,
  );
}

/**
 * The latest message of a subscription; undefined before the first one, or while `query` is null. `variables` are compared by their JSON. A hidden
 * tab receives nothing, and gets the current state when it becomes visible again.
 */
export function useLive<T>(
  query: string | null,
  variables: Readonly<Record<string, unknown>> = {},
): { data: T | undefined; error: Error | undefined } {
  const [state, setState] = useState<{ data: T | undefined; error: Error | undefined }>({ data: undefined, error: undefined });
  const isVisible = useVisible();
  const key = JSON.stringify(variables);
  useEffect(() => {
    if (query === null || !isVisible) return undefined;
    return theClient().subscribe<T>(
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
  }, [query, key, isVisible]);
  return state;
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
