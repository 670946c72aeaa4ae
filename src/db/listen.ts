import pg from "pg";
import { toError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { connectionString } from "./database-url.ts";

/** The longest wait before a lost connection is made anew (ms). */
const MAX_RECONNECT_MS = 5_000;

export interface Listener {
  /** Whether notifications arrive now. While it is false some may have been missed. */
  readonly isConnected: boolean;
  stop(): Promise<void>;
}

/**
 * Listens to a channel on a connection of its own, and connects anew when that is lost. `onConnect` is called each time
 * notifications begin to arrive: what came before has been missed. Never throws; what happens is logged.
 */
export function listen(
  databaseUrl: string,
  channel: string,
  options: { log: Logger; onConnect: () => void; onNotification: (payload: string) => void },
): Listener {
  const { log } = options;
  let client: pg.Client | undefined;
  let isConnected = false;
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;
  let wait = 100;

  const connect = async (): Promise<void> => {
    const current = new pg.Client({
      connectionString: connectionString(databaseUrl),
      application_name: "legwork listener",
      connectionTimeoutMillis: 10_000,
      keepAlive: true,
    });
    client = current;
    const lost = (error?: Error): void => {
      if (client !== current) return;
      client = undefined;
      isConnected = false;
      if (isStopped) return;
      log.debug({ err: error }, "The listening connection was lost.");
      timer = setTimeout(() => void connect(), wait);
      wait = Math.min(wait * 2, MAX_RECONNECT_MS);
    };
    current.on("error", lost);
    current.on("end", () => lost());
    current.on("notification", ({ payload }) => options.onNotification(payload ?? ""));
    try {
      await current.connect();
      await current.query(`listen ${pg.escapeIdentifier(channel)}`);
      isConnected = true;
      wait = 100;
      options.onConnect();
    } catch (error) {
      lost(toError(error));
      current.end().catch(() => undefined);
    }
  };
  let connecting = connect();

  return {
    get isConnected() {
      return isConnected;
    },
    stop: async () => {
      isStopped = true;
      clearTimeout(timer);
      await connecting;
      connecting = Promise.resolve();
      await client?.end().catch(() => undefined);
    },
  };
}
