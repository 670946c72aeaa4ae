import type { Pool } from "../db/pool.ts";
import { PayloadError } from "../errors.ts";

/**
 * The largest result that is kept whole (bytes of JSON). A result is for reading beside its job; larger ones belong in a
 * table of the task's own, and would make every batch of completions wait.
 */
export const RESULT_LIMIT = 256 * 1024;

/** The longest stack that is kept (characters): some twenty frames, enough to find the line. */
const STACK_LIMIT = 8_000;

/** How an attempt ended, as its worker saw it. Times are milliseconds on the database's clock. */
interface Outcome {
  startedAt: number;
  finishedAt: number;
  /** The result as JSON text; undefined for none. */
  result?: string;
  error?: Error & { code?: unknown };
}

/**
 * What only the worker knows about an attempt (exact times, result, error) and how it reaches the database.
 *
 * graphile-worker completes and fails jobs in batches, with statements that carry nothing but ids and messages. Just before
 * such a statement, on the same connection, the batch's outcomes go into the setting `legwork.outcomes`, where the triggers
 * on the job table find them: a result is stored by the very transaction that completes its job, without a table, a row or
 * a wait of its own. The statements are known by the names that graphile-worker 0.18.0 prepares them under.
 */
export class Outcomes {
  readonly #byJob = new Map<string, Outcome>();

  succeeded(jobId: string, startedAt: number, finishedAt: number, result: string | undefined): void {
    this.#byJob.set(jobId, { startedAt, finishedAt, ...(result === undefined ? {} : { result }) });
  }

  failed(jobId: string, startedAt: number, finishedAt: number, error: Error): void {
    this.#byJob.set(jobId, { startedAt, finishedAt, error });
  }

  /** Makes every connection of the pool, which must be new, send outcomes along. */
  rideAlong(pool: Pool): void {
    pool.on("connect", (client) => {
      // oxlint-disable-next-line typescript/no-explicit-any -- node-postgres overloads query in a dozen ways
      const query = client.query.bind(client) as (...parameters: any[]) => any;
      // oxlint-disable-next-line typescript/no-explicit-any
      client.query = (...parameters: any[]) => {
        const ids = jobsEndedBy(parameters[0]);
        const outcomes = ids.flatMap((id) => this.#take(id));
        if (outcomes.length > 0) {
          // Not awaited: node-postgres sends statements in order. If this one fails the connection is gone, and the next one says so.
          query("select set_config('legwork.outcomes', $1, false)", [`[${outcomes.join(",")}]`]).catch(() => undefined);
        }
        return query(...parameters);
      };
    });
  }

  #take(jobId: string): string[] {
    const outcome = this.#byJob.get(jobId);
    if (outcome === undefined) return [];
    this.#byJob.delete(jobId);
    return [toJson(jobId, outcome)];
  }
}

/** The ids of the jobs that a statement of graphile-worker completes or fails; none for any other statement. */
function jobsEndedBy(query: unknown): string[] {
  if (query === null || typeof query !== "object" || !("name" in query) || typeof query.name !== "string") return [];
  const values = "values" in query && Array.isArray(query.values) ? query.values : [];
  switch (query.name.split("/", 1)[0]) {
    case "complete_job":
      return [String(values[0])];
    case "complete_jobs":
    case "complete_job_q":
      return (values[0] as unknown[]).map(String);
    case "fail_job":
    case "fail_job_q":
      return (JSON.parse(values[1] as string) as { jobId: unknown }[]).map((spec) => String(spec.jobId));
    default:
      return [];
  }
}

/** The short names are those of `legwork.reported_outcomes()`. */
function toJson(jobId: string, outcome: Outcome): string {
  const times = `"id":${jobId},"s":${outcome.startedAt},"f":${outcome.finishedAt}`;
  if (outcome.error === undefined) return `{${times}${outcome.result === undefined ? "" : `,"r":${outcome.result}`}}`;
  const { name, stack, code } = outcome.error;
  const details = {
    n: name,
    k: stack?.slice(0, STACK_LIMIT),
    c: code === undefined || code === null ? undefined : String(code),
    x: outcome.error instanceof PayloadError ? true : undefined,
  };
  return `{${times},${storable(JSON.stringify(details)).slice(1)}`;
}

/**
 * A result as JSON that Postgres stores. Undefined for none. One that is too large is replaced by
 * `{"legwork:cut": {"bytes", "start"}}` with its size and its first thousand characters. Throws a TypeError for what JSON
 * cannot hold (a bigint, a circle).
 */
export function resultToJson(result: unknown): string | undefined {
  const json: string | undefined = JSON.stringify(result);
  if (json === undefined) return undefined;
  const bytes = Buffer.byteLength(json);
  if (bytes > RESULT_LIMIT) {
    return storable(JSON.stringify({ "legwork:cut": { bytes, start: json.slice(0, 1_000).toWellFormed() } }));
  }
  return storable(json);
}

/** JSON knows characters that Postgres's text does not: NUL and halves of surrogate pairs become the replacement character. */
function storable(json: string): string {
  if (!/\\u(0000|d[89a-f])/i.test(json)) return json;
  return JSON.stringify(JSON.parse(json), (_key, value: unknown) => (typeof value === "string" ? storableText(value) : value));
}

/** Text that Postgres stores; see `storable`. Keys are left alone: a key with such a character is refused by Postgres. */
export function storableText(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\uFFFD");
}
