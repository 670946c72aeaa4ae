import { COUNT_FIELDS } from "../contract/jobs.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { toFilter } from "./job-filter.ts";
import type { JobFilter } from "./read-jobs.ts";

/** The fields by which jobs can be counted. */
export type CountField = (typeof COUNT_FIELDS)[number];

/** The fields of a job filter that counting supports. */
export type CountFilter = Omit<JobFilter, "payload" | "brief" | "before" | "after" | "order" | "limit">;

/** A row of `legwork.count_jobs()`. */
export interface JobCount {
  field: CountField;
  /** The state, task, queue, tenant or worker. */
  value: string;
  /** At most 10,000. */
  jobs: number;
  /** Whether there are, or may be, more jobs than `jobs`. */
  is_capped: boolean;
}

/**
 * Counts the jobs that match by one or more fields, largest count first. The counts for a field ignore the filter's condition on that field. If there
 * are more than 2,000 unfinished jobs, their counts are a few seconds old. Throws LW400 for a field by which jobs cannot be counted.
 *
 * @example
 * import { countJobs } from "legwork/operations";
 *
 * const byTask = await countJobs(client, { state: "failed" }, "task");
 */
export async function countJobs(
  client: Queryable,
  filter: CountFilter,
  by: CountField | readonly CountField[],
): Promise<JobCount[]> {
  return await callFunction(client, "legwork.count_jobs", {
    filter: toFilter({ ...filter, ...(filter.priority === undefined ? {} : { priority: String(filter.priority) }) }),
    by: typeof by === "string" ? [by] : by,
  });
}
