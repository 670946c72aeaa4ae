import type { Limit } from "../contract/queues.ts";

/** `5 at a time`, `100 per minute per tenant`. */
export function describeLimit({ kind, max, per, key }: Limit): string {
  return `${max} ${kind === "rate" ? `per ${per}` : "at a time"}${key === undefined ? "" : ` per ${key}`}`;
}

/** The reason for a pause, to follow the name of who paused it: `: the reason`, or an empty string. */
export function describeReason(text: string | null): string {
  return text === null ? "" : `: ${text}`;
}
