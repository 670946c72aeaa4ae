import type { PoolClient, Queryable } from "../../db/pool.ts";
import type { Sql, SqlTag } from "../../db/sql.ts";
import { type Duration, durationOutOfRange, parseDuration, millisecondsToInterval } from "../../duration.ts";
import { type FailedEnd, JobNotCompleted, LegworkError, SignalTimeout, StepError, toError } from "../../errors.ts";
import type { StepContext, Task } from "../../jobs/define-task.ts";
import type { InvokeOptions, Stored } from "../../jobs/step-context.ts";
import { describeThrown, isError } from "../../thrown.ts";
import { formatNumber } from "../../wording.ts";
import { LeaseLost } from "../remote-commands.ts";
import { RESULT_LIMIT, storable } from "../graphile/outcomes.ts";
import type { Redaction } from "./redaction.ts";

/** The longest name of a step (characters). */
const NAME_LIMIT = 200;

/** The pauses between retries of recording a finished step while the database does not respond (ms). */
const RECORD_PAUSES_MS = [100, 200, 400, 800, 1_600, 3_200];

/** Ends an attempt whose job has to wait: the job is put back, and the attempt does not count. */
export class Suspended extends Error {
  override readonly name = "Suspended";
}

export interface StepsOptions {
  readonly jobId: string;
  /** The worker and the attempt that must hold the job for a step to be recorded. */
  readonly worker: string;
  readonly attempt: number;
  readonly sql: Sql;
  readonly client: Queryable;
  readonly redaction: Redaction | undefined;
  /** Enqueues a child job in the transaction of `client`. */
  readonly enqueue: (
    client: PoolClient,
    task: string | Task,
    payload: unknown,
    options: InvokeOptions | undefined,
  ) => Promise<string>;
  /** Throws if no step may begin, because this worker may no longer hold the job or the attempt was signaled to stop. */
  readonly assertMayBegin: () => Promise<void>;
}

type Kind = "run" | "wait" | "sleep" | "invoke";

/** A step that has ended. Its result is JSON text; null without a result. */
interface Done {
  readonly state: "completed" | "timed_out" | "failed";
  readonly result: string | null;
  /** Set if the step invoked a job that did not complete. */
  readonly failure?: InvokedEnd;
}

/** How an invoked job ended. */
interface InvokedEnd {
  readonly child_id: string;
  readonly child_state: FailedEnd;
  readonly error: string | null;
}

/** A step of this attempt. */
interface Begun {
  /**
   * The call of `all` that waits for the step. It is set before the step does anything, because `all` is called in the same turn of the event loop.
   */
  group: string | undefined;
  /** How many steps the attempt had completed when this step began to wait; undefined if it is not waiting. */
  doneBefore: number | undefined;
}

/** The steps of one attempt. */
export class Steps implements StepContext {
  readonly #options: StepsOptions;
  readonly #used = new Set<string>();
  readonly #inFlight = new Set<Promise<unknown>>();
  readonly #begun = new WeakMap<object, Begun>();
  #loaded: Promise<Map<string, Done>> | undefined;
  #suspended: Suspended | undefined;
  /** The groups of the steps that this attempt has completed. `#doneBeforeWait` is how many of them were completed before its first wait began. */
  readonly #done: (string | undefined)[] = [];
  readonly #waitingGroups = new Set<string>();
  #groups = 0;
  #doneBeforeWait = Number.POSITIVE_INFINITY;
  #hasReturned = false;
  #hasEnded = false;

  constructor(options: StepsOptions) {
    this.#options = options;
  }

  // These are arrow functions so that a task can destructure them.
  readonly run = <T>(name: string, work: () => Promise<T> | T): Promise<Stored<T>> =>
    this.#begin("run", name, async () => {
      const before = performance.now();
      const json = await this.#noteFailure(name, before, async () => this.#toJson(name, await work()));
      await this.#record(name, json, before);
      return json;
    });

  readonly transaction = <T>(name: string, work: (sql: SqlTag, client: PoolClient) => Promise<T>): Promise<Stored<T>> =>
    this.#begin("run", name, () => {
      const before = performance.now();
      return this.#noteFailure(name, before, () =>
        this.#options.sql.transaction(async (sql, client) => {
          const json = this.#toJson(name, await work(sql, client));
          await this.#recordBy(client, name, json, before);
          return json;
        }),
      );
    });

  readonly waitFor = <T>(signal: string, { timeout }: { timeout?: Duration } = {}): Promise<T> =>
    this.#begin("wait", signal, (begun) => this.#await("wait", signal, timeout, begun));

  readonly sleep = (name: string, duration: Duration): Promise<void> =>
    this.#begin("sleep", name, (begun) => this.#await("sleep", name, duration, begun));

  readonly invoke = <T>(name: string, task: string | Task, payload?: unknown, options?: InvokeOptions): Promise<T> =>
    this.#begin("invoke", name, (begun) => this.#invoke(name, task, payload, options, begun));

  readonly all: StepContext["all"] = (steps: readonly unknown[] | Readonly<Record<string, unknown>>) => {
    const group = String(++this.#groups);
    const members: Begun[] = [];
    for (const step of Object.values(steps)) {
      const begun = typeof step === "object" && step !== null ? this.#begun.get(step) : undefined;
      if (begun === undefined) continue;
      begun.group ??= group;
      members.push(begun);
    }
    return this.#track(this.#all(steps, group, members)) as Promise<never>;
  };

  /**
   * Waits for the steps that have not ended. Throws if the job must be put back because the attempt was suspended, unless the task ended with a
   * different error. If the task returned before it had to wait, it does not need its remaining waits, and they are abandoned. If the attempt has
   * completed another step after one began to wait, the job starts again immediately, because it may be able to continue, as with Promise.race. After
   * this, no step can begin.
   */
  async end(thrown?: unknown): Promise<void> {
    this.#hasReturned = thrown === undefined && this.#suspended === undefined;
    while (this.#inFlight.size > 0) await Promise.allSettled(this.#inFlight);
    this.#hasEnded = true;
    if (this.#suspended === undefined || (thrown !== undefined && !isCausedBy(thrown, this.#suspended, 0))) return;
    // Steps that were completed in a group do not help while the rest of the group waits.
    if (this.#done.slice(this.#doneBeforeWait).some((group) => group === undefined || !this.#waitingGroups.has(group))) {
      // Loading the steps ends their waits, and a job without a waiting step starts again immediately when it is put back.
      const { jobId, worker, attempt, client } = this.#options;
      await client.query("select count(*) from legwork_private.load_steps($1, $2, $3)", [jobId, worker, attempt]);
    }
    throw this.#suspended;
  }

  /** Abandons the attempt: no step begins or is recorded after this. */
  close(): void {
    this.#hasEnded = true;
  }

  /** Begins a step and keeps track of it until it has ended. */
  #begin<R>(kind: Kind, name: string, work: (begun: Begun) => Promise<string | null>): Promise<R> {
    const begun: Begun = { group: undefined, doneBefore: undefined };
    const step = this.#track(this.#step<R>(kind, name, begun, work));
    this.#begun.set(step, begun);
    return step;
  }

  #track<R>(step: Promise<R>): Promise<R> {
    // The rejection of a suspended step that the task did not await must not crash the process.
    const ended: Promise<unknown> = step
      .catch(() => undefined)
      .finally(() => {
        this.#inFlight.delete(ended);
      });
    this.#inFlight.add(ended);
    return step;
  }

  /** Waits for the steps of a group. The attempt is suspended if some of them have to wait and no step has failed. */
  async #all(
    steps: readonly unknown[] | Readonly<Record<string, unknown>>,
    group: string,
    members: readonly Begun[],
  ): Promise<unknown> {
    const ends = await Promise.allSettled(Object.values(steps));
    const rejected = ends.filter((end) => end.status === "rejected");
    const failed = rejected.find(({ reason }) => !isSuspension(reason));
    if (failed !== undefined) throw failed.reason;
    if (rejected[0] !== undefined) {
      this.#waitingGroups.add(group);
      const before = members.flatMap(({ doneBefore }) => doneBefore ?? []);
      throw this.#suspend(rejected[0].reason as Suspended, Math.min(...before, this.#done.length));
    }
    const values = ends.map((end) => (end.status === "fulfilled" ? end.value : undefined));
    if (Array.isArray(steps)) return values;
    return Object.fromEntries(Object.keys(steps).map((name, index) => [name, values[index]]));
  }

  /** Makes the attempt end as suspended, and returns the error that its steps throw from now on. */
  #suspend(suspended: Suspended, doneBefore: number): Suspended {
    if (this.#hasReturned) return suspended;
    this.#doneBeforeWait = Math.min(this.#doneBeforeWait, doneBefore);
    return (this.#suspended ??= suspended);
  }

  /** Ends a step that has to wait. A single step suspends the attempt; for a step in a group, the group decides. */
  #waits(begun: Begun, suspended: Suspended, doneBefore: number): Suspended {
    begun.doneBefore = doneBefore;
    return begun.group === undefined ? this.#suspend(suspended, doneBefore) : suspended;
  }

  /** Runs a step of any kind. `work` returns the result as JSON text. */
  async #step<R>(kind: Kind, name: string, begun: Begun, work: (begun: Begun) => Promise<string | null>): Promise<R> {
    assertName(name);
    this.#assertOpen(name);
    const key = `${kind} ${name}`;
    if (this.#used.has(key)) {
      throw new StepError("LW400", `The step name '${name}' was already used in this attempt.`, {
        hint: "Give each step a unique name, such as charge:7: later attempts identify it by its name.",
      });
    }
    this.#used.add(key);
    const done = (await (this.#loaded ??= this.#load())).get(key);
    this.#assertOpen(name);
    if (done?.state === "timed_out") throw new SignalTimeout(name);
    if (done?.failure !== undefined) throw invokedFailure(name, done.failure);
    if (done === undefined) await this.#options.assertMayBegin();
    // Check again, because another step may have begun to wait in the meantime.
    this.#assertOpen(name);
    const json = done === undefined ? await work(begun) : done.result;
    if (done === undefined) this.#done.push(begun.group);
    return (json === null ? (kind === "wait" || kind === "invoke" ? null : undefined) : JSON.parse(json)) as R;
  }

  #assertOpen(name: string): void {
    if (this.#suspended !== undefined) throw this.#suspended;
    if (this.#hasEnded) throw new Error(`The step '${name}' began after its attempt had ended.`);
  }

  async #load(): Promise<Map<string, Done>> {
    const { jobId, worker, attempt, client } = this.#options;
    const { rows } = await client.query(
      "select kind, name, state, result, error, child_id::text, child_state from legwork_private.load_steps($1, $2, $3)",
      [jobId, worker, attempt],
    );
    if (rows[0]?.state === "lost") throw notHeld();
    return new Map(
      rows.map(({ kind, name, state, result, error, child_id, child_state }) => [
        `${kind} ${name}`,
        { state, result, ...(state === "failed" ? { failure: { error, child_id, child_state } } : {}) },
      ]),
    );
  }

  async #await(kind: "wait" | "sleep", name: string, timeout: Duration | undefined, begun: Begun): Promise<string | null> {
    const { jobId, worker, attempt, client } = this.#options;
    const milliseconds = parseDuration(timeout);
    if (milliseconds === undefined && (kind === "sleep" || timeout !== undefined)) {
      throw new StepError("LW400", `The step '${name}' cannot wait: ${durationOutOfRange("its duration", timeout)}`, {
        hint: 'Pass a duration, such as "30s", "1d" or 5000 (milliseconds).',
      });
    }
    const doneBefore = this.#done.length;
    const { rows } = await client.query("select state, result from legwork_private.await_step($1, $2, $3, $4, $5, $6, $7)", [
      jobId,
      worker,
      attempt,
      kind,
      name,
      milliseconds === undefined ? null : millisecondsToInterval(milliseconds),
      begun.group ?? null,
    ]);
    const { state, result } = rows[0];
    if (state === "lost") throw notHeld();
    if (state === "timed_out") throw new SignalTimeout(name);
    if (state === "completed") return result;
    const suspended = new Suspended(kind === "wait" ? `It waits for the signal '${name}'.` : `It sleeps in step '${name}'.`);
    throw this.#waits(begun, suspended, doneBefore);
  }

  async #invoke(
    name: string,
    task: string | Task,
    payload: unknown,
    options: InvokeOptions | undefined,
    begun: Begun,
  ): Promise<string | null> {
    const doneBefore = this.#done.length;
    const { jobId, worker, attempt, sql, enqueue } = this.#options;
    // The step's row and the job are committed together. If the connection was lost and this is repeated, it finds the row.
    const { state, result, ...end } = await this.#despiteOutages(() =>
      sql.transaction(async (_sql, client) => {
        const step = async (child: string | null) => {
          const { rows } = await client.query(
            "select state, result, error, child_id::text, child_state from legwork_private.invoke_step($1, $2, $3, $4, $5, $6)",
            [jobId, worker, attempt, name, begun.group ?? null, child],
          );
          return rows[0] as InvokedEnd & { state: "lost" | "new" | "waiting" | "completed" | "failed"; result: string | null };
        };
        const found = await step(null);
        return found.state === "new" ? await step(await enqueue(client, task, payload, options)) : found;
      }),
    );
    if (state === "lost") throw notHeld();
    if (state === "completed") return result;
    if (state === "failed") throw invokedFailure(name, end);
    throw this.#waits(begun, new Suspended(`It waits for job ${end.child_id}, which step '${name}' has invoked.`), doneBefore);
  }

  #toJson(name: string, result: unknown): string | null {
    let json: string | undefined;
    try {
      json = JSON.stringify(result);
    } catch (error) {
      throw new StepError("LW400", `The step '${name}' returned a value that is not JSON: ${toError(error).message}.`, {
        hint: "Return strings, numbers, arrays and plain objects of these, or nothing.",
        cause: error,
      });
    }
    if (json === undefined) return null;
    const bytes = json.length * 3 <= RESULT_LIMIT ? 0 : Buffer.byteLength(json);
    if (bytes > RESULT_LIMIT) {
      throw new StepError(
        "LW413",
        `The step '${name}' returned ${formatNumber(bytes)} bytes; at most ${formatNumber(RESULT_LIMIT)} can be stored.`,
        {
          hint: "Store the value in your own table and return its id.",
        },
      );
    }
    return storable(json);
  }

  /** Records that a step threw an error, for users who inspect the job. The error is rethrown in any case. */
  async #noteFailure<T>(name: string, before: number, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const isStep = !(error instanceof LeaseLost) && !isSuspension(error);
      if (isStep && !this.#hasEnded) {
        const { jobId, worker, attempt, client, redaction } = this.#options;
        await client
          .query("select legwork_private.record_failed_step($1, $2, $3, $4, $5, $6)", [
            jobId,
            worker,
            attempt,
            name,
            messageOf(error, redaction),
            millisecondsToInterval(performance.now() - before),
          ])
          .catch(() => undefined);
      }
      throw error;
    }
  }

  /** Records a completed step. A short database outage must not cause the step to run again. */
  async #record(name: string, json: string | null, before: number): Promise<void> {
    await this.#despiteOutages(() => this.#recordBy(this.#options.client, name, json, before));
  }

  /** Does work that can safely be repeated, and repeats it for a few seconds while the database does not respond. */
  async #despiteOutages<T>(work: () => Promise<T>): Promise<T> {
    for (const pause of RECORD_PAUSES_MS) {
      try {
        return await work();
      } catch (error) {
        if (error instanceof LeaseLost || error instanceof LegworkError || this.#hasEnded) throw error;
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
    return await work();
  }

  async #recordBy(client: Queryable | PoolClient, name: string, json: string | null, before: number): Promise<void> {
    if (this.#hasEnded) throw new Error(`The step '${name}' ended after its attempt.`);
    const { jobId, worker, attempt, redaction } = this.#options;
    const shown = json === null || redaction === undefined ? json : storable(redaction.json(json));
    const { rows } = await client.query("select legwork_private.record_step($1, $2, $3, $4, $5, $6, $7) as is_held", [
      jobId,
      worker,
      attempt,
      name,
      shown,
      shown === json ? null : json,
      millisecondsToInterval(performance.now() - before),
    ]);
    if (rows[0]?.is_held !== true) throw notHeld();
  }
}

/** Whether an error comes from a nested step that has to wait. It suspends the attempt, and nothing has failed. */
function isSuspension(error: unknown): boolean {
  return isError(error) && error instanceof Suspended;
}

/** Returns the message of an error, without redacted values. */
function messageOf(error: unknown, redaction: Redaction | undefined): string {
  const { name, message } = describeThrown(error, redaction);
  return name === undefined ? message : `${name}: ${message}`;
}

/** Returns the error for a step whose job did not complete. Another attempt would throw it again, so it fails the job unless the task catches it. */
function invokedFailure(name: string, { child_id: id, child_state: state, error }: InvokedEnd): StepError {
  const cause = new JobNotCompleted(id, state, error);
  return new StepError("LW424", `Step '${name}': ${cause.message}`, { hint: cause.hint, action: cause.action, cause });
}

function notHeld(): LeaseLost {
  return new LeaseLost("This worker no longer holds the job; its steps are not recorded.");
}

function assertName(name: unknown): asserts name is string {
  if (typeof name === "string" && name.length > 0 && name.length <= NAME_LIMIT && !name.includes("\0") && name.isWellFormed())
    return;
  throw new StepError(
    "LW400",
    `${typeof name === "string" ? `'${name.slice(0, 50)}'` : String(name)} is not a valid step name.`,
    {
      hint: `Use text of 1 to ${NAME_LIMIT} characters.`,
    },
  );
}

/** Whether a thrown error is `error`, has it as a cause, or contains it. */
function isCausedBy(thrown: unknown, error: Error, depth: number): boolean {
  if (thrown === error) return true;
  if (depth > 10 || thrown === null || typeof thrown !== "object") return false;
  const { cause, errors } = thrown as { cause?: unknown; errors?: unknown };
  return (
    isCausedBy(cause, error, depth + 1) || (Array.isArray(errors) && errors.some((one) => isCausedBy(one, error, depth + 1)))
  );
}
