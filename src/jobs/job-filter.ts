import { toSnakeCase } from "../snake-case.ts";

/** Converts a filter for `legwork_private.live_jobs_like`, `failed_jobs_like` and `finished_jobs_like`. */
export function toFilter(filter: object): string {
  return JSON.stringify(toSnakeCase(filter));
}
