/** What is known of a provider; those of a service in the order of their priority. */
export interface Quota {
  service: string;
  provider: string;
  quota: number;
  used: number;
  resetsAt: Date;
  stateBefore: string | null;
  activeBefore: boolean | null;
}

export interface Judged extends Quota {
  percent: number;
  state: "ok" | "warning" | "switched" | "blocked";
  active: boolean;
}

/**
 * The state of every provider, and which one of each service is to be asked: the first below `switchAt`; when all are above, the
 * first that is not blocked; when all are blocked, none. So the first is asked again as soon as its window resets.
 */
export function judge(
  quotas: readonly Quota[],
  { warnAt, switchAt, blockAt }: { warnAt: number; switchAt: number; blockAt: number },
): Judged[] {
  const judged = quotas.map((quota): Judged => {
    // Nothing allowed is nothing left.
    const share = quota.quota > 0 ? (100 * quota.used) / quota.quota : 100;
    const state = share >= blockAt ? "blocked" : share >= switchAt ? "switched" : share >= warnAt ? "warning" : "ok";
    return { ...quota, percent: Math.round(share * 100) / 100, state, active: false };
  });
  for (const service of new Set(judged.map((entry) => entry.service))) {
    const own = judged.filter((entry) => entry.service === service);
    const active =
      own.find(({ state }) => state === "ok" || state === "warning") ?? own.find(({ state }) => state === "switched");
    if (active !== undefined) active.active = true;
  }
  return judged;
}
