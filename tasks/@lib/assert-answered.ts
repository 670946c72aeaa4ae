import { Discard, RetryAfter } from "legwork";
import { type Answer, retryAfter } from "./guarded-fetch.ts";

/** Statuses below 500 that say nothing about the request itself: another attempt may do. */
const PASSING = new Set([408, 409, 425, 429]);

/**
 * Throws for an answer that is no success: a RetryAfter when it says when to come back, a Discard when it says that the request is
 * wrong, else an Error, which is retried. What the answer says beside its status is kept to itself.
 */
export function assertAnswered(answer: Answer, who: string): void {
  const { status } = answer;
  if (status >= 200 && status < 300) return;
  const message = `${who} answers with status ${status}.`;
  const at = status === 429 || status === 503 ? retryAfter(answer) : undefined;
  if (at !== undefined) throw new RetryAfter(at, message);
  if (status < 500 && !PASSING.has(status)) throw new Discard(message);
  throw new Error(message);
}
