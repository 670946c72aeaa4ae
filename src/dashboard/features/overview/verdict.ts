import type { Health } from "../../../contract/alerts.ts";

import { formatDuration, isFinite, secondsBetween } from "../../components/time/format-times.ts";
import type { QueueTotals } from "./queue-totals.ts";
import { words } from "./words.ts";

/** The state of the system in one word and one sentence. */
export interface Verdict {
  status: "ok" | "warning" | "critical" | "unknown";
  sentence: string;
  /** Further problems, one sentence each. */
  more: readonly string[];
}

/** The data that has arrived so far. A field is undefined until its data arrives, and if the token may not read it. */
export interface Known {
  live: QueueTotals | undefined;
  health: readonly Health[] | undefined;
  isStopped: boolean | undefined;
  /** Failed jobs that can be retried. */
  failed: bigint | undefined;
  /** The tenant of the token; null for all tenants. */
  tenant: string | null;
  now: number;
}

/**
 * Judges the state of the system. The worst problem comes first: emergency stop, no workers, problems found by alert rules. Without problems, the
 * sentence summarizes the normal state.
 */
export function judge(known: Known): Verdict {
  const { live, health, isStopped, tenant } = known;
  if (isStopped === true) {
    return { status: "critical", sentence: words.stopped, more: [] };
  }
  if (live === undefined) return { status: "unknown", sentence: words.checking, more: [] };
  if (tenant !== null) return judgeTenant(known, live, tenant);
  const waiting = live.pending + live.blocked;
  if (live.workers === 0 && waiting > 0) {
    return {
      status: "critical",
      sentence: words.noWorkersWaiting(waiting),
      more: problems(health),
    };
  }
  const found = problems(health);
  const [first, ...more] = found;
  if (first !== undefined) {
    // A task that has reached the critical value of a rule is as urgent as a problem of the system itself.
    const isCritical = health?.some(({ status }) => status === "unhealthy") === true;
    return { status: isCritical ? "critical" : "warning", sentence: first, more };
  }
  if (live.workers === 0) return { status: "warning", sentence: words.noWorkersIdle, more: [] };
  if (health === undefined) return { status: "unknown", sentence: words.checking, more: [] };
  return { status: "ok", sentence: words.allNormal(live.workers, loadOf(live, known.now), known.failed), more: [] };
}

function judgeTenant({ failed, now }: Known, live: QueueTotals, tenant: string): Verdict {
  if (failed === undefined) return { status: "unknown", sentence: words.checkingTenant(tenant), more: [] };
  const load = loadOf(live, now);
  if (failed > 0n) return { status: "warning", sentence: words.tenantFailed(tenant, failed, load), more: [] };
  return { status: "ok", sentence: words.tenantNormal(tenant, load), more: [] };
}

/** The reasons why the system and its parts are not healthy, those of the system itself first. */
function problems(health: readonly Health[] | undefined): string[] {
  const ill = (health ?? []).filter(({ status }) => status !== "healthy");
  const system = ill.filter(({ scope }) => scope === "system").flatMap(({ reasons }) => reasons);
  const parts = ill.filter(({ scope }) => scope !== "system");
  // The reasons of the system name every part that is not healthy; the reasons of the part explain why.
  const named = new Set(parts.map(({ scope, name, status }) => `${scope} ${name} is ${status}.`.toLowerCase()));
  return [...system.filter((reason) => !named.has(reason.toLowerCase())), ...parts.flatMap(({ reasons }) => reasons)];
}

/** The number of running and waiting jobs, and how long the oldest waiting job has been due. */
function loadOf(live: QueueTotals, now: number): string {
  const waiting = live.pending + live.blocked;
  const since = waiting > 0 && isFinite(live.oldest) ? Math.floor(secondsBetween(live.oldest, now)) : 0;
  return words.load(live.running, waiting, since >= 1 ? formatDuration(since) : undefined);
}
