import type { WorkerEvents } from "graphile-worker";
import type { Pool } from "../db/pool.ts";
import { type Fetched, fetchStatement, replaced, restoreColumns, type Statement } from "./fetch-statement.ts";
import type { Redaction } from "./redaction.ts";

/**
 * The largest result that is kept whole (bytes of JSON). A result is for reading beside its job; larger ones belong in a
 * table of the task's own, and would make every batch of completions wait.
 */
export const RESULT_LIMIT = 256 * 1024;

/** The longest stack that is kept (characters): some twenty frames, enough to find the line. */
const STACK_LIMIT = 8_000;

/** How an attempt ended, as its worker saw it. Times are milliseconds on the database's clock. */
interface Outcome {
  readonly startedAt: number;
  readonly finishedAt: number;
  /** The result as JSON text; undefined for none. */
  readonly result: string | undefined;
  readonly error: (Error & { code?: unknown }) | undefined;
  /** Whether another attempt would be pointless, or this one does not count, or the job waits for what its steps say. */
  readonly decision?: "discard" | "put_back" | "wait" | undefined;
  /** When the task wants its next attempt. */
  readonly retryAt?: number | undefined;
}

/** What each of those statements chooses its jobs by. */
const WHERE = /\bwhere (?=(?:locked_by = \$\d+ and not is_available and )?id = )/;

/** An entry of the second value of graphile-worker's failing statements. */
interface FailSpec {
  readonly jobId: string;
  readonly message: string;
  readonly payload?: unknown;
}

/**
 * What only the worker knows about an attempt (exact times, result, error) and how it reaches the database.
 *
 * graphile-worker completes and fails jobs in batches, with statements that carry nothing but ids and messages. Each is given a
 * condition that is always true and puts the batch's outcomes into settings of the transaction, where the triggers on the
 * job table find them: a result is stored by the very statement that completes its job, without a table, a row or a round trip
 * of its own. The statements are known by the names that graphile-worker 0.18.0 prepares them under; the tests fail when
 * one of them changes.
 */
export class Outcomes {
  readonly #byJob = new Map<string, Outcome>();

  succeeded(jobId: string, startedAt: number, finishedAt: number, result: string | undefined): void {
    this.#byJob.set(jobId, { startedAt, finishedAt, result, error: undefined });
  }

  failed(
    jobId: string,
    startedAt: number,
    finishedAt: number,
    error: Error,
    next: Pick<Outcome, "decision" | "retryAt"> = {},
  ): void {
    this.#byJob.set(jobId, { startedAt, finishedAt, result: undefined, error, ...next });
  }

  /**
   * Makes every connection of the pool, which must be new, send outcomes along; and makes completing a job depend on still
   * holding it: graphile-worker itself completes by id, even a job that was given to another worker meanwhile. `events` are
   * those of the runner that will use the pool; it fetches nothing before `mayFetch`.
   */
  rideAlong(pool: Pool, events: WorkerEvents, mayFetch: Promise<void>): void {
    let isWaiting = true;
    void mayFetch.then(() => (isWaiting = false));
    let workerId = "";
    events.once("pool:create", ({ workerPool }) => (workerId = workerPool.id));
    const completions = new Completions((statement) => this.#extend(statement, workerId));
    pool.on("connect", (client) => {
      // oxlint-disable-next-line typescript/no-explicit-any -- node-postgres overloads query in a dozen ways
      const query = client.query.bind(client) as (...parameters: any[]) => any;
      // oxlint-disable-next-line typescript/no-explicit-any
      client.query = (statement: any, ...rest: any[]) => {
        if (!isNamed(statement)) return query(statement, ...rest);
        if (statement.name.startsWith("get_job")) {
          const fetch = async (): Promise<Fetched> => restoreColumns(await query(fetchStatement(statement), ...rest), workerId);
          return isWaiting ? mayFetch.then(fetch) : fetch();
        }
        if (/^complete_jobs?\//.test(statement.name)) return completions.send(statement, query);
        return query(this.#extend(statement, workerId), ...rest);
      };
    });
  }

  #extend(statement: Statement, workerId: string): Statement {
    const { values } = statement;
    switch (statement.name.split("/", 1)[0]) {
      case "complete_job":
        return this.#complete(statement, [String(values[0])], workerId);
      case "complete_jobs":
      case "complete_job_q":
        return this.#complete(statement, values[0] as string[], workerId);
      case "fail_job":
      case "fail_job_q":
        return this.#fail(statement, JSON.parse(values[1] as string) as FailSpec[]);
      case "return_job":
      case "return_job_q":
        // What was fetched ahead of a stop keeps its place. graphile-worker's own statement takes the same values.
        return { ...statement, name: `${statement.name}+place`, text: "select legwork.give_back_jobs($1, $2::bigint[])" };
      default:
        return statement;
    }
  }

  #complete(statement: Statement, jobIds: readonly string[], workerId: string): Statement {
    const ids: string[] = [];
    const starts: number[] = [];
    const ends: number[] = [];
    let from = 0;
    const results: string[] = [];
    let hasResult = false;
    for (const id of jobIds) {
      const outcome = this.#take(id);
      if (outcome === undefined) continue;
      if (ids.length === 0) from = Math.round(outcome.startedAt * 1_000);
      ids.push(id);
      starts.push(Math.round(outcome.startedAt * 1_000) - from);
      ends.push(Math.round(outcome.finishedAt * 1_000) - from);
      results.push(outcome.result === undefined || outcome.result === "null" ? "" : outcome.result);
      hasResult ||= outcome.result !== undefined;
    }
    const held: Statement = {
      ...statement,
      // What is held is not available, and has an index that the versions which waited are not in.
      text: byArray(statement.text).replace(WHERE, `where locked_by = $${statement.values.length + 1} and not is_available and `),
      values: [...statement.values, workerId],
    };
    return withSettings(held, {
      "legwork.completed_ids": `{${ids.join(",")}}`,
      "legwork.completed_from": String(from),
      "legwork.completed_starts": `{${starts.join(",")}}`,
      "legwork.completed_ends": `{${ends.join(",")}}`,
      "legwork.completed_results": hasResult ? results.join("\n") : "",
    });
  }

  #fail(statement: Statement, specs: readonly FailSpec[]): Statement {
    const failures = specs.flatMap(({ jobId }) => {
      const outcome = this.#take(jobId);
      return outcome === undefined ? [] : [describeFailure(jobId, outcome)];
    });
    // The message of a batch job is graphile-worker's own, made of what its entries threw.
    const cleaned = specs.map((spec) => ({ jobId: spec.jobId, message: storableText(spec.message), payload: spec.payload }));
    const values = [statement.values[0], JSON.stringify(cleaned), ...statement.values.slice(2)];
    return withSettings({ ...statement, values }, { "legwork.failures": storable(JSON.stringify(failures)) });
  }

  #take(jobId: string): Outcome | undefined {
    const outcome = this.#byJob.get(jobId);
    this.#byJob.delete(jobId);
    return outcome;
  }
}

/**
 * As many completing statements become one. They have some ten jobs each; a thousand results of the largest size are what Postgres takes in
 * one value.
 */
const STATEMENTS_AT_ONCE = 1000;

interface WaitingCompletion {
  readonly statement: Statement;
  readonly query: (statement: Statement) => Promise<unknown>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Sends one completing statement at a time; those that come meanwhile become one. graphile-worker sends a batch every millisecond,
 * however long the last one takes, and a statement that ends thirty jobs costs the database almost what one for three hundred does. An
 * idle worker waits for nothing.
 */
class Completions {
  readonly #extend: (statement: Statement) => Statement;
  #waiting: WaitingCompletion[] = [];
  #isSending = false;

  constructor(extend: (statement: Statement) => Statement) {
    this.#extend = extend;
  }

  async send(statement: Statement, query: WaitingCompletion["query"]): Promise<unknown> {
    return await new Promise((resolve, reject) => {
      this.#waiting.push({ statement, query, resolve, reject });
      if (!this.#isSending) void this.#sendAll();
    });
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true;
    for (let batch = this.#waiting; batch[0] !== undefined; batch = this.#waiting) {
      this.#waiting = batch.splice(STATEMENTS_AT_ONCE);
      const [first] = batch;
      const ids = batch.flatMap(({ statement }) => statement.values[0] as string | string[]);
      try {
        const result = await first.query(this.#extend(batch.length === 1 ? first.statement : forMany(first.statement, ids)));
        for (const { resolve } of batch) resolve(result);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#isSending = false;
  }
}

/** The statement that completes one job, or some, as the one that completes these. */
function forMany(statement: Statement, ids: readonly string[]): Statement {
  return {
    name: statement.name.replace("complete_job/", "complete_jobs/"),
    text: statement.text.replace(/where id = \$1::bigint\s*$/, "where id = any($1::bigint[])"),
    values: [ids],
  };
}

/**
 * Takes the jobs by their ids in place of a join with them: told that a worker holds the jobs, Postgres expects one row, and then joins
 * thousands of rows with thousands of ids one by one.
 */
function byArray(text: string): string {
  return text.replace(/using unnest\(\$1::bigint\[\]\) n\(n\)\s+where id = n\b/, "where id = any($1::bigint[])");
}

function isNamed(query: unknown): query is Statement {
  return query !== null && typeof query === "object" && "name" in query && typeof query.name === "string";
}

/**
 * The same statement with the settings made, for its transaction only, before its first row is touched. A scalar sub-select
 * without outer references runs once.
 */
function withSettings(statement: Statement, settings: Readonly<Record<string, string>>): Statement {
  const names = Object.keys(settings);
  const first = statement.values.length + 1;
  const calls = names.map((name, index) => `set_config('${name}', $${first + index}, true)`).join(", ");
  const { text } = replaced(statement, WHERE, `where (select concat(${calls})) is not null and `);
  // A statement of its own to the server, and so to node-postgres, which prepares by name.
  return { ...statement, name: `${statement.name}+outcomes`, text, values: [...statement.values, ...Object.values(settings)] };
}

/** As `legwork.reported_failures()` reads it. */
function describeFailure(id: string, { startedAt, finishedAt, error, decision, retryAt }: Outcome): Record<string, unknown> {
  const code = error?.code;
  return {
    id,
    started: startedAt,
    finished: finishedAt,
    name: error?.name,
    stack: error?.stack?.slice(0, STACK_LIMIT),
    code: typeof code === "string" || typeof code === "number" ? String(code) : undefined,
    labels: error === undefined ? undefined : labelsOf(error),
    decision,
    retry: retryAt,
  };
}

/** The most labels of one error: a chain of causes may be a circle. */
const LABELS_LIMIT = 50;

/**
 * What a retry policy may name an error by: its name, its code and its classes, and those of what caused it. `fetch` throws a
 * TypeError whose cause says ECONNREFUSED.
 */
function labelsOf(thrown: unknown): string[] {
  const labels = new Set<string>();
  const add = (label: unknown): void => {
    if ((typeof label === "string" && label !== "") || typeof label === "number") labels.add(storableText(String(label)));
  };
  const visit = (error: unknown, depth: number): void => {
    if (error === null || typeof error !== "object" || depth > 10 || labels.size > LABELS_LIMIT) return;
    const { name, code, cause, errors } = error as { name?: unknown; code?: unknown; cause?: unknown; errors?: unknown };
    add(name);
    add(code);
    for (
      let type = Object.getPrototypeOf(error);
      type !== null && type !== Object.prototype;
      type = Object.getPrototypeOf(type)
    ) {
      add(type.constructor?.name);
    }
    visit(cause, depth + 1);
    if (Array.isArray(errors)) for (const one of errors.slice(0, 10)) visit(one, depth + 1);
  };
  visit(thrown, 0);
  return [...labels].slice(0, LABELS_LIMIT);
}

/**
 * A result as JSON that Postgres stores. Undefined for none. One that is too large is replaced by
 * `{"legwork:cut": {"bytes", "start"}}` with its size and its first thousand characters. Throws a TypeError for what JSON
 * cannot hold (a bigint, a circle). A task's redaction comes first, because nothing is found in what is cut.
 */
export function resultToJson(result: unknown, redaction?: Redaction): string | undefined {
  if (result === undefined) return undefined;
  const whole: string | undefined = JSON.stringify(result);
  if (whole === undefined) return undefined;
  const json = redaction === undefined ? whole : redaction.json(whole);
  // A character has three bytes at most, so that small results need not be measured.
  const bytes = json.length * 3 <= RESULT_LIMIT ? 0 : Buffer.byteLength(json);
  if (bytes <= RESULT_LIMIT) return storable(json);
  return storable(JSON.stringify({ "legwork:cut": { bytes, start: json.slice(0, 1_000).toWellFormed() } }));
}

/** JSON knows characters that Postgres's text does not: NUL and halves of surrogate pairs become the replacement character. */
export function storable(json: string): string {
  if (!/\\u(0000|d[89a-f])/i.test(json)) return json;
  return JSON.stringify(toStorable(JSON.parse(json)));
}

function toStorable(value: unknown): unknown {
  if (typeof value === "string") return storableText(value);
  if (Array.isArray(value)) return value.map(toStorable);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [storableText(key), toStorable(entry)]));
}

/** Text that Postgres stores; see `storable`. */
export function storableText(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\uFFFD");
}
