import { setTimeout as delay } from "node:timers/promises";
import type { Pool } from "../../../db/pool.ts";
import { sqlStateOf, translateError } from "../../../db/translate-error.ts";
import { LegworkError, toError } from "../../../errors.ts";
import type { Logger } from "../../../log.ts";
import { withPrincipal } from "../../../access/principal.ts";
import { Rates, readTopic } from "./read-topic.ts";
import { eventOf, type LiveEvent, type Reading, type Topic } from "./topic.ts";

/** How often a topic is read at most (ms): the one job that somebody looks at, and lists and counts, which each of many clients is sent whole. */
const INTERVAL_MS = { jobs: 1_000, job: 500, queues: 1_000, overview: 1_000 } as const;

/**
 * A topic rests for this many times as long as it took to read, so that counting takes a twentieth of a connection's time at most,
 * however many jobs there are to count, and at most so long (ms): one reading that was slow by chance is soon made up for.
 */
const REST = {
  jobs: { factor: 4, most: 2_000 },
  job: { factor: 4, most: 2_000 },
  queues: { factor: 20, most: 30_000 },
  overview: { factor: 20, most: 30_000 },
} as const;

/** After any reading the database has at least as much rest as it took, however many topics there are. */
const DUTY_FACTOR = 1;

/** Different things that can be watched at a time. */
const MAX_TOPICS = 500;

/** How long one reading may take (ms). */
const STATEMENT_TIMEOUT_MS = 2_000;

/** The longest wait between attempts to read while the database is in trouble (ms). */
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
 * Reads what somebody watches, again and again, and hands each change to those who watch it. Nothing happens while nobody watches.
 *
 * A topic is a state and not a stream of events: a reading replaces the one before it, a slow subscriber gets the latest and skips what
 * lay between, and after a lost connection the next reading makes up for everything. So 10,000 jobs a second make two messages a second,
 * memory is one reading for each topic, and the work is the same whether jobs end or not; what completes them knows nothing of it.
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

  /** How many different things are watched. */
  get topics(): number {
    return this.#topics.size;
  }

  /** Watches a topic on behalf of a tenant (null: everything). Throws LW429 when too many are watched already. */
  watch(topic: Topic, tenant: string | null): Watcher {
    if (this.#stop.signal.aborted) throw new LegworkError("LW503", "The server is stopping.", { hint: "Connect again." });
    const key = JSON.stringify([tenant, topic]);
    let watched = this.#topics.get(key);
    if (watched === undefined) {
      if (this.#topics.size >= MAX_TOPICS) {
        throw new LegworkError("LW429", `${MAX_TOPICS} different things are watched already.`, {
          hint: "End a subscription, or watch what others watch; or ask again and again with a query.",
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

  /** Ends every subscription and waits for the reading that is under way. */
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
      // A new topic is read at once, so nobody waits longer than this for the first message.
      const wait = next.dueAt - now;
      if (wait > 0) {
        await delay(Math.min(wait, 50), undefined, { signal }).catch(() => undefined);
        continue;
      }
      await this.#read(next);
      // A reading that failed has its own wait, and what it took says nothing of the database's work: its connection may have died without a word.
      const took = next.retry > 0 ? 0 : performance.now() - now;
      const { factor, most } = REST[next.topic.kind];
      next.dueAt = performance.now() + Math.max(next.retry, INTERVAL_MS[next.topic.kind], Math.min(most, took * factor));
      await delay(took * DUTY_FACTOR, undefined, { signal }).catch(() => undefined);
    }
    // In the same turn as the last look, so that whoever watches next finds either a loop that will look or none.
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
      if (this.#isLost) this.#log.info("Live views are read again.");
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
      // It would be so again, and cost the same: whoever watches this is told.
      const tooSlow = new LegworkError("LW504", `Reading this takes longer than ${STATEMENT_TIMEOUT_MS / 1_000} s.`, {
        hint: "Watch by task, by state, or one job.",
      });
      for (const watcher of watched.watchers) watcher.fail(tooSlow);
      return;
    }
    // So is a right that the server's login lacks.
    if (error.code === "LW400" || error.code === "LW403") {
      for (const watcher of watched.watchers) watcher.fail(error);
      return;
    }
    watched.retry = Math.min(MAX_RETRY_MS, Math.max(250, watched.retry * 2));
    if (!this.#isLost) {
      const { message } = toError(error.cause ?? error);
      this.#log.warn({ code: sqlStateOf(error) }, `Live views cannot be read: ${message}.`);
    }
    this.#isLost = true;
  }
}

/**
 * What one subscriber gets: never more than the latest state, and only when it asks for the next one. Ends with `return`, without a
 * word to the database.
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

  /** There may be something new. */
  wake(): void {
    this.#wake?.();
  }

  /** Ends with an error, once it has been asked for the next message. */
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
