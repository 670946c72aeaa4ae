import { useSyncExternalStore } from "react";

const KEY = "legwork.token";

/** Notifies the other tabs that a token was signed out. */
const signedOut = new BroadcastChannel("legwork.signed-out");

let token: string | null = takeFromAddress() ?? kept();
/** Whether the server ended the session, rather than the user. */
let wasRefused = false;
const listeners = new Set<() => void>();

signedOut.addEventListener("message", ({ data }) => {
  if (token !== null && data === token) leave(false);
});

/**
 * Reads the token from `#token=…`, the link that `legwork dashboard` prints. A fragment is never sent to the server, and it is removed from the
 * address bar immediately. The token is kept in this tab only.
 */
function takeFromAddress(): string | undefined {
  const match = /^#token=(.+)$/.exec(location.hash);
  if (match?.[1] === undefined) return undefined;
  history.replaceState(null, "", location.pathname + location.search);
  const given = decodeURIComponent(match[1]);
  sessionStorage.setItem(KEY, given);
  return given;
}

/**
 * The stored token. The tab's own token takes precedence over the browser's, so that a reload never changes who is signed in. A tab that was signed
 * out has an empty token. A new tab uses the browser's token.
 */
function kept(): string | null {
  const found = sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY);
  if (found !== null) sessionStorage.setItem(KEY, found);
  return found === "" ? null : found;
}

export function currentToken(): string | null {
  return token;
}

/** Signs in with a token, which is kept for this tab only unless `remember` is true. */
export function signIn(given: string, remember: boolean): void {
  sessionStorage.setItem(KEY, given);
  if (remember) localStorage.setItem(KEY, given);
  token = given;
  wasRefused = false;
  tell();
}

/** Signs out this tab and every other tab with the same token. */
export function signOut(): void {
  end(false);
}

/** Signs out in the same way after the server has rejected the token. */
export function refuseSession(): void {
  end(true);
}

function end(refused: boolean): void {
  if (token !== null) {
    signedOut.postMessage(token);
    // A different token in the browser's storage belongs to another sign-in.
    if (localStorage.getItem(KEY) === token) localStorage.removeItem(KEY);
  }
  leave(refused);
}

function leave(refused: boolean): void {
  sessionStorage.setItem(KEY, "");
  token = null;
  wasRefused = refused;
  tell();
}

function tell(): void {
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useToken(): string | null {
  return useSyncExternalStore(subscribe, currentToken);
}

/** Whether the server ended the last session of this tab: its token has expired or was revoked. */
export function useWasRefused(): boolean {
  return useSyncExternalStore(subscribe, () => wasRefused);
}
