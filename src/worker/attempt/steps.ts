import type { PoolClient, Queryable } from "../../db/pool.ts";
import type { Sql, SqlTag } from "../../db/sql.ts";
import { type Duration, durationOutOfRange, parseDuration, millisecondsToInterval } from "../../duration.ts";
import { LegworkError, SignalTimeout, StepError, toError } from "../../errors.ts";
import type { StepContext, Stored } from "../../jobs/step-context.ts";
import { LeaseLost } from "../remote-commands.ts";
import { RESULT_LIMIT, storable } from "../graphile/outcomes.ts";
import type { Redaction } from "./redaction.ts";

/** The longest name of a step (characters). */
const NAME_LIMIT = 200;

/** How long recording a finished step is tried again while the database does not answer (ms), with growing pauses. */
const RECORD_PAUSES_MS = [100, 200, 400, 800, 1_600, 3_200];

/** Ends an attempt whose job waits: it is put back without having counted. */
export class Suspended extends Error {
  override readonly name = "Suspended";
}

export interface StepsOptions {
  readonly jobId: string;
  /** Who holds the job as which attempt: only then a step is recorded. */
  readonly worker: string;
  readonly attempt: number;
  readonly sql: Sql;
  readonly client: Queryable;
  readonly redaction: Redaction | undefined;
  /** Throws when no step may begin, because this worker may not hold the job any more or the attempt was told to stop. */
  readonly assertMayBegin: () => Promise<void>;
}

type Kind = "run" | "wait" | "sleep";

/** A step that is over: its result as JSON text, null for none. */
interface Done {
  readonly state: "completed" | "timed_out";
  readonly result: string | null;
}

/** The steps of one attempt. */
export class Steps implements StepContext {
  readonly #options: StepsOptions;
  readonly #used = new Set<string>();
  readonly #inFlight = new Set<Promise<unknown>>();
  #loaded: Promise<Map<string, Done>> | undefined;
  #suspended: Suspended | undefined;
  /** How many steps this attempt has done, and how many of them were done when the first of its waits began. */
  #done = 0;
  #doneBeforeWait = Number.POSITIVE_INFINITY;
  #hasReturned = false;
  #hasEnded = false;

  constructor(options: StepsOptions) {
    this.#options = options;
  }

  // Functions of their own, so that a task may take them out of their object.
  readonly run = <T>(name: string, work: () => Promise<T> | T): Promise<Stored<T>> =>
    this.#begin("run", name, async () => {
      const before = performance.now();
      const json = this.#toJson(name, await work());
      await this.#record(name, json, before);
      return json;
    });

  readonly transaction = <T>(name: string, work: (sql: SqlTag, client: PoolClient) => Promise<T>): Promise<Stored<T>> =>
    this.#begin("run", name, () => {
      const before = performance.now();
      return this.#options.sql.transaction(async (sql, client) => {
        const json = this.#toJson(name, await work(sql, client));
        await this.#recordBy(client, name, json, before);
        return json;
      });
    });

  readonly waitFor = <T>(signal: string, { timeout }: { timeout?: Duration } = {}): Promise<T> =>
    this.#begin("wait", signal, () => this.#await("wait", signal, timeout));

  readonly sleep = (name: string, duration: Duration): Promise<void> =>
    this.#begin("sleep", name, () => this.#await("sleep", name, duration));

  /**
   * Waits for the steps that have not ended, and throws if the attempt is to be put back: because it waits, and the task has ended by returning or by
   * letting that pass. A task that has returned before it was told to wait has what it needs, and what it still waits for is given up. An attempt that has done
   * a step beside the one that waits is put back to start again at once: it may go on with that, as with Promise.race. No step begins any more.
   */
  async end(thrown?: unknown): Promise<void> {
    this.#hasReturned = thrown === undefined && this.#suspended === undefined;
    while (this.#inFlight.size > 0) await Promise.allSettled(this.#inFlight);
    this.#hasEnded = true;
    if (this.#suspended === undefined || (thrown !== undefined && !isCausedBy(thrown, this.#suspended, 0))) return;
    if (this.#done > this.#doneBeforeWait) {
      // A job none of whose steps is waiting is put back to now.
      const { jobId, worker, attempt, client } = this.#options;
      await client.query("select count(*) from legwork_private.load_steps($1, $2, $3)", [jobId, worker, attempt]);
    }
    throw this.#suspended;
  }

  /** No step begins or is recorded any more: the attempt was given up. */
  close(): void {
    this.#hasEnded = true;
  }

  /** Begins a step and keeps it in mind until it is over. */
  #begin<R>(kind: Kind, name: string, work: () => Promise<string | null>): Promise<R> {
    const step = this.#step<R>(kind, name, work);
    // A step that the task has forgotten to await, and that is suspended, must not bring the process down.
    const ended: Promise<unknown> = step
      .catch(() => undefined)
      .finally(() => {
        this.#inFlight.delete(ended);
      });
    this.#inFlight.add(ended);
    return step;
  }

  /** What every step has in common. `work` resolves to the result as JSON text. */
  async #step<R>(kind: Kind, name: string, work: () => Promise<string | null>): Promise<R> {
    assertName(name);
    this.#assertOpen(name);
    const key = `${kind} ${name}`;
    if (this.#used.has(key)) {
      throw new StepError("LW400", `The step '${name}' was used before in this attempt.`, {
        hint: "Give every step a name of its own, such as charge:7: later attempts know it by that.",
      });
    }
    this.#used.add(key);
    const done = (await (this.#loaded ??= this.#load())).get(key);
    this.#assertOpen(name);
    if (done?.state === "timed_out") throw new SignalTimeout(name);
    if (done === undefined) await this.#options.assertMayBegin();
    // Asked again: another step may have begun to wait meanwhile.
    this.#assertOpen(name);
    const json = done === undefined ? await work() : done.result;
    if (done === undefined) this.#done += 1;
    return (json === null ? (kind === "wait" ? null : undefined) : JSON.parse(json)) as R;
  }

  #assertOpen(name: string): void {
    if (this.#suspended !== undefined) throw this.#suspended;
    if (this.#hasEnded) throw new Error(`The step '${name}' came after its attempt had ended.`);
  }

  async #load(): Promise<Map<string, Done>> {
    const { jobId, worker, attempt, client } = this.#options;
    const { rows } = await client.query("select kind, name, state, result from legwork_private.load_steps($1, $2, $3)", [
      jobId,
      worker,
      attempt,
    ]);
    if (rows[0]?.state === "lost") throw notHeld();
    return new Map(rows.map(({ kind, name, state, result }) => [`${kind} ${name}`, { state, result }]));
  }

  async #await(kind: Exclude<Kind, "run">, name: string, timeout: Duration | undefined): Promise<string | null> {
    const { jobId, worker, attempt, client } = this.#options;
    const milliseconds = parseDuration(timeout);
    if (milliseconds === undefined && (kind === "sleep" || timeout !== undefined)) {
      throw new StepError("LW400", `The step '${name}' cannot wait: ${durationOutOfRange("its duration", timeout)}`, {
        hint: 'Give a duration, such as "30s", "1d" or 5000 (milliseconds).',
      });
    }
    const doneBefore = this.#done;
    const { rows } = await client.query("select state, result from legwork_private.await_step($1, $2, $3, $4, $5, $6)", [
      jobId,
      worker,
      attempt,
      kind,
      name,
      milliseconds === undefined ? null : millisecondsToInterval(milliseconds),
    ]);
    const { state, result } = rows[0];
    if (state === "lost") throw notHeld();
    if (state === "timed_out") throw new SignalTimeout(name);
    if (state === "completed") return result;
    const suspended = new Suspended(kind === "wait" ? `It waits for the signal '${name}'.` : `It sleeps in step '${name}'.`);
    if (this.#hasReturned) throw suspended;
    this.#doneBeforeWait = Math.min(this.#doneBeforeWait, doneBefore);
    throw (this.#suspended ??= suspended);
  }

  #toJson(name: string, result: unknown): string | null {
    let json: string | undefined;
    try {
      json = JSON.stringify(result);
    } catch (error) {
      throw new StepError("LW400", `What the step '${name}' has returned is no JSON: ${toError(error).message}.`, {
        hint: "Return texts, numbers, lists and plain objects of them, or nothing.",
        cause: error,
      });
    }
    if (json === undefined) return null;
    const bytes = json.length * 3 <= RESULT_LIMIT ? 0 : Buffer.byteLength(json);
    if (bytes > RESULT_LIMIT) {
      throw new StepError("LW413", `The step '${name}' has returned ${bytes} bytes; ${RESULT_LIMIT} are kept.`, {
        hint: "Keep it in a table of your own and return its id.",
      });
    }
    return storable(json);
  }

  /** The step has been done: a database that is away for a moment must not make it be done again. */
  async #record(name: string, json: string | null, before: number): Promise<void> {
    for (const pause of [...RECORD_PAUSES_MS, undefined]) {
      try {
        return await this.#recordBy(this.#options.client, name, json, before);
      } catch (error) {
        if (pause === undefined || error instanceof LeaseLost || error instanceof LegworkError || this.#hasEnded) throw error;
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
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

function notHeld(): LeaseLost {
  return new LeaseLost("This worker does not hold the job any more; its steps are not recorded.");
}

function assertName(name: unknown): asserts name is string {
  if (typeof name === "string" && name.length > 0 && name.length <= NAME_LIMIT && !name.includes("\0") && name.isWellFormed())
    return;
  throw new StepError("LW400", `${typeof name === "string" ? `'${name.slice(0, 50)}'` : String(name)} is no name of a step.`, {
    hint: `It is a text of 1 to ${NAME_LIMIT} characters.`,
  });
}

/** Whether one error is another, wraps it or was made of several of which it is one. */
function isCausedBy(thrown: unknown, error: Error, depth: number): boolean {
  if (thrown === error) return true;
  if (depth > 10 || thrown === null || typeof thrown !== "object") return false;
  const { cause, errors } = thrown as { cause?: unknown; errors?: unknown };
  return (
    isCausedBy(cause, error, depth + 1) || (Array.isArray(errors) && errors.some((one) => isCausedBy(one, error, depth + 1)))
  );
}
