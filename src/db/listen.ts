import pg from "pg";
import { toError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { Client } from "./client.ts";
import { connectionString } from "./database-url.ts";
import { destroySocket, endSoon } from "./silent-connections.ts";

/** The longest wait before reconnecting (ms). */
const MAX_RECONNECT_MS = 5_000;

/** How often a listening connection is checked by default (ms). */
const PROVE_INTERVAL_MS = 2_000;

/** How long a check, or connecting, may take (ms). */
const ANSWER_TIMEOUT_MS = 3_000;

export interface Listener {
  /**
   * When the last check that got a response was sent, by `performance.now()`. All notifications sent before this time have been received, because notifications
   * and responses arrive in the order in which the server sent them. An open connection alone proves nothing: it may have died silently.
   */
  readonly provenAt: number;
  /** Starts a new check, unless one is in progress. */
  prove(): void;
  stop(): void;
}

/**
 * Listens to a channel on a separate connection, and reconnects when the connection is lost or does not respond. `onConnect` is called each time
 * notifications start to arrive; any sent before that were missed. `onLost` is called when notifications may no longer arrive. With `unref`, the
 * connection does not keep the process alive. Never throws; problems are logged.
 */
export function listen(
  databaseUrl: string,
  channel: string,
  options: {
    log: Logger;
    onConnect: () => void;
    onLost?: () => void;
    onNotification: (payload: string) => void;
    unref?: boolean;
    /** How often the connection is checked (ms). */
    proveEvery?: number;
  },
): Listener {
  const { log, unref = false, proveEvery = PROVE_INTERVAL_MS } = options;
  let client: pg.Client | undefined;
  let provenAt = Number.NEGATIVE_INFINITY;
  let isProving = false;
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;
  let wait = 100;
  /** Drops the current connection. */
  let drop: ((error?: Error) => void) | undefined;

  const connect = async (): Promise<void> => {
    const current = new Client({
      connectionString: connectionString(databaseUrl),
      application_name: "legwork listener",
      keepAlive: true,
    });
    client = current;
    isProving = true;
    const lost = (error?: Error): void => {
      if (client !== current) return;
      client = undefined;
      provenAt = Number.NEGATIVE_INFINITY;
      // An unresponsive connection would not close on its own.
      destroySocket(current);
      if (isStopped) return;
      log.debug({ err: error }, "The listening connection was lost.");
      options.onLost?.();
      timer = setTimeout(() => void connect(), wait);
      if (unref) timer.unref();
      wait = Math.min(wait * 2, MAX_RECONNECT_MS);
    };
    drop = lost;
    current.on("error", lost);
    current.on("end", () => lost());
    current.on("notification", ({ payload }) => options.onNotification(payload ?? ""));
    const { promise: silence, reject: giveUp } = Promise.withResolvers<never>();
    const stopWaiting = afterSilence(() => giveUp(new Error("the server does not respond")));
    try {
      await Promise.race([current.connect(), silence]);
      // node-postgres's types lack `unref`.
      if (unref) (current as pg.Client & { unref(): void }).unref();
      const before = performance.now();
      await Promise.race([current.query(`listen ${pg.escapeIdentifier(channel)}`), silence]);
      provenAt = before;
      isProving = false;
      wait = 100;
      options.onConnect();
    } catch (error) {
      lost(toError(error));
    } finally {
      stopWaiting();
    }
  };

  const prove = async (): Promise<void> => {
    const current = client;
    if (current === undefined || isProving) return;
    isProving = true;
    const before = performance.now();
    const stopWaiting = afterSilence(() => {
      log.warn({ event: "listener_silent" }, "The listening connection does not respond; reconnecting.");
      drop?.(new Error("the server does not respond"));
    });
    try {
      await current.query("select 1");
      if (client !== current) return;
      provenAt = before;
      isProving = false;
    } catch (error) {
      if (client === current) drop?.(toError(error));
    } finally {
      stopWaiting();
    }
  };
  const proofs = setInterval(() => void prove(), proveEvery).unref();
  void connect();

  return {
    get provenAt() {
      return provenAt;
    },
    prove: () => void prove(),
    stop: () => {
      isStopped = true;
      clearTimeout(timer);
      clearInterval(proofs);
      const last = client;
      if (provenAt === Number.NEGATIVE_INFINITY || last === undefined) drop?.();
      else endSoon(last);
    },
  };
}

/**
 * Calls `callback` after `ANSWER_TIMEOUT_MS`, and returns a function that cancels the timer. If the event loop was blocked, data that arrived in the
 * meantime is read first.
 */
function afterSilence(callback: () => void): () => void {
  let isOver = false;
  const timer = setTimeout(() => {
    setImmediate(() =>
      setImmediate(() => {
        if (!isOver) callback();
      }),
    );
  }, ANSWER_TIMEOUT_MS);
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}
