/** A provider's quota and usage. The providers of a service are ordered by priority. */
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
 * Determines the state of every provider and the active provider of each service: the first provider below `switchAt`; if all are above it, the first
 * that is not blocked; if all are blocked, no provider. The first provider therefore becomes active again as soon as its period resets.
 */
export function judge(
  quotas: readonly Quota[],
  { warnAt, switchAt, blockAt }: { warnAt: number; switchAt: number; blockAt: number },
): Judged[] {
  const judged = quotas.map((quota): Judged => {
    // A quota of zero is always exhausted.
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
