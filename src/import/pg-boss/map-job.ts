import { formatNumber } from "../../wording.ts";
import type { ImportState, OptionNote, SourceJob } from "../source.ts";

/** A row of pg-boss's job table, as JSON. Columns that a version of pg-boss lacks are missing. */
export interface JobRow {
  readonly id: string;
  readonly name: string;
  readonly state: "created" | "retry";
  readonly priority: number;
  readonly retry_limit: number;
  readonly retry_count: number;
  readonly retry_delay: number;
  readonly retry_backoff: boolean;
  readonly retry_delay_max?: number | null;
  readonly started_on: string | null;
  readonly singleton_key: string | null;
  readonly singleton_on: string | null;
  readonly dead_letter?: string | null;
  readonly policy: string | null;
  readonly group_id?: string | null;
  readonly heartbeat_seconds?: number | null;
  readonly blocked?: boolean;
}

export interface JobTimes {
  /** In UTC, with microseconds; null for a job that is due. */
  readonly runAt: string | null;
  /** The time after which pg-boss would delete the job. */
  readonly keepUntil: string | null;
  readonly isPast: boolean;
  /** How long an attempt may take (seconds). */
  readonly expireSeconds: number;
}

/** Policies under which pg-boss runs one job per key at a time. */
const SERIAL = new Set(["singleton", "stately", "exclusive", "key_strict_fifo"]);
/** Policies under which only one job per key may wait. */
const UNIQUE = new Set(["short", "exclusive"]);

/** pg-boss's default: an attempt may take 15 minutes. */
const DEFAULT_EXPIRE_SECONDS = 900;
const LONGEST_SERIAL_KEY = 128;
const LONGEST_JOB_KEY = 512;

export function mapPgBossJob(row: JobRow, payload: string | null, times: JobTimes, dependsOn?: readonly string[]): SourceJob {
  const notes: OptionNote[] = [];
  const note = (option: string, text: string): void => void notes.push({ option, text });

  // pg-boss runs the highest number first, Legwork the lowest.
  const priority = Math.max(-32_768, Math.min(32_767, -row.priority));
  if (row.priority !== 0) {
    const isClamped = priority !== -row.priority;
    note(
      "priority",
      isClamped ? `becomes ${formatNumber(priority)}, the limit` : "is negated, because Legwork runs the lowest number first",
    );
  }
  const left = Math.max(1, row.retry_limit - row.retry_count + (row.started_on === null ? 1 : 0));
  if (row.retry_backoff || row.retry_delay > 0) note("retryDelay", retryText(row));
  if (times.expireSeconds !== DEFAULT_EXPIRE_SECONDS)
    note("expireInSeconds", `is the task's setting: timeout: "${times.expireSeconds}s"`);
  if (typeof row.dead_letter === "string")
    note("deadLetter", `'${row.dead_letter}' is no longer used: failed jobs are kept, and \`legwork failed\` lists them`);
  if (typeof row.group_id === "string") note("group", 'is the task\'s setting: concurrency: { limit, key: "…" }');
  if (typeof row.heartbeat_seconds === "number") note("heartbeatSeconds", "is not needed: workers send heartbeats themselves");
  if (row.singleton_on !== null) note("singletonSeconds", "no longer applies: use throttle or uniqueFor when enqueueing");

  const key = row.singleton_key === null || row.singleton_key === "" ? row.name : `${row.name}:${row.singleton_key}`;
  const serialKey = SERIAL.has(row.policy ?? "") && key.length <= LONGEST_SERIAL_KEY ? key : undefined;
  const jobKey = UNIQUE.has(row.policy ?? "") && row.state === "created" && key.length <= LONGEST_JOB_KEY ? key : undefined;
  if (serialKey !== undefined) note(`policy ${row.policy}`, "becomes the serial key <queue>:<singletonKey>: one job at a time");
  if (jobKey !== undefined) note(`policy ${row.policy}`, "becomes the job key <queue>:<singletonKey>: one waiting job");
  if (serialKey === undefined && jobKey === undefined && row.singleton_key !== null && row.singleton_on === null)
    note("singletonKey", "is dropped: these jobs were not unique, and all are imported");
  if (dependsOn !== undefined) note("dependsOn", "becomes dependencies: if one fails, the job is cancelled");

  return {
    id: `pg-boss:${row.name}:${row.id}`,
    sourceId: row.id,
    queue: row.name,
    names: [row.name],
    state: stateOf(row, times),
    payload: payload ?? "{}",
    spec: withoutUndefined({
      run_at: times.runAt ?? undefined,
      priority,
      max_attempts: Math.min(32_767, left),
      expires_at: times.keepUntil ?? undefined,
      serial_key: serialKey,
      job_key: jobKey,
    }),
    ...(dependsOn === undefined ? {} : { dependsOn }),
    notes,
    obstacle: times.isPast ? "Its retention period has passed: pg-boss is about to delete it." : undefined,
  };
}

function stateOf(row: JobRow, { runAt }: JobTimes): ImportState {
  if (row.blocked === true) return "blocked";
  return row.state === "retry" ? "retrying" : runAt === null ? "pending" : "scheduled";
}

function retryText({ retry_delay: delay, retry_backoff: isExponential, retry_delay_max: max }: JobRow): string {
  const parts = [
    ...(isExponential ? ['backoff: "exponential"'] : ['backoff: "fixed"']),
    `delay: "${Math.max(1, delay)}s"`,
    ...(typeof max === "number" ? [`maxDelay: "${max}s"`] : []),
  ];
  return `is the task's setting: retry: { ${parts.join(", ")} }`;
}

function withoutUndefined(spec: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== undefined));
}

/** Returns the note on a queue's policy. */
export function queueNotes(policy: string | null): OptionNote[] {
  return policy === null || policy === "standard" ? [] : [{ option: "policy", text: policyText(policy) }];
}

function policyText(policy: string): string {
  return SERIAL.has(policy)
    ? `'${policy}': enqueue with serialKey; without keys, set concurrency: { limit: 1 } in the task`
    : `'${policy}': enqueue with jobKey, and jobKeyMode: "unsafe_dedupe" to keep the first`;
}
