import { type Logger, rootOf } from "../log.ts";
import { counted, durationInWords } from "../wording.ts";

/** How long lost connections are counted before they are logged (ms). When a server restarts, it closes all connections within a few milliseconds. */
const COUNT_MS = 100;

/** Is notified when one of a process's connections to a database is made, closed or lost. */
export interface ConnectionListener {
  /** A connection was made; `connection` identifies it. */
  made(connection: object | string): void;
  /** A connection was closed, for whatever reason. */
  closed(connection: object | string): void;
  /** A connection of the pool was lost. */
  lost(pool: string, reason: string, code?: string): void;
}

export interface OutageListener {
  lost(reason: string): void;
  back(awayMs: number): void;
}

/**
 * Logs one line when a process loses its database and one when the database is back, regardless of the number of pools and connections. If only some
 * connections are lost, logs one line about them.
 */
export class Outages implements ConnectionListener {
  /** Listeners that are notified when the database is lost and when it is back. */
  readonly listeners = new Set<OutageListener>();
  readonly #log: Logger;
  readonly #open = new Set<object | string>();
  /** The number of connections that each pool has lost. */
  #pools = new Map<string, number>();
  #since: number | undefined;
  #isTold = false;
  #reason: { readonly reason: string; readonly code: string | undefined } | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Whether there is no connection at all, so that a statement's error adds no information to the log. */
  get isAway(): boolean {
    return this.#open.size === 0;
  }

  made(connection: object | string): void {
    this.#open.add(connection);
    if (!this.#isTold || this.#since === undefined) return;
    const awayMs = Math.round(performance.now() - this.#since);
    this.#log.info({ event: "database_back", awayMs }, `The database is back after ${durationInWords(awayMs)}.`);
    for (const listener of this.listeners) listener.back(awayMs);
    this.#forget();
  }

  closed(connection: object | string): void {
    this.#open.delete(connection);
  }

  lost(pool: string, reason: string, code?: string): void {
    this.#pools.set(pool, (this.#pools.get(pool) ?? 0) + 1);
    if (this.#since !== undefined) return;
    this.#since = performance.now();
    this.#reason = { reason, code };
    setTimeout(() => this.#tell(), COUNT_MS).unref();
  }

  #tell(): void {
    const pools = Object.fromEntries(this.#pools);
    const count = [...this.#pools.values()].reduce((sum, each) => sum + each, 0);
    const names = Object.keys(pools).join(", ");
    const fields = { ...this.#reason, pools };
    if (this.isAway) {
      this.#isTold = true;
      this.#log.error(
        { event: "database_lost", ...fields },
        `The database cannot be reached (${names}): ${this.#reason?.reason ?? ""}. Reconnecting.`,
      );
      for (const listener of this.listeners) listener.lost(this.#reason?.reason ?? "");
      return;
    }
    this.#log.warn(
      { event: "connections_lost", ...fields },
      `${counted(count, "database connection")} lost (${names}) and replaced: ${this.#reason?.reason ?? ""}.`,
    );
    this.#forget();
  }

  #forget(): void {
    this.#since = undefined;
    this.#isTold = false;
    this.#pools = new Map();
  }
}

const known = new WeakMap<Logger, Map<string, Outages>>();

/** Returns the object that tracks the connections to a database, shared by all pools that use the same log or a child of it. */
export function outagesOf(databaseUrl: string, log: Logger): Outages {
  const root = rootOf(log);
  const byDatabase = known.get(root) ?? new Map<string, Outages>();
  known.set(root, byDatabase);
  const outages = byDatabase.get(databaseUrl) ?? new Outages(log);
  byDatabase.set(databaseUrl, outages);
  return outages;
}

/** Ignores events, for connections whose loss is logged by another thread or process. */
export const UNHEARD: ConnectionListener = { made: () => undefined, closed: () => undefined, lost: () => undefined };
