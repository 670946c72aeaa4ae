import { toSnakeCase } from "../snake-case.ts";

/** What names jobs, as the filters of SQL take it: `legwork_private.live_jobs_like`, `failed_jobs_like` and `finished_jobs_like`. */
export function toFilter(filter: object): string {
  return JSON.stringify(toSnakeCase(filter));
}
