import type { Socket } from "node:net";
import pg from "pg";
import { toError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { connectionString } from "./database-url.ts";

/** How long a statement has had no answer before the server is asked about it (ms). */
const SILENT_AFTER_MS = 2_500;

/** The time between the two looks that find a connection dead (ms). */
const SECOND_LOOK_MS = 1_000;

/** How long a statement that the server is working on is left alone (ms). */
const BUSY_FOR_MS = 10_000;

/** How long the question itself may take: connecting, and the answer (ms each). */
const ASK_TIMEOUT_MS = 3_000;

/** A connection that is closed for good has this long to say goodbye (ms); a silent one never would. */
const GOODBYE_MS = 1_000;

/** What is read of a client of node-postgres. */
interface Wire {
  readonly readyForQuery: boolean;
  readonly processID: number | null;
  readonly connection: { readonly stream: Socket };
}

interface Watched {
  readonly client: pg.ClientBase;
  readonly wire: Wire;
  bytes: number;
  /** When the server last answered on it, as far as was looked. */
  repliedAt: number;
  /** Whether it lies in its pool and nothing is done with it. */
  isFree: boolean;
  /** Whether a statement waits for its answer, as of the last look. */
  isWaiting: boolean;
  /** When to ask the server about it. */
  askAt: number;
  /** How many answers in a row said that the server is not working on the statement. */
  idleAnswers: number;
}

export interface WatchOptions {
  readonly databaseUrl: string;
  readonly log: Logger;
  /** How long a statement has had no answer before the server is asked about it (ms); 2,500 by default. */
  readonly silentAfter?: number;
  /** The time between the two looks that find a connection dead (ms); 1,000 by default. */
  readonly secondLook?: number;
}

/**
 * Finds connections that died without a word: a router or a load balancer has dropped them, and neither side was told. A statement on such a
 * connection would wait for ever, and a task's statement has no time limit. So the server is asked about a statement that has had no
 * answer for a while, over a fresh connection: when its backend is gone or idle, twice in a row, the connection is destroyed. Its statement
 * then fails as if the server had closed the connection, and a pool makes a new one.
 *
 * Looks at counters that node-postgres keeps anyway, so a statement costs nothing. Behind a pooler such as PgBouncer backends cannot be told apart,
 * and nothing is destroyed.
 */
export class ConnectionWatch {
  readonly #options: WatchOptions;
  readonly #silentAfter: number;
  readonly #secondLook: number;
  readonly #watched = new Map<pg.ClientBase, Watched>();
  /** All that watch something. What silences one connection mostly silences the others, too. */
  static readonly #all = new Set<ConnectionWatch>();
  #timer: NodeJS.Timeout | undefined;
  #isAsking = false;
  #lastReply = performance.now();

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#silentAfter = options.silentAfter ?? SILENT_AFTER_MS;
    this.#secondLook = options.secondLook ?? SECOND_LOOK_MS;
  }

  /** Watches a client until `remove`, from when it has connected. */
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

  /** Says whether a client lies in its pool and nothing is done with it. */
  setFree(client: pg.ClientBase, isFree: boolean): void {
    const watched = this.#watched.get(client);
    if (watched !== undefined) watched.isFree = isFree;
  }

  /** When the server last answered on any of the connections, by `performance.now()`. */
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

  /** Asks the server what it knows of these connections, and destroys those that it is not working for. */
  async #ask(silent: readonly Watched[]): Promise<void> {
    const { log } = this.#options;
    let working: ReadonlySet<number> | undefined;
    try {
      working = await this.#workingBackends(silent.map(({ wire }) => wire.processID ?? 0));
    } catch (error) {
      log.debug({ err: toError(error) }, "The server could not be asked about a silent connection; asking again.");
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
          new Error("it had gone silent: the server was not working on a statement without an answer"),
        );
        for (const watch of ConnectionWatch.#all) watch.#closeFree(watched.repliedAt + this.#silentAfter);
      }
    }
  }

  /** Closes what lies in the pool and has not been heard of since then: its next statement would have to find out in its turn. */
  #closeFree(since: number): void {
    for (const watched of this.#watched.values()) {
      this.#noteReplies(watched);
      if (watched.isFree && watched.repliedAt < since) destroySocket(watched.client);
    }
  }

  /** Which of these backends work on a statement. All of them when a pooler in between makes that unknown. */
  async #workingBackends(pids: readonly number[]): Promise<ReadonlySet<number>> {
    const asker = new pg.Client({
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

/** Closes the socket of a client at once. */
export function destroySocket(client: pg.ClientBase, reason?: Error): void {
  (client as unknown as Wire).connection.stream.destroy(reason);
}

/** Ends a client; one that does not close within a second is cut off. */
export function endSoon(client: pg.Client): void {
  limitGoodbye(client);
  client.end().catch(() => undefined);
}

function limitGoodbye(client: pg.Client): void {
  const end = client.end.bind(client);
  client.end = (callback?: (error: Error) => void): Promise<void> => {
    const timer = setTimeout(() => destroySocket(client), GOODBYE_MS).unref();
    client.once("end", () => clearTimeout(timer));
    // With a callback it returns nothing.
    return end(callback as never) as unknown as Promise<void>;
  };
}
