import { Discard, RetryAfter } from "legwork";
import { type Answer, retryAfter } from "./guarded-fetch.ts";

/** Statuses below 500 that do not mean that the request is invalid: another attempt may succeed. */
const PASSING = new Set([408, 409, 425, 429]);

/**
 * Throws unless the status is 2xx: a RetryAfter for 429 and 503 with a Retry-After header, a Discard if the status means that the request is invalid,
 * otherwise an Error, which is retried. The message contains only the status, never the response's body.
 */
export function assertAnswered(answer: Answer, who: string): void {
  const { status } = answer;
  if (status >= 200 && status < 300) return;
  const message = `${who} returned status ${status}.`;
  const at = status === 429 || status === 503 ? retryAfter(answer) : undefined;
  if (at !== undefined) throw new RetryAfter(at, message);
  if (status < 500 && !PASSING.has(status)) throw new Discard(message);
  throw new Error(message);
}
