import pg from "pg";
import { toError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { connectionString } from "./database-url.ts";
import { destroySocket, endSoon } from "./silent-connections.ts";

/** The longest wait before a lost connection is made anew (ms). */
const MAX_RECONNECT_MS = 5_000;

/** How often an idle listening connection is asked for a sign of life (ms). */
const PROVE_INTERVAL_MS = 2_000;

/** How long a sign of life may take, or connecting (ms). */
const ANSWER_TIMEOUT_MS = 3_000;

export interface Listener {
  /**
   * Until when everything that was notified has certainly been heard, by `performance.now()`: when the last question was asked on the connection that was answered.
   * Notifications and answers come in the order in which the server sent them. An open connection proves nothing: it may have died without a word.
   */
  readonly provenAt: number;
  /** Asks for a new proof, unless one is on its way. */
  prove(): void;
  stop(): void;
}

/**
 * Listens to a channel on a connection of its own, and connects anew when that is lost or gives no sign of life. `onConnect` is called each time
 * notifications begin to arrive: what came before has been missed. Never throws; what happens is logged.
 */
export function listen(
  databaseUrl: string,
  channel: string,
  options: { log: Logger; onConnect: () => void; onNotification: (payload: string) => void },
): Listener {
  const { log } = options;
  let client: pg.Client | undefined;
  let provenAt = Number.NEGATIVE_INFINITY;
  let isProving = false;
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;
  let wait = 100;
  /** Gives up the connection there is. */
  let drop: ((error?: Error) => void) | undefined;

  const connect = async (): Promise<void> => {
    const current = new pg.Client({
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
      // One that has gone silent would not close by itself.
      destroySocket(current);
      if (isStopped) return;
      log.debug({ err: error }, "The listening connection was lost.");
      timer = setTimeout(() => void connect(), wait);
      wait = Math.min(wait * 2, MAX_RECONNECT_MS);
    };
    drop = lost;
    current.on("error", lost);
    current.on("end", () => lost());
    current.on("notification", ({ payload }) => options.onNotification(payload ?? ""));
    const { promise: silence, reject: giveUp } = Promise.withResolvers<never>();
    const stopWaiting = afterSilence(() => giveUp(new Error("the server does not answer")));
    try {
      await Promise.race([current.connect(), silence]);
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
      log.warn("The listening connection has gone silent; connecting again.");
      drop?.(new Error("the server does not answer"));
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
  const proofs = setInterval(() => void prove(), PROVE_INTERVAL_MS).unref();
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

/** Calls back when nothing has come for `ANSWER_TIMEOUT_MS`; returns what ends the wait. An event loop that was held up reads first what has come meanwhile. */
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
