import { durationOutOfRange, millisecondsToInterval, parseDuration } from "../duration.ts";
import { LegworkError } from "../errors.ts";
import { toSnakeCase } from "../snake-case.ts";

/** The filter fields whose values are durations. */
const PERIODS = ["failedSince", "finishedSince"] as const;

/** Converts a filter for `legwork_private.live_jobs_like`, `failed_jobs_like` and `finished_jobs_like`. Throws LW400 for an invalid duration. */
export function toFilter(filter: object): string {
  const given: Record<string, unknown> = { ...filter };
  for (const name of PERIODS) {
    if (given[name] !== undefined) given[name] = toInterval(name, given[name]);
  }
  return JSON.stringify(toSnakeCase(given));
}

/** Converts the duration of a filter to a Postgres interval. Throws LW400 for anything else. */
export function toInterval(name: string, value: unknown): string {
  const milliseconds = parseDuration(value);
  if (milliseconds === undefined) {
    const message = durationOutOfRange(name, value);
    throw new LegworkError("LW400", message, { hint: "For example 10m, 2h or 1d.", fields: [{ path: [name], message }] });
  }
  return millisecondsToInterval(milliseconds);
}
