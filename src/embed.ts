import { existsSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join, resolve } from "node:path";
import type { Duplex } from "node:stream";
import type { FastifyInstance } from "fastify";
import { type Operations, operationsOn } from "./api/operations.ts";
import { type WaitingJobs, waitingJobsOn } from "./api/waiting-jobs.ts";
import { type Config, type ConfigInput, loadConfig } from "./config.ts";
import { findViews, sameViews } from "./db/confinement.ts";
import { toQueryable, type TransactionClient } from "./db/transaction-client.ts";
import { migrate, type MigrationOptions, type MigrationResult } from "./db/migrate.ts";
import { assertDatabase, createPool, type Pool } from "./db/pool.ts";
import { LegworkError } from "./errors.ts";
import { installMiddleware } from "./jobs/enqueue-middleware.ts";
import { type Middleware, readMiddleware } from "./jobs/middleware.ts";
import { WorkerEventHub, type WorkerEvents } from "./jobs/worker-events.ts";
import { Problems } from "./health/problems.ts";
import { ResultWaits } from "./jobs/result-waits.ts";
import { createLogger, type Logger } from "./log.ts";
import { assertNode } from "./node-version.ts";
import type { ForbiddenFlags, Preset, WorkerConfig } from "./worker/graphile/preset.ts";

export interface LegworkOptions extends Partial<ConfigInput> {
  /**
   * Whether jobs run in this process; false by default. With a graphile-worker preset, its plugins, events, logger and settings are used too, unless
   * these options override them; only the command line reads a `graphile.config.ts`. Jobs with one of the `forbiddenFlags` are not fetched.
   */
  worker?: boolean | { preset?: Preset; forbiddenFlags?: ForbiddenFlags };
  /**
   * Whether to serve REST and GraphQL: `listen` on `host` and `port`, or `mount` in your own server, which passes requests on with
   * `handler` or `fastify`. Neither by default.
   */
  server?: "listen" | "mount";
  /** The path below which the server is mounted, such as `/legwork`. If a proxy changes it, `publicPath` is the path in the browser's address bar. */
  prefix?: string;
  /** A token with the role admin for all tenants. Without it, only tokens from the database and JWTs are accepted. */
  token?: string;
  /** Whether to migrate the database to the schema of this version first; true by default. */
  migrate?: boolean;
  /**
   * Runs around attempts and enqueues; the first is the outermost. Replaces the middleware of `legwork.config.ts`, which is the default. Middleware
   * for isolated tasks must be in that file.
   */
  middleware?: readonly Middleware[];
  /** The pino logger to use; by default a logger of the level `logLevel` on stderr. */
  log?: Logger;
}

/** Legwork in your own process: its operations, and what was started. */
export interface Legwork extends Operations {
  /** The operations on jobs, and waits for their results. */
  readonly jobs: WaitingJobs;
  /**
   * Returns the same operations on your own connection, within its transaction: they take effect when it commits, and not at all if it is rolled
   * back. The connection is a `pg` client, or any object with its `query(text, values)`.
   *
   * @example
   * await client.query("begin");
   * await client.query("insert into users (id, email) values (4, 'ann@example.com')");
   * await legwork.with(client).jobs.enqueue("notify/welcome", { userId: 4 });
   * await client.query("commit");  // the job exists from here on
   */
  with(client: TransactionClient): Operations;
  /**
   * Migrates the database to the schema of this version, in its own transaction. `createLegwork` has already done so unless `migrate: false` was
   * given. Any number of processes may call it at once. Returns what it applied, replaced and restored.
   *
   * Throws LW409 when a table could not be locked in time, LW510 when the version of Postgres or of graphile-worker's schema is not supported, LW511
   * when the schema is too new for this version or this login may not migrate it.
   *
   * @example
   * const { applied } = await legwork.migrate();
   */
  migrate(options?: MigrationOptions): Promise<MigrationResult>;
  /** A small connection pool, for your own statements. */
  readonly pool: Pool;
  /**
   * The events of the worker in this process; without a worker, there are no events. Events before `createLegwork` returns reach only the `on` of
   * middleware.
   *
   * @example
   * import { createLegwork } from "legwork";
   *
   * const legwork = await createLegwork();
   * legwork.events.on("job_failed", ({ job, error, final }) => {
   *   if (final) console.error(`Job ${job.id} (${job.task}) has failed for good: ${error.message}`);
   * });
   * await legwork.stop();
   */
  readonly events: WorkerEvents;
  /** The URL on which the server listens; undefined if it does not. */
  readonly url: string | undefined;
  /** The names of the tasks that run here; empty without a worker. */
  readonly taskNames: readonly string[];
  /**
   * Handles a request from Node's HTTP server, or from a framework that is built on it. Throws LW514 unless the server is mounted.
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
   * Handles a WebSocket upgrade request, for live views: `server.on("upgrade", legwork.upgrade)` on Node's HTTP server. Ignores any path other than
   * Legwork's `/graphql` below the prefix and returns false. Throws LW514 unless the server is mounted.
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
   * Both handlers as a Fastify plugin, to be registered with the `prefix`.
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
   * Finishes open requests, lets running jobs finish as a stopping worker does, and closes all connections.
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

/** The parts of a Fastify instance that Legwork uses. Fastify's own type is not available in projects without a server. */
interface FastifyServer {
  readonly prefix: string;
  removeAllContentTypeParsers(): unknown;
}

/**
 * Starts Legwork in your own process: only to enqueue jobs, or as a worker, a server, or both. Options take precedence over the environment, which
 * takes precedence over `legwork.config.ts` and the defaults.
 *
 * Throws LW503 when the database cannot be reached, LW514 for an invalid option, and the errors of starting a worker or a server.
 * When it throws, it has stopped everything that it started.
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
    middleware: givenMiddleware,
    ...settings
  } = options;
  const { preset: ownPreset, forbiddenFlags } = typeof runsJobs === "object" ? runsJobs : {};
  // Imported here and not at the top, like the worker and the server.
  const preset =
    ownPreset === undefined
      ? undefined
      : new (await import("./worker/graphile/preset.ts")).WorkerConfig(ownPreset, "worker.preset");
  const { config, file, ...loaded } = await loadConfig(settings, process.env, process.cwd(), preset?.settings);
  const middleware = readMiddleware(givenMiddleware ?? loaded.middleware, "middleware");
  if (config.databaseUrl === undefined) {
    throw new LegworkError("LW514", "createLegwork needs a database.", {
      hint: `Pass databaseUrl, or set DATABASE_URL.${hintAtEmbedded(config.dataDir)}`,
    });
  }
  if (!/^(\/[\w.~-]+)*$/.test(prefix)) {
    throw new LegworkError("LW514", `Invalid prefix '${prefix}'.`, { hint: "Write it like /legwork, without a trailing slash." });
  }
  const log = given ?? createLogger({ level: config.logLevel });
  const events = new WorkerEventHub(log);
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of stops.splice(0).toReversed()) await end();
  };
  const pool = createPool(config.databaseUrl, { log, max: 5, name: "legwork" });
  stops.push(() => pool.end());
  const waits = new ResultWaits(pool, log);
  stops.push(() => waits.stop());
  try {
    await (migrates ? migrate(pool, log) : assertDatabase(pool));
    await findViews(pool);
    const uninstall = installMiddleware(middleware);
    stops.push(async () => uninstall());
    const problems = new Problems();
    const server = await startServing(serves, { ...config, databaseUrl: config.databaseUrl, prefix, token, log, problems });
    if (server !== undefined) stops.push(() => server.stop());
    const worker =
      runsJobs === false
        ? undefined
        : await startWorking(
            { ...config, databaseUrl: config.databaseUrl },
            {
              log,
              problems,
              preset,
              forbiddenFlags,
              events,
              middleware,
              middlewareFile: givenMiddleware === undefined ? file : undefined,
            },
          );
    if (worker !== undefined) {
      stops.push(() => worker.stop());
      // A drained worker stops; the rest of the process continues.
      void worker.drained.then(() => worker.stop());
    }
    return {
      ...operationsOn(pool, pool, middleware),
      jobs: waitingJobsOn(pool, waits, middleware),
      with: (client) => operationsOn(sameViews(pool, toQueryable(client)), undefined, middleware),
      migrate: (migrationOptions) => migrate(pool, log, undefined, migrationOptions),
      pool,
      events: { on: events.on, once: events.once },
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
            `The plugin is registered with the prefix '${app.prefix}', but createLegwork was called with '${prefix}'.`,
            {
              hint: "Use the same prefix for both.",
            },
          );
        }
        // Legwork's own server reads the request bodies.
        app.removeAllContentTypeParsers();
        app.addContentTypeParser("*", (_request, _payload, done) => done(null));
        app.all("/*", (request, reply) => {
          reply.hijack();
          handle(request.raw, reply.raw);
        });
        // WebSocket requests for other paths are left to other listeners.
        app.server.on("upgrade", upgrade);
        // In preClose, because Fastify calls onClose only when all connections have ended.
        app.addHook("preClose", async () => {
          await server?.endLiveViews();
          app.server.off("upgrade", upgrade);
        });
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
  endLiveViews(): Promise<void>;
  stop(): Promise<void>;
}

async function startServing(
  serves: LegworkOptions["server"],
  options: Config & { databaseUrl: string; prefix: string; token: string | undefined; log: Logger; problems: Problems },
): Promise<Serving | undefined> {
  if (serves === undefined) return undefined;
  assertNode("The server");
  const { assertInstalled, GRAPHQL_PACKAGES, SERVER_PACKAGES } = await import("./optional-packages.ts");
  assertInstalled("The server", SERVER_PACKAGES, GRAPHQL_PACKAGES);
  // Imported here and not at the top: a process that only enqueues does not need the server and its memory.
  const { createServer, startServer } = await import("./server/server.ts");
  const { withoutPrefix } = await import("./server/http/public-path.ts");
  if (serves === "listen") {
    const listening = await startServer({ ...options, auth: options });
    return {
      url: listening.url,
      handle: undefined,
      upgrade: undefined,
      endLiveViews: async () => undefined,
      stop: () => listening.stop(),
    };
  }
  const { prefix } = options;
  const mounted = await createServer({ ...options, host: undefined, auth: options });
  return {
    url: undefined,
    handle: (request, response) => {
      // Express and similar frameworks have already removed the prefix.
      request.url = withoutPrefix(request.url, prefix);
      mounted.app.routing(request, response);
    },
    upgrade: (request, socket, head) => {
      const url = withoutPrefix(request.url, prefix);
      // The framework does not strip the prefix of WebSocket requests, so a path without it is not Legwork's.
      if ((prefix !== "" && url === request.url) || url.split("?")[0] !== "/graphql") return false;
      request.url = url;
      mounted.upgrade(request, socket, head);
      return true;
    },
    endLiveViews: () => mounted.endLiveViews(),
    stop: () => mounted.stop(),
  };
}

async function startWorking(
  config: Config & { databaseUrl: string },
  beside: {
    log: Logger;
    problems: Problems;
    preset: WorkerConfig | undefined;
    forbiddenFlags: ForbiddenFlags | undefined;
    events: WorkerEventHub;
    middleware: readonly Middleware[];
    middlewareFile: string | undefined;
  },
) {
  assertNode("The worker");
  const { startWorker } = await import("./worker/worker.ts");
  return await startWorker({ ...config, ...beside });
}

/** How to use the Postgres of a `legwork dev` that is running in this directory. */
function hintAtEmbedded(dataDir: string): string {
  const ready = join(dataDir, "ready.json");
  if (!existsSync(ready)) return "";
  return ` To use the Postgres of \`legwork dev\`: export DATABASE_URL=$(node -p 'require("${resolve(ready)}").databaseUrl')`;
}
