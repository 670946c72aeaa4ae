import { useSyncExternalStore } from "react";

const KEY = "legwork.token";

let token: string | null = takeFromAddress() ?? localStorage.getItem(KEY) ?? sessionStorage.getItem(KEY);
const listeners = new Set<() => void>();

/** `#token=…`, as `legwork up` prints it. What follows # is never sent to a server; it also leaves the address bar at once. */
function takeFromAddress(): string | undefined {
  const match = /^#token=(.+)$/.exec(location.hash);
  if (match?.[1] === undefined) return undefined;
  history.replaceState(null, "", location.pathname + location.search);
  const given = decodeURIComponent(match[1]);
  localStorage.setItem(KEY, given);
  return given;
}

export function currentToken(): string | null {
  return token;
}

/** Kept for this tab only unless `remember` is true. */
export function signIn(given: string, remember: boolean): void {
  (remember ? localStorage : sessionStorage).setItem(KEY, given);
  token = given;
  for (const listener of listeners) listener();
}

/** Also when the server says that the token is not valid any more. */
export function signOut(): void {
  localStorage.removeItem(KEY);
  sessionStorage.removeItem(KEY);
  token = null;
  for (const listener of listeners) listener();
}

export function useToken(): string | null {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, currentToken);
}
