import { hostname } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { createPool } from "../../db/pool.ts";
import { isConnectionError } from "../../db/translate-error.ts";
import { toError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import { TASKS_OF_JOBS } from "../graphile/jobs-table.ts";
import { askForCurrentJob, isBeingDebugged } from "./ask-main-thread.ts";
import { BlockedLoop, describeBlocked, type Suspect } from "./blocked-loop.ts";
import type { Identity, Report, Request, ThreadOptions } from "./messages.ts";
import { machineClock, makeSlots, SharedState } from "./shared-state.ts";
import { writeLine } from "./write-line.ts";
import { VERSION } from "../../version.ts";
import { durationInWords } from "../../wording.ts";

// The heartbeat thread of a worker: renews the worker's lease every second, on a separate connection, regardless of what the main thread is doing. It
// does so only while the main thread is busy computing or has contact with the database.

/** The interval of heartbeats (ms). Five of these are `legwork_private.worker_grace()`. */
const BEAT_INTERVAL_MS = 1_000;

/**
 * The interval while the main thread sends the heartbeats, because no job is running (ms). It is slightly longer than the main thread's own interval.
 */
const RELIEVED_INTERVAL_MS = 2_500;

/** How long after such a heartbeat the main thread is expected to send the next one (ms). */
const RELIEVED_FOR_MS = 3_000;

/** How often the thread checks the main thread (ms). A job that runs for longer than this is reported before the next regular heartbeat. */
const LOOK_INTERVAL_MS = 50;

/** How long the main thread may go without a response from the database before the heartbeats stop, if its event loop is turning (ms). */
const VOUCH_MS = 6_000;

/** After this long without a heartbeat (ms), other workers may be about to take this worker's jobs. They first suspect it one second later. */
const DOUBT_AFTER_MS = 4_000;

/** How long a heartbeat waits for a response before another connection is used to check whether the server is working on it (ms). */
const SILENT_AFTER_MS = 1_500;

/** A blocked event loop is logged once it has been blocked for the first of these times, and again each time the second has passed (ms). */
const TELL_AGAIN_MS = [10_000, 60_000];

const port = parentPort!;
const options = workerData as ThreadOptions;
const state = new SharedState(options.state);
const pieces = options.slots.map((buffer) => makeSlots(buffer as SharedArrayBuffer));
const blockedLoop = new BlockedLoop(state);

const report = (message: Report): void => port.postMessage(message);
const log = (level: "debug" | "info" | "warn" | "error", message: string, fields: Record<string, unknown> = {}): void =>
  report({ kind: "log", level, fields, message });

const pool = createPool(options.databaseUrl, {
  // Forwards the pool's log to the main thread's log.
  log: Object.fromEntries(
    (["debug", "info", "warn", "error"] as const).map((level) => [
      level,
      ({ err, ...fields }: { err?: Error }, message: string) => log(level, message, { ...fields, reason: err?.message }),
    ]),
  ) as unknown as Logger,
  max: 1,
  // Keep one connection open, so that heartbeats can be sent even if the server has no free connections.
  min: 1,
  name: "legwork heartbeat",
  silentAfter: SILENT_AFTER_MS,
  // The main thread combines these losses with those of its own connections in one log line.
  connections: {
    made: () => report({ kind: "connection", is: "made" }),
    closed: () => report({ kind: "connection", is: "closed" }),
    lost: (_pool, reason, code) => report({ kind: "connection", is: "lost", reason, code }),
  },
});

let identity: Identity | undefined;
/** The worker's id, for the log lines that this thread writes itself. */
let workerId: string | undefined;
let beating: Promise<void> | undefined;
/** When the last heartbeat began, whether or not it succeeded. */
let triedAt = Number.NEGATIVE_INFINITY;
/** Whether the next check sends a heartbeat even if the main thread has just sent one. */
let isAtOnce = false;
/** When the main thread was last excused for having no contact with the database, because it was busy computing. */
let excusedAt = performance.now();
let isSilent = false;
let told: ReadonlySet<number> = new Set();
let seen: readonly number[] = [];
/** The state of the event loop while it is blocked. */
let blocked: { since: number; suspects: Suspect[]; isCertain: boolean; toldAt: number; isAsked: boolean } | undefined;

function runningJobs(): number[] {
  const ids: number[] = [];
  for (const piece of pieces) for (const id of piece) if (id !== 0) ids.push(id);
  return ids;
}

function mayVouch(now: number): boolean {
  if (blocked !== undefined) excusedAt = now;
  return now - excusedAt < VOUCH_MS || state.since("repliedAt") < VOUCH_MS;
}

function look(): void {
  const now = performance.now();
  lookAtLoop(now);
  if (identity === undefined || beating !== undefined || !mayVouch(now)) return;
  const running = runningJobs();
  const hasNews = running.some((id) => !told.has(id) && seen.includes(id));
  seen = running;
  if (hasNews || (now - triedAt >= BEAT_INTERVAL_MS && !isRelieved(running))) void beat().catch(() => undefined);
}

/** Whether the main thread is sending the heartbeats of an idle worker in time. */
function isRelieved(running: readonly number[]): boolean {
  if (running.length > 0 || blocked !== undefined || isAtOnce) return false;
  return state.since("polledAt") < RELIEVED_FOR_MS && state.since("beatAt") < RELIEVED_INTERVAL_MS;
}

function beat(): Promise<void> {
  triedAt = performance.now();
  isAtOnce = false;
  beating = say(identity!).finally(() => (beating = undefined));
  return beating;
}

async function say({ id, concurrency, tasks, excluded, slots }: Identity): Promise<void> {
  const before = machineClock();
  const running = runningJobs();
  try {
    const { rows } = await pool.query(
      "select now, cancelled, lost, state from legwork_private.worker_beat($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
      [
        id,
        hostname(),
        process.pid,
        concurrency,
        tasks,
        running,
        blocked?.isAsked ? (performance.now() - blocked.since) / 1_000 : null,
        blocked?.isAsked ? blocked.suspects.map((suspect) => suspect.id) : null,
        VERSION,
        excluded,
        slots === undefined ? null : JSON.stringify(slots),
      ],
    );
    const { now, cancelled, lost, state: workerState } = rows[0];
    const after = machineClock();
    if (state.since("beatAt") >= DOUBT_AFTER_MS) state.noteSilence(now.getTime());
    state.note("beatAt", before);
    told = new Set(running);
    isSilent = false;
    report({ kind: "beat", id, now, before, after, cancelled, lost, state: workerState });
  } catch (error) {
    // Warn only once until a heartbeat succeeds again. If the connection was lost, another line reports that.
    const level = isSilent || isConnectionError(error) ? "debug" : "warn";
    const reason = toError(error).message;
    log(level, `A heartbeat did not reach the database; retrying: ${reason}.`, { event: "heartbeat_failed", reason });
    isSilent = true;
    throw error;
  }
}

/** Makes the next check send a heartbeat. */
function sayAtOnce(): void {
  triedAt = Number.NEGATIVE_INFINITY;
  isAtOnce = true;
}

function lookAtLoop(now: number): void {
  const since = blockedLoop.look();
  if (since === undefined) {
    if (blocked !== undefined) endBlocked(now);
    return;
  }
  if (blocked === undefined) {
    blocked = { since, suspects: [], isCertain: false, toldAt: 0, isAsked: false };
    void findSuspects(blocked).then(tellBlocked);
    return;
  }
  const blockedFor = now - blocked.since;
  const [first = 0, again = 0] = TELL_AGAIN_MS;
  if (blocked.isAsked && blockedFor >= (blocked.toldAt < first ? first : blocked.toldAt + again)) tellBlocked();
  if (options.maxBlocked !== undefined && blockedFor >= options.maxBlocked && blocked.isAsked) void kill(blockedFor);
}

/** Determines which job's code blocks the event loop. */
async function findSuspects(current: NonNullable<typeof blocked>): Promise<void> {
  const { calling } = state;
  const slots = pieces.flatMap((piece) => [...piece]);
  const called = calling === undefined ? undefined : slots[calling];
  const known = called === undefined || called === 0 ? await askForCurrentJob() : String(called);
  const ids = known === undefined ? runningJobs().map(String) : [known];
  current.isCertain = known !== undefined;
  current.suspects = ids.map((id) => ({ id, task: "?" }));
  try {
    const { rows } = await pool.query(TASKS_OF_JOBS, [ids]);
    current.suspects = rows;
  } catch (error) {
    log("debug", `Cannot read the tasks of these jobs: ${toError(error).message}.`);
  }
  current.isAsked = true;
  sayAtOnce();
}

function blockedFields(current: NonNullable<typeof blocked>, blockedFor: number): Record<string, unknown> {
  const [first, second] = current.suspects;
  const job = first !== undefined && second === undefined ? { jobId: first.id, task: first.task } : {};
  return { ...job, jobs: current.suspects.map(({ id }) => id), blockedMs: Math.round(blockedFor) };
}

function tellBlocked(): void {
  if (blocked === undefined) return;
  blocked.toldAt = performance.now() - blocked.since;
  const fields = { event: "event_loop_blocked", ...blockedFields(blocked, blocked.toldAt) };
  const message = describeBlocked(blocked.suspects, blocked.isCertain, blocked.toldAt);
  if (options.stderr === undefined) log("warn", message, fields);
  else writeLine(options.stderr, "warn", { worker: workerId, ...fields }, message);
}

function endBlocked(now: number): void {
  const current = blocked!;
  blocked = undefined;
  excusedAt = now;
  sayAtOnce();
  const blockedFor = now - current.since;
  log("warn", `The event loop is no longer blocked; it was blocked for ${durationInWords(blockedFor)}.`, {
    event: "event_loop_turns_again",
    ...blockedFields(current, blockedFor),
  });
}

let isKilling = false;

/** Kills the process. If the job that blocks the event loop is known, it fails, and the other jobs return to the queue without using an attempt. */
async function kill(blockedFor: number): Promise<void> {
  if (isKilling || isBeingDebugged()) return;
  isKilling = true;
  const { suspects, isCertain } = blocked!;
  const culprit = suspects.length === 1 && (isCertain || runningJobs().length === 1) ? suspects[0]?.id : undefined;
  try {
    if (identity !== undefined) {
      await beating?.catch(() => undefined);
      const { id } = identity;
      identity = undefined;
      await pool.query("select legwork_private.worker_blocked($1, $2, $3, $4)", [
        id,
        culprit ?? null,
        blockedFor / 1_000,
        runningJobs(),
      ]);
    }
  } catch (error) {
    log("error", `Cannot return the jobs of a blocked worker to the queue: ${toError(error).message}.`, {
      event: "give_back_failed",
    });
  }
  const message = `${describeBlocked(suspects, isCertain, blockedFor)} This is longer than maxBlocked allows, so this process is being killed.`;
  writeLine(
    options.stderr ?? "json",
    "fatal",
    { event: "event_loop_blocked_for_too_long", worker: workerId, ...blockedFields(blocked!, blockedFor) },
    message,
  );
  process.kill(process.pid, "SIGKILL");
}

async function answer(request: Request): Promise<void> {
  switch (request.kind) {
    case "slots":
      pieces.push(makeSlots(request.buffer as SharedArrayBuffer));
      return;
    case "start":
      await beating?.catch(() => undefined);
      ({ identity } = request);
      workerId = identity.id;
      excusedAt = performance.now();
      told = new Set();
      state.note("beatAt");
      sayAtOnce();
      return;
    case "beat":
      // A heartbeat in progress may have started before the latest change.
      await beating?.catch(() => undefined);
      if (identity !== undefined) await beat();
      report({ kind: "answer", call: request.call });
      return;
    case "stop": {
      if (identity?.id === request.id) identity = undefined;
      await beating?.catch(() => undefined);
      const { rows } = await pool.query("select legwork_private.worker_stopped($1)::text[] as jobs", [request.id]);
      report({ kind: "answer", call: request.call, jobs: rows[0].jobs });
    }
  }
}

port.on("message", (request: Request) => {
  answer(request).catch((error: unknown) => {
    if ("call" in request) report({ kind: "answer", call: request.call, error: toError(error).message });
  });
});
setInterval(look, LOOK_INTERVAL_MS);
