import type { Limit } from "../contract/queues.ts";
import { formatNumber } from "../wording.ts";
import { periodText } from "./duration-text.ts";

/** `5 at a time`, `100 per minute for each tenant`. */
export function describeLimit({ kind, max, per, key }: Limit): string {
  return `${formatNumber(max)} ${kind === "rate" ? `per ${periodText(per ?? "")}` : "at a time"}${key === undefined ? "" : ` for each ${key}`}`;
}

/** The reason for a pause, to follow the actor's name: `: the reason`, or an empty string. */
export function describeReason(text: string | null): string {
  return text === null ? "" : `: ${text}`;
}
