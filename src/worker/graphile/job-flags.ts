import type { Job } from "graphile-worker";

/** As legwork_private.flag_value() does it: what a job's flags say under a name: `acme` for `tenant` when it has the flag `tenant:acme`. Null when they say nothing. */
export function flagValue(job: Job, name: string): string | null {
  if (job.flags == null) return null;
  const flag = Object.keys(job.flags).find((key) => key.startsWith(`${name}:`));
  return flag === undefined ? null : flag.slice(name.length + 1);
}
