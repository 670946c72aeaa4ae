import { parseDuration } from "legwork";
import { z } from "zod";

const HOUR_MS = 3_600_000;

/** A time limit in a payload, from 1 ms to 1 h. `example` is shown in the message for an invalid value. */
export function timeLimit(example: string): z.ZodString {
  return z
    .string()
    .max(20)
    .refine((value) => {
      const limit = parseDuration(value);
      return limit !== undefined && limit >= 1 && limit <= HOUR_MS;
    }, `expected a duration such as ${example}, at most 1h`);
}

/** Returns a validated time limit (ms). */
export function millisecondsOf(checked: string): number {
  const milliseconds = parseDuration(checked);
  if (milliseconds === undefined) throw new TypeError(`'${checked}' is not a duration.`);
  return milliseconds;
}
