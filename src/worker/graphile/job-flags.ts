import type { Job } from "graphile-worker";

/**
 * Returns the value of a job's flag, like legwork_private.flag_value(): for `tenant`, this is `acme` if the job has the flag `tenant:acme`. Null if
 * the job does not have the flag.
 */
export function flagValue(job: Job, name: string): string | null {
  if (job.flags == null) return null;
  const flag = Object.keys(job.flags).find((key) => key.startsWith(`${name}:`));
  return flag === undefined ? null : flag.slice(name.length + 1);
}
