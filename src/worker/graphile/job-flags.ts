import type { Job } from "graphile-worker";

/**
 * Returns the value of a job's flag, like legwork_private.flag_value(): `acme` for `tenant` if the job has the flag `tenant:acme`. Null without the
 * flag.
 */
export function flagValue(job: Job, name: string): string | null {
  if (job.flags == null) return null;
  const flag = Object.keys(job.flags).find((key) => key.startsWith(`${name}:`));
  return flag === undefined ? null : flag.slice(name.length + 1);
}
