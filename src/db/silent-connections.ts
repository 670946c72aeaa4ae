import type { Socket } from "node:net";
import pg from "pg";
import { toError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { Client } from "./client.ts";
import { connectionString } from "./database-url.ts";

/** How long a statement waits for a response before its connection is checked (ms). */
const SILENT_AFTER_MS = 2_500;

/** The time between the two checks after which a connection is considered dead (ms). */
const SECOND_LOOK_MS = 1_000;

/** How long to wait until the next check after one that found the server working on the statement (ms). */
const BUSY_FOR_MS = 10_000;

/** How long connecting for the check, and getting the response, may take (ms each). */
const ASK_TIMEOUT_MS = 3_000;

/** How long a connection may take to close properly (ms); an unresponsive one never would. */
const GOODBYE_MS = 1_000;

/** The internals of node-postgres's client that this file uses. */
interface Wire {
  readonly readyForQuery: boolean;
  readonly processID: number | null;
  readonly connection: { readonly stream: Socket };
}

interface Watched {
  readonly client: pg.ClientBase;
  readonly wire: Wire;
  bytes: number;
  /** When the server last sent data on the connection, as of the last check. */
  repliedAt: number;
  /** Whether the client is idle in its pool. */
  isFree: boolean;
  /** Whether a statement is waiting for a response, as of the last check. */
  isWaiting: boolean;
  /** When to query the server whether it is working on the statement. */
  askAt: number;
  /** How many checks in a row found that the server is not working on the statement. */
  idleAnswers: number;
}

export interface WatchOptions {
  readonly databaseUrl: string;
  readonly log: Logger;
  /** How long a statement waits for a response before its connection is checked (ms); 2,500 by default. */
  readonly silentAfter?: number;
  /** The time between the two checks after which a connection is considered dead (ms); 1,000 by default. */
  readonly secondLook?: number;
}

/**
 * Detects connections that died silently, because a router or a load balancer dropped them without notifying either side. A statement on such a
 * connection would wait forever, and statements of tasks have no time limit. So when a statement has had no response for a while, a new connection is
 * used to check whether the server is still working on it. If its backend is gone or idle twice in a row, the connection is destroyed. The statement
 * then fails as if the server had closed the connection, and a pool opens a new one.
 *
 * It reads counters that node-postgres keeps anyway, so a statement costs nothing. Behind a pooler such as PgBouncer, backends cannot be identified,
 * and no connection is destroyed.
 */
export class ConnectionWatch {
  readonly #options: WatchOptions;
  readonly #silentAfter: number;
  readonly #secondLook: number;
  readonly #watched = new Map<pg.ClientBase, Watched>();
  /** All active watches. A cause that silences one connection usually silences others too. */
  static readonly #all = new Set<ConnectionWatch>();
  #timer: NodeJS.Timeout | undefined;
  #isAsking = false;
  #lastReply = performance.now();

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#silentAfter = options.silentAfter ?? SILENT_AFTER_MS;
    this.#secondLook = options.secondLook ?? SECOND_LOOK_MS;
  }

  /** Watches a connected client until `remove` is called. */
  add(client: pg.ClientBase): void {
    const wire = client as unknown as Wire;
    const bytes = wire.connection.stream.bytesRead;
    const now = performance.now();
    this.#watched.set(client, {
      client,
      wire,
      bytes,
      repliedAt: now,
      isFree: false,
      isWaiting: false,
      askAt: Infinity,
      idleAnswers: 0,
    });
    this.#lastReply = now;
    this.#timer ??= setInterval(() => this.#look(), this.#silentAfter / 5).unref();
    ConnectionWatch.#all.add(this);
    limitGoodbye(client as pg.Client);
  }

  remove(client: pg.ClientBase): void {
    this.#watched.delete(client);
    if (this.#watched.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    ConnectionWatch.#all.delete(this);
  }

  /** Sets whether a client is idle in its pool. */
  setFree(client: pg.ClientBase, isFree: boolean): void {
    const watched = this.#watched.get(client);
    if (watched !== undefined) watched.isFree = isFree;
  }

  /** When the server last sent data on any of the connections, by `performance.now()`. */
  get lastReply(): number {
    for (const watched of this.#watched.values()) this.#noteReplies(watched);
    return this.#lastReply;
  }

  #noteReplies(watched: Watched): void {
    const { bytesRead } = watched.wire.connection.stream;
    if (bytesRead === watched.bytes) return;
    watched.bytes = bytesRead;
    watched.isWaiting = false;
    this.#lastReply = watched.repliedAt = performance.now();
  }

  #look(): void {
    const now = performance.now();
    const silent: Watched[] = [];
    for (const watched of this.#watched.values()) {
      this.#noteReplies(watched);
      if (watched.wire.readyForQuery) {
        watched.isWaiting = false;
      } else if (!watched.isWaiting) {
        watched.isWaiting = true;
        watched.idleAnswers = 0;
        watched.askAt = now + this.#silentAfter;
      } else if (now >= watched.askAt) {
        silent.push(watched);
      }
    }
    if (silent.length === 0 || this.#isAsking) return;
    this.#isAsking = true;
    void this.#ask(silent).finally(() => (this.#isAsking = false));
  }

  /** Queries the server about these connections, and destroys those whose statement it is not working on. */
  async #ask(silent: readonly Watched[]): Promise<void> {
    const { log } = this.#options;
    let working: ReadonlySet<number> | undefined;
    try {
      working = await this.#workingBackends(silent.map(({ wire }) => wire.processID ?? 0));
    } catch (error) {
      log.debug({ err: toError(error) }, "Could not query the server about an unresponsive connection; retrying.");
    }
    const now = performance.now();
    for (const watched of silent) {
      this.#noteReplies(watched);
      if (!watched.isWaiting || !this.#watched.has(watched.client)) continue;
      if (working === undefined || working.has(watched.wire.processID ?? 0)) {
        watched.idleAnswers = 0;
        watched.askAt = now + (working === undefined ? this.#secondLook : BUSY_FOR_MS);
      } else if (++watched.idleAnswers < 2) {
        watched.askAt = now + this.#secondLook;
      } else {
        watched.askAt = Infinity;
        destroySocket(
          watched.client,
          new Error("the connection did not respond, and the server was not working on its statement"),
        );
        for (const watch of ConnectionWatch.#all) watch.#closeFree(watched.repliedAt + this.#silentAfter);
      }
    }
  }

  /** Closes idle connections that have received nothing since that time, because the next statement on them would probably get no response either. */
  #closeFree(since: number): void {
    for (const watched of this.#watched.values()) {
      this.#noteReplies(watched);
      if (watched.isFree && watched.repliedAt < since) destroySocket(watched.client);
    }
  }

  /** Returns the backends that are working on a statement; all of them if this is unknown because of a pooler. */
  async #workingBackends(pids: readonly number[]): Promise<ReadonlySet<number>> {
    const asker = new Client({
      connectionString: connectionString(this.#options.databaseUrl),
      application_name: "legwork watch",
      connectionTimeoutMillis: ASK_TIMEOUT_MS,
      query_timeout: ASK_TIMEOUT_MS,
    });
    asker.on("error", () => undefined);
    try {
      await asker.connect();
      const { rows } = await asker.query(
        `select pg_backend_pid() as own, array(
           select a.pid from pg_stat_activity a
           where a.pid = any ($1) and a.usename = current_user and a.datname = current_database() and a.state not like 'idle%') as working`,
        [pids],
      );
      const { own, working } = rows[0] as { own: number; working: number[] };
      return new Set(own === (asker as unknown as Wire).processID ? working : pids);
    } finally {
      endSoon(asker);
    }
  }
}

/** Closes the socket of a client immediately. */
export function destroySocket(client: pg.ClientBase, reason?: Error): void {
  (client as unknown as Wire).connection.stream.destroy(reason);
}

/** Ends a client; if it does not close within a second, its socket is destroyed. */
export function endSoon(client: pg.Client): void {
  limitGoodbye(client);
  client.end().catch(() => undefined);
}

function limitGoodbye(client: pg.Client): void {
  const end = client.end.bind(client);
  client.end = (callback?: (error: Error) => void): Promise<void> => {
    const timer = setTimeout(() => destroySocket(client), GOODBYE_MS).unref();
    client.once("end", () => clearTimeout(timer));
    // Called with a callback, `end` returns nothing.
    return end(callback as never) as unknown as Promise<void>;
  };
}
