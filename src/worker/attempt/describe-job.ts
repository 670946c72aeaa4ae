import type { Job } from "graphile-worker";
import type { RunningJob } from "../../jobs/running-job.ts";
import { flagValue } from "../graphile/job-flags.ts";
import type { LoadedTask } from "../load-tasks.ts";

/** Describes a fetched job for its task, for middleware and for listeners. */
export function describeJob(job: Job, task: LoadedTask): RunningJob {
  return {
    id: job.id,
    task: task.name,
    queue: task.definition?.queue ?? "default",
    priority: job.priority,
    attempts: job.attempts,
    maxAttempts: job.max_attempts,
    runAt: job.run_at,
    createdAt: job.created_at,
    jobKey: givenKey(job.key),
    tenant: flagValue(job, "tenant"),
    correlationId: flagValue(job, "correlation") ?? job.id,
    parentId: flagValue(job, "parent"),
  };
}

/** Removes the tenant, which is part of the key in graphile-worker's table. Does the same as legwork.given_key(). */
function givenKey(key: string | null): string | null {
  return key?.replace(/^tenant~[^:]*:/, "") ?? null;
}
