import type { Health } from "../../../contract/alerts.ts";
import { formatCount } from "../../components/numbers.ts";
import { formatDuration, isFinite, secondsBetween } from "../../components/time/format-times.ts";
import type { QueueTotals } from "./queue-totals.ts";

/** How it all is, in one word and one sentence. */
export interface Verdict {
  status: "ok" | "warning" | "critical" | "unknown";
  sentence: string;
  /** What else is not well, a sentence each. */
  more: readonly string[];
}

/** What is known by now; undefined for what has not come, or is not for this token. */
export interface Known {
  live: QueueTotals | undefined;
  health: readonly Health[] | undefined;
  isStopped: boolean | undefined;
  /** Failed jobs that can be retried. */
  failed: bigint | undefined;
  /** Whose it is; null for everybody's. */
  tenant: string | null;
  now: number;
}

/** What is worst comes first: everything stopped, no worker, what the alert rules find, and else what there is to say about what is well. */
export function judge(known: Known): Verdict {
  const { live, health, isStopped, tenant } = known;
  if (isStopped === true) {
    return { status: "critical", sentence: "Everything is stopped: no job starts until somebody resumes.", more: [] };
  }
  if (live === undefined) return { status: "unknown", sentence: "Looking how everything is …", more: [] };
  if (tenant !== null) return judgeTenant(known, live, tenant);
  const waiting = live.pending + live.blocked;
  if (live.workers === 0 && waiting > 0) {
    return {
      status: "critical",
      sentence: `No Legwork worker lives while ${jobs(waiting)} ${waiting === 1 ? "waits" : "wait"}.`,
      more: problems(health),
    };
  }
  const found = problems(health);
  const [first, ...more] = found;
  if (first !== undefined) {
    // A task that has reached a rule's critical value wants somebody as much as the system itself.
    const isCritical = health?.some(({ status }) => status === "unhealthy") === true;
    return { status: isCritical ? "critical" : "warning", sentence: first, more };
  }
  if (live.workers === 0) return { status: "warning", sentence: "No Legwork worker lives. No job waits.", more: [] };
  if (health === undefined) return { status: "unknown", sentence: "Looking how everything is …", more: [] };
  return { status: "ok", sentence: `All is well: ${calm(known, live)}`, more: [] };
}

function judgeTenant({ failed, now }: Known, live: QueueTotals, tenant: string): Verdict {
  if (failed === undefined) return { status: "unknown", sentence: `Looking how the jobs of ${tenant} are …`, more: [] };
  const busy = `${jobs(live.running)} ${live.running === 1 ? "runs" : "run"}, ${waits(live, now)}`;
  if (failed > 0n) {
    return {
      status: "warning",
      sentence: `${formatCount(failed)} failed ${failed === 1n ? "job" : "jobs"} of ${tenant} can be retried; ${busy}`,
      more: [],
    };
  }
  return { status: "ok", sentence: `Nothing of ${tenant} has failed: ${busy}`, more: [] };
}

/** What is not healthy, the system's own troubles first, in sentences. */
function problems(health: readonly Health[] | undefined): string[] {
  const ill = (health ?? []).filter(({ status }) => status !== "healthy");
  const system = ill.filter(({ scope }) => scope === "system").flatMap(({ reasons }) => reasons);
  const things = ill.filter(({ scope }) => scope !== "system");
  // The system tells of every thing that is not well; the thing itself says why.
  const named = new Set(things.map(({ scope, name, status }) => `${scope} ${name} is ${status}.`.toLowerCase()));
  return [...system.filter((reason) => !named.has(reason.toLowerCase())), ...things.flatMap(({ reasons }) => reasons)];
}

function calm({ failed, now }: Known, live: QueueTotals): string {
  const workers = `${formatCount(live.workers)} ${live.workers === 1 ? "worker runs" : "workers run"} ${jobs(live.running)}`;
  const kept =
    failed === undefined || failed === 0n
      ? ""
      : ` ${formatCount(failed)} failed ${failed === 1n ? "job is" : "jobs are"} kept to be retried.`;
  return `${workers}, ${waits(live, now)}${kept}`;
}

function waits(live: QueueTotals, now: number): string {
  if (live.pending + live.blocked === 0) return "and none waits.";
  const count = live.pending + live.blocked;
  const since = isFinite(live.oldest) ? Math.floor(secondsBetween(live.oldest, now)) : 0;
  return `and ${jobs(count)} ${count === 1 ? "waits" : "wait"}${since >= 1 ? `, the longest for ${formatDuration(since)}` : ""}.`;
}

function jobs(count: number): string {
  return count === 0 ? "no job" : `${formatCount(count)} ${count === 1 ? "job" : "jobs"}`;
}
