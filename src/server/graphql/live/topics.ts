import { setTimeout as delay } from "node:timers/promises";
import type { Pool } from "../../../db/pool.ts";
import { sqlStateOf, translateError } from "../../../db/translate-error.ts";
import { LegworkError, toError } from "../../../errors.ts";
import type { Logger } from "../../../log.ts";
import { withPrincipal } from "../../../access/principal.ts";
import { durationInWords } from "../../../wording.ts";
import { Rates, readTopic } from "./read-topic.ts";
import { eventOf, type LiveEvent, type Reading, type Topic } from "./topic.ts";

/**
 * The shortest interval between readings of a topic (ms): shorter for a single job, longer for lists and counts, which are sent in full to many
 * clients.
 */
const INTERVAL_MS = { jobs: 1_000, job: 500, queues: 1_000, overview: 1_000 } as const;

/**
 * The pause of a topic after a reading: `factor` times as long as the reading took, so that counting takes at most a twentieth of a connection's
 * time, regardless of the number of jobs. The pause is at most `most` ms, so that one slow reading has no lasting effect.
 */
const REST = {
  jobs: { factor: 4, most: 2_000 },
  job: { factor: 4, most: 2_000 },
  queues: { factor: 20, most: 30_000 },
  overview: { factor: 20, most: 30_000 },
} as const;

/** After each reading, no topic is read for this many times the reading's duration, regardless of the number of topics. */
const DUTY_FACTOR = 1;

/** The maximum number of topics at a time. */
const MAX_TOPICS = 500;

/** How long a reading may take (ms). */
const STATEMENT_TIMEOUT_MS = 2_000;

/** The longest delay between retries while the database cannot be read (ms). */
const MAX_RETRY_MS = 5_000;

interface Watched {
  readonly topic: Topic;
  readonly tenant: string | null;
  readonly watchers: Set<Watcher>;
  readonly rates: Rates;
  reading: Reading | undefined;
  readAt: Date;
  dueAt: number;
  retry: number;
}

/**
 * Reads the topics that have subscribers repeatedly, and passes each change to the subscribers. Reads nothing without subscribers.
 *
 * A topic is a state, not a stream of events: each reading replaces the previous one, a slow subscriber skips all but the latest reading, and after a
 * lost connection the next reading is complete. Therefore 10,000 jobs per second cause at most two messages per second, memory holds one reading per
 * topic, and the work does not depend on how many jobs end. Workers are not involved.
 */
export class Live {
  readonly #pool: Pool;
  readonly #log: Logger;
  readonly #topics = new Map<string, Watched>();
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #isLost = false;

  constructor(pool: Pool, log: Logger) {
    this.#pool = pool;
    this.#log = log;
  }

  /** The number of topics with subscribers. */
  get topics(): number {
    return this.#topics.size;
  }

  /** Subscribes to a topic on behalf of a tenant (null: all tenants). Throws LW429 when there are too many topics. */
  watch(topic: Topic, tenant: string | null): Watcher {
    if (this.#stop.signal.aborted) throw new LegworkError("LW503", "The server is stopping.", { hint: "Connect again." });
    const key = JSON.stringify([tenant, topic]);
    let watched = this.#topics.get(key);
    if (watched === undefined) {
      if (this.#topics.size >= MAX_TOPICS) {
        throw new LegworkError("LW429", `The server already serves ${MAX_TOPICS} different subscriptions.`, {
          hint: "End a subscription, use the same arguments as another client, or poll with a query.",
        });
      }
      watched = {
        topic,
        tenant,
        watchers: new Set(),
        rates: new Rates(),
        reading: undefined,
        readAt: new Date(),
        dueAt: 0,
        retry: 0,
      };
      this.#topics.set(key, watched);
    }
    const mine = watched;
    const watcher = new Watcher(mine, () => {
      mine.watchers.delete(watcher);
      if (mine.watchers.size === 0 && this.#topics.get(key) === mine) this.#topics.delete(key);
    });
    mine.watchers.add(watcher);
    this.#running ??= this.#run();
    return watcher;
  }

  /** Ends every subscription and waits for the reading in progress. */
  async stop(): Promise<void> {
    this.#stop.abort();
    for (const { watchers } of this.#topics.values()) for (const watcher of watchers) watcher.end();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (this.#topics.size > 0 && !signal.aborted) {
      const now = performance.now();
      let next: Watched | undefined;
      for (const watched of this.#topics.values()) if (next === undefined || watched.dueAt < next.dueAt) next = watched;
      if (next === undefined) break;
      // A new topic is due immediately, so no subscriber waits longer than this for the first message.
      const wait = next.dueAt - now;
      if (wait > 0) {
        await delay(Math.min(wait, 50), undefined, { signal }).catch(() => undefined);
        continue;
      }
      await this.#read(next);
      // A failed reading has its own delay. Its duration does not indicate load on the database, because the connection may have died silently.
      const took = next.retry > 0 ? 0 : performance.now() - now;
      const { factor, most } = REST[next.topic.kind];
      next.dueAt = performance.now() + Math.max(next.retry, INTERVAL_MS[next.topic.kind], Math.min(most, took * factor));
      await delay(took * DUTY_FACTOR, undefined, { signal }).catch(() => undefined);
    }
    // Reset in the same tick as the last check, so that the next subscriber either finds a loop that will read its topic or starts one.
    this.#running = undefined;
  }

  async #read(watched: Watched): Promise<void> {
    const { topic, tenant, rates } = watched;
    try {
      const reading = await withPrincipal(
        this.#pool,
        { subject: "live", role: "viewer", tenant },
        "graphql",
        async (client) => {
          await client.query("select set_config('TimeZone', 'UTC', true), set_config('jit', 'off', true)");
          return await readTopic(client, topic, rates);
        },
        { readOnly: true, statementTimeout: STATEMENT_TIMEOUT_MS },
      );
      if (this.#isLost) this.#log.info({ event: "subscriptions_resumed" }, "The data for subscriptions can be read again.");
      this.#isLost = false;
      watched.retry = 0;
      if (reading.text === watched.reading?.text) return;
      watched.reading = reading;
      watched.readAt = new Date();
      for (const watcher of watched.watchers) watcher.wake();
    } catch (error) {
      this.#failed(watched, error);
    }
  }

  #failed(watched: Watched, thrown: unknown): void {
    const error = translateError(thrown);
    if (error.code === "LW504") {
      // A retry would cost the same and fail again, so the subscribers receive the error.
      const tooSlow = new LegworkError(
        "LW504",
        `Reading this subscription takes longer than ${durationInWords(STATEMENT_TIMEOUT_MS)}.`,
        {
          hint: "Subscribe by task or by state, or to a single job.",
        },
      );
      for (const watcher of watched.watchers) watcher.fail(tooSlow);
      return;
    }
    // Subscribers also receive errors for invalid requests and for missing privileges of the server's login.
    if (error.code === "LW400" || error.code === "LW403") {
      for (const watcher of watched.watchers) watcher.fail(error);
      return;
    }
    watched.retry = Math.min(MAX_RETRY_MS, Math.max(250, watched.retry * 2));
    if (!this.#isLost) {
      const { message } = toError(error.cause ?? error);
      this.#log.warn(
        { event: "subscriptions_failed", code: sqlStateOf(error) },
        `The data for subscriptions cannot be read: ${message}.`,
      );
    }
    this.#isLost = true;
  }
}

/**
 * The messages of one subscriber: only the latest state, and only when the subscriber requests the next message. `return` ends it without a database
 * query.
 */
export class Watcher implements AsyncIterableIterator<LiveEvent> {
  readonly #watched: Watched;
  readonly #onEnd: () => void;
  #sent: Reading | undefined;
  #error: Error | undefined;
  #isEnded = false;
  #wake: (() => void) | undefined;

  constructor(watched: Watched, onEnd: () => void) {
    this.#watched = watched;
    this.#onEnd = onEnd;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<LiveEvent, undefined>> {
    for (;;) {
      if (this.#error !== undefined) {
        const error = this.#error;
        this.#error = undefined;
        this.end();
        throw error;
      }
      const { reading, readAt } = this.#watched;
      if (this.#isEnded) return { done: true, value: undefined };
      if (reading !== undefined && reading !== this.#sent) {
        const value = eventOf(reading, this.#sent, readAt);
        this.#sent = reading;
        return { done: false, value };
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  async return(): Promise<IteratorResult<LiveEvent, undefined>> {
    this.end();
    return { done: true, value: undefined };
  }

  /** Signals that a new reading may be available. */
  wake(): void {
    this.#wake?.();
  }

  /** Ends the subscription with an error, which the next request for a message throws. */
  fail(error: Error): void {
    this.#error = error;
    this.#onEnd();
    this.wake();
  }

  end(): void {
    this.#isEnded = true;
    this.#onEnd();
    this.wake();
  }
}
