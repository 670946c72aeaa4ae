import { parseDuration } from "legwork";
import { z } from "zod";

const HOUR_MS = 3_600_000;

/** A payload's time limit, from 1 ms to 1 h. `example` is shown with what does not fit. */
export function timeLimit(example: string): z.ZodString {
  return z
    .string()
    .max(20)
    .refine((value) => {
      const limit = parseDuration(value);
      return limit !== undefined && limit >= 1 && limit <= HOUR_MS;
    }, `expected a time such as ${example}, at most 1h`);
}

/** The time limit of a payload that has been checked (ms). */
export function millisecondsOf(checked: string): number {
  const milliseconds = parseDuration(checked);
  if (milliseconds === undefined) throw new TypeError(`'${checked}' is not a duration.`);
  return milliseconds;
}
