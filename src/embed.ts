import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { FastifyInstance } from "fastify";
import { type Operations, operationsOn } from "./api/operations.ts";
import { type Config, type ConfigInput, loadConfig } from "./config.ts";
import { findViews, sameViews } from "./db/confinement.ts";
import { toQueryable, type TransactionClient } from "./db/transaction-client.ts";
import { migrate, type MigrationOptions, type MigrationResult } from "./db/migrate.ts";
import { assertDatabase, createPool, type Pool } from "./db/pool.ts";
import { LegworkError } from "./errors.ts";
import { Problems } from "./health/problems.ts";
import { createLogger, type Logger } from "./log.ts";
import type { ForbiddenFlags, Preset, WorkerConfig } from "./worker/graphile/preset.ts";

export interface LegworkOptions extends Partial<ConfigInput> {
  /**
   * Whether jobs run in this process. Not by default. With a preset of graphile-worker, its plugins, events, logger and settings are used too, as far as they are
   * not among these options; a `graphile.config.ts` is read by the command line only. `forbiddenFlags`: jobs with one of them are not fetched.
   */
  worker?: boolean | { preset?: Preset; forbiddenFlags?: ForbiddenFlags };
  /**
   * Whether REST and GraphQL are served: `listen` on `host` and `port`, or `mount` in a server of yours, which passes requests on by
   * `handler` or `fastify`. Not at all by default.
   */
  server?: "listen" | "mount";
  /** Where the server is mounted, such as `/legwork`: what comes before its own paths. */
  prefix?: string;
  /** A token that is an admin of all tenants. Without one, only tokens of the database and JWTs come in. */
  token?: string;
  /** Whether the database is brought to the schema of this version first. By default. */
  migrate?: boolean;
  /** Where it logs to; a pino logger of yours, or one of the level `logLevel` on stderr. */
  log?: Logger;
}

/** Legwork in a process of yours: its operations, and what was started. */
export interface Legwork extends Operations {
  /**
   * The same operations on a connection of yours, and so within its transaction: they take effect when that commits, and not at all when it is rolled back. A `pg`
   * client, or anything with its `query(text, values)`.
   *
   * @example
   * await client.query("begin");
   * await client.query("insert into users (id, email) values (4, 'ann@example.com')");
   * await legwork.with(client).jobs.enqueue("notify/welcome", { userId: 4 });
   * await client.query("commit");  // the job exists from here on
   */
  with(client: TransactionClient): Operations;
  /**
   * Brings the database to the schema of this version, in a transaction of its own. `createLegwork` has done so unless it was told `migrate: false`. Any number of
   * processes may call it at once. Resolves to what it applied, replaced and put back.
   *
   * Throws LW409 when a table could not be locked in time, LW510 when Postgres or graphile-worker's schema is not a supported version, LW511 when the schema is too new
   * for this version or this login may not migrate it.
   *
   * @example
   * const { applied } = await legwork.migrate();
   */
  migrate(options?: MigrationOptions): Promise<MigrationResult>;
  /** A few connections to the database, for statements of yours. */
  readonly pool: Pool;
  /** Where the server listens; undefined when it does not. */
  readonly url: string | undefined;
  /** The names of the tasks that run here; none without a worker. */
  readonly taskNames: readonly string[];
  /**
   * Answers a request, for Node's own server and whatever builds on it. Throws LW514 unless the server is mounted.
   *
   * @example
   * import { createServer } from "node:http";
   * import { createLegwork } from "legwork";
   *
   * const legwork = await createLegwork({ server: "mount", prefix: "/legwork" });
   * const server = createServer((request, response) => {
   *   if (request.url?.startsWith("/legwork") === true) legwork.handler(request, response);
   *   else response.end("mine");
   * });
   * await legwork.stop();
   */
  readonly handler: (request: IncomingMessage, response: ServerResponse) => void;
  /**
   * Takes a request for a WebSocket, for live views: `server.on("upgrade", legwork.upgrade)` on Node's own server. Returns false, and does
   * nothing, for an address that is not Legwork's `/graphql` below the prefix. Throws LW514 unless the server is mounted.
   *
   * @example
   * import { createServer } from "node:http";
   * import { createLegwork } from "legwork";
   *
   * const legwork = await createLegwork({ server: "mount" });
   * const server = createServer(legwork.handler).on("upgrade", legwork.upgrade);
   * await legwork.stop();
   */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean;
  /**
   * Both as a Fastify plugin, registered with the `prefix`.
   *
   * @example
   * import { fastify } from "fastify";
   * import { createLegwork } from "legwork";
   *
   * const legwork = await createLegwork({ server: "mount", prefix: "/legwork" });
   * const app = fastify();
   * app.register(legwork.fastify, { prefix: "/legwork" });
   * await app.close();
   * await legwork.stop();
   */
  readonly fastify: (app: FastifyServer) => Promise<void>;
  /**
   * Answers what has been asked, lets running jobs finish as a stopping worker does, and closes every connection.
   *
   * @example
   * import { createLegwork } from "legwork";
   *
   * const legwork = await createLegwork();
   * process.once("SIGTERM", () => void legwork.stop());
   * await legwork.stop();
   */
  stop(): Promise<void>;
}

/** What makes out a Fastify instance. Its own type is not used here: projects that serve nothing do not have it. */
interface FastifyServer {
  readonly prefix: string;
  removeAllContentTypeParsers(): unknown;
}

/**
 * Starts Legwork in a process of yours: to enqueue only, as a worker, as a server, or all of it. Options come before the environment, which comes
 * before `legwork.config.ts` and the defaults.
 *
 * Throws LW503 when the database cannot be reached, LW514 for an option that is wrong, and what starting a worker or a server throws.
 * What was started before it threw has been stopped.
 *
 * @example
 * import { createLegwork } from "legwork";
 *
 * const legwork = await createLegwork({ databaseUrl: process.env.DATABASE_URL });
 * const id = await legwork.jobs.enqueue("notify/welcome", { userId: 3 });
 * const { state } = await legwork.jobs.get(id);
 * await legwork.stop();
 */
export async function createLegwork(options: LegworkOptions = {}): Promise<Legwork> {
  const {
    worker: runsJobs = false,
    server: serves,
    prefix = "",
    token,
    migrate: migrates = true,
    log: given,
    ...settings
  } = options;
  const { preset: ownPreset, forbiddenFlags } = typeof runsJobs === "object" ? runsJobs : {};
  // Loaded here and not above, as the worker and the server are.
  const preset =
    ownPreset === undefined
      ? undefined
      : new (await import("./worker/graphile/preset.ts")).WorkerConfig(ownPreset, "worker.preset");
  const { config } = await loadConfig(settings, process.env, process.cwd(), preset?.settings);
  if (config.databaseUrl === undefined) {
    throw new LegworkError("LW514", "createLegwork needs a database.", { hint: "Give databaseUrl, or set DATABASE_URL." });
  }
  if (!/^(\/[\w.~-]+)*$/.test(prefix)) {
    throw new LegworkError("LW514", `'${prefix}' is no prefix.`, { hint: "Give it as /legwork, without a slash at its end." });
  }
  const log = given ?? createLogger({ level: config.logLevel });
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of stops.splice(0).toReversed()) await end();
  };
  const pool = createPool(config.databaseUrl, { log, max: 5, name: "legwork" });
  stops.push(() => pool.end());
  try {
    await (migrates ? migrate(pool, log) : assertDatabase(pool));
    await findViews(pool);
    const problems = new Problems();
    const server = await startServing(serves, { ...config, databaseUrl: config.databaseUrl, prefix, token, log, problems });
    if (server !== undefined) stops.push(() => server.stop());
    const worker =
      runsJobs === false
        ? undefined
        : await startWorking({ ...config, databaseUrl: config.databaseUrl }, { log, problems, preset, forbiddenFlags });
    if (worker !== undefined) stops.push(() => worker.stop());
    return {
      ...operationsOn(pool, pool),
      with: (client) => operationsOn(sameViews(pool, toQueryable(client))),
      migrate: (migrationOptions) => migrate(pool, log, undefined, migrationOptions),
      pool,
      url: server?.url,
      taskNames: worker?.tasks ?? [],
      handler: (request, response) => {
        if (server?.handle === undefined) throw notMounted();
        server.handle(request, response);
      },
      upgrade: (request, socket, head) => {
        if (server?.upgrade === undefined) throw notMounted();
        return server.upgrade(request, socket, head);
      },
      fastify: async (instance) => {
        const app = instance as FastifyInstance;
        const { handle, upgrade } = server ?? {};
        if (handle === undefined || upgrade === undefined) throw notMounted();
        if (app.prefix !== prefix) {
          throw new LegworkError(
            "LW514",
            `The plugin is registered with the prefix '${app.prefix}', Legwork was made with '${prefix}'.`,
            {
              hint: "Give both the same prefix.",
            },
          );
        }
        // Bodies are read by the server that they are for.
        app.removeAllContentTypeParsers();
        app.addContentTypeParser("*", (_request, _payload, done) => done(null));
        app.all("/*", (request, reply) => {
          reply.hijack();
          handle(request.raw, reply.raw);
        });
        // WebSockets of other addresses are for whoever else listens.
        app.server.on("upgrade", upgrade);
        app.addHook("onClose", async () => void app.server.off("upgrade", upgrade));
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function notMounted(): LegworkError {
  return new LegworkError("LW514", "There is no server to mount.", { hint: 'Call createLegwork({ server: "mount", … }).' });
}

interface Serving {
  url: string | undefined;
  handle: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
  upgrade: ((request: IncomingMessage, socket: Duplex, head: Buffer) => boolean) | undefined;
  stop(): Promise<void>;
}

async function startServing(
  serves: LegworkOptions["server"],
  options: Config & { databaseUrl: string; prefix: string; token: string | undefined; log: Logger; problems: Problems },
): Promise<Serving | undefined> {
  if (serves === undefined) return undefined;
  const { assertInstalled, GRAPHQL_PACKAGES, SERVER_PACKAGES } = await import("./optional-packages.ts");
  assertInstalled("The server", SERVER_PACKAGES, GRAPHQL_PACKAGES);
  // Loaded here and not above: whoever enqueues only does without the server and its memory.
  const { createServer, startServer } = await import("./server/server.ts");
  if (serves === "listen") {
    const listening = await startServer({ ...options, auth: options });
    return { url: listening.url, handle: undefined, upgrade: undefined, stop: () => listening.stop() };
  }
  const { prefix } = options;
  const mounted = await createServer({ ...options, host: undefined, auth: options });
  return {
    url: undefined,
    handle: (request, response) => {
      request.url = withoutPrefix(request.url, prefix);
      mounted.app.routing(request, response);
    },
    upgrade: (request, socket, head) => {
      const url = withoutPrefix(request.url, prefix);
      // Nobody takes the prefix away beforehand here, so that without it the address is another's.
      if ((prefix !== "" && url === request.url) || url.split("?")[0] !== "/graphql") return false;
      request.url = url;
      mounted.upgrade(request, socket, head);
      return true;
    },
    stop: () => mounted.stop(),
  };
}

/** Express and its like have taken the prefix away already. */
function withoutPrefix(address: string | undefined, prefix: string): string {
  const url = address ?? "/";
  const isBelow = prefix !== "" && (url === prefix || url.startsWith(`${prefix}/`) || url.startsWith(`${prefix}?`));
  return isBelow ? url.slice(prefix.length).replace(/^(?!\/)/, "/") : url;
}

async function startWorking(
  config: Config & { databaseUrl: string },
  beside: { log: Logger; problems: Problems; preset: WorkerConfig | undefined; forbiddenFlags: ForbiddenFlags | undefined },
) {
  const { startWorker } = await import("./worker/worker.ts");
  return await startWorker({ ...config, localQueueSize: config.localQueueSize ?? config.concurrency, ...beside });
}
