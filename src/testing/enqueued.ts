import { AssertionError } from "node:assert";
import type { Queryable } from "../db/pool.ts";
import type { JobRow, JobState } from "../jobs/read-jobs.ts";
import { counted } from "../wording.ts";

/** Selects jobs that have not ended. A job must match all given fields. */
export interface EnqueuedFilter {
  task?: string;
  /** The values that the payload must contain, at any depth; other fields are ignored. */
  payload?: unknown;
  state?: JobState;
  queue?: string;
  tenant?: string;
  jobKey?: string;
  serialKey?: string;
  priority?: number;
  parentId?: string;
  correlationId?: string;
}

const COLUMNS = {
  task: "task",
  state: "state::text",
  queue: "queue",
  tenant: "tenant",
  jobKey: "job_key",
  serialKey: "serial_key",
  priority: "priority",
  parentId: "parent_id",
  correlationId: "correlation_id",
} as const;

/** Returns the matching jobs that have not ended, oldest first. */
export async function findEnqueued(client: Queryable, filter: EnqueuedFilter): Promise<JobRow[]> {
  const { payload, ...plain } = filter;
  const values: unknown[] = [];
  const conditions = ["finished_at is null"];
  for (const [name, value] of Object.entries(plain)) {
    if (value === undefined) continue;
    values.push(value);
    conditions.push(`${COLUMNS[name as keyof typeof COLUMNS]} = $${values.length}`);
  }
  if (payload !== undefined) {
    values.push(JSON.stringify(payload));
    // The view shows the redacted payload.
    conditions.push(
      `(select j.payload::jsonb from legwork_private.graphile_jobs j where j.id = jobs.id) @> $${values.length}::jsonb`,
    );
  }
  const { rows } = await client.query(`select * from legwork.jobs where ${conditions.join(" and ")} order by id`, values);
  return rows;
}

/** Throws an AssertionError that lists the enqueued jobs unless `count` jobs match (without a count, at least one). */
export async function assertEnqueued(client: Queryable, filter: EnqueuedFilter, count: number | undefined): Promise<JobRow[]> {
  const found = await findEnqueued(client, filter);
  if (count === undefined ? found.length > 0 : found.length === count) return found;
  const wanted = JSON.stringify(filter);
  const all = await findEnqueued(client, {});
  const listed = all.slice(0, 20).map((job) => `  ${job.id} ${job.task} ${job.state} ${JSON.stringify(job.payload)}`);
  const more = all.length > 20 ? [`  and ${all.length - 20} more`] : [];
  throw new AssertionError({
    message: [
      `Expected ${count === undefined ? "a job" : counted(count, "job")} like ${wanted}, found ${found.length}. ` +
        (all.length === 0 ? "No jobs are enqueued." : "Enqueued jobs:"),
      ...listed,
      ...more,
    ].join("\n"),
    actual: found.length,
    expected: count ?? 1,
    operator: "enqueued",
  });
}
