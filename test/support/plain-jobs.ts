import { type FoundJob, getJob, type JobState } from "../../src/jobs/read-jobs.ts";
import type { TestDatabase } from "./database.ts";
import { until } from "./until.ts";

/** Adds jobs as a client of graphile-worker does, and waits for their results. */
export function plainJobs(database: TestDatabase) {
  const becomes = async (id: string, what: string, is: (job: FoundJob) => boolean): Promise<FoundJob> =>
    await until(`job ${id} ${what}`, async () => {
      const job = await getJob(database.pool, id);
      return is(job) ? job : undefined;
    });
  return {
    /** `options` is additional SQL for the call of `add_job`, such as `, max_attempts => 1`. */
    add: async (task: string, payload: unknown = {}, options = ""): Promise<string> => {
      const { rows } = await database.pool.query(`select id from graphile_worker.add_job($1, $2${options})`, [
        task,
        JSON.stringify(payload),
      ]);
      return rows[0].id;
    },
    ended: async (id: string): Promise<FoundJob> => await becomes(id, "has ended", (job) => job.finished_at !== null),
    reaches: async (id: string, state: JobState): Promise<FoundJob> =>
      await becomes(id, `is ${state}`, (job) => job.state === state),
    state: async (id: string): Promise<JobState> => (await getJob(database.pool, id)).state,
  };
}
