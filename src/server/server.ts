import type { IncomingMessage } from "node:http";
import { randomUUID } from "node:crypto";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import cors from "@fastify/cors";
import helmet from "@fastify/helmet";
import rateLimit from "@fastify/rate-limit";
import { fastify, type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { assertDatabase, createPool, type Pool } from "../db/pool.ts";
import { LegworkError } from "../errors.ts";
import type { Problems } from "../health/problems.ts";
import { startWatch } from "../health/watch.ts";
import { startBulkRunner } from "../jobs/run-bulk-actions.ts";
import { listenError } from "../listen-error.ts";
import type { Logger } from "../log.ts";
import { GRAPHQL_PACKAGES, missingPackages } from "../optional-packages.ts";
import { type AuthConfig, type Authenticator, createAuthenticator, isAuthConfigured } from "./auth/authenticate.ts";
import type { TrustedProxies } from "./auth/client-address.ts";
import { closeWithServer } from "./http/close-with-server.ts";
import { addDashboard } from "./http/dashboard.ts";
import { addGraphQlIde } from "./graphql/ide.ts";
import { PublicPath } from "./http/public-path.ts";
import { addHealthRoutes, readReadiness, withMetricsToken } from "./http/health.ts";
import { assertHost } from "./auth/known-hosts.ts";
import { Live } from "./graphql/live/topics.ts";
import { asLegworkError, BODY_LIMIT, clientStatus, hangUp, refuseUnreadable, sendError } from "./plain-errors.ts";
import { assertRole, type Principal } from "../access/principal.ts";
import { RateLimits } from "./auth/rate-limits.ts";
import type { JobLinks } from "../job-links.ts";
import { ResultWaits } from "../jobs/result-waits.ts";
import { addRest } from "./rest/api.ts";
import { sendProblem } from "./rest/problem.ts";
import { within } from "../within.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** The client, set once the request has been authenticated. */
    principal: Principal | null;
  }
}

/** How long a request may take to arrive completely (ms). */
const REQUEST_TIMEOUT_MS = 30_000;
/** How often request timeouts are checked (ms). Node's default of 30 s would be added to each timeout. */
const TIMEOUT_CHECK_MS = 1_000;
/** How long the database may take to respond before the server counts as not ready (ms). */
const READY_TIMEOUT_MS = 3_000;
/** The longest time that a statement may take (ms), such as a retry of a hundred thousand jobs. */
const QUERY_TIMEOUT_MS = 5 * 60_000;
/** How long a stopping server lets requests finish, unless set (ms). */
const SHUTDOWN_TIMEOUT_MS = 25_000;
/** How long each other part of the server may take to stop (ms). A part that waits for an unresponsive database is abandoned. */
const PART_STOP_MS = 300;

export interface ServerOptions {
  databaseUrl: string;
  /** The address to listen on. Undefined for a server that is mounted in another one, which then decides what hosts are accepted. */
  host?: string | undefined;
  /** The port to listen on; 0 for a free one. */
  port: number;
  /** An admin's token, sent as `Authorization: Bearer <token>`. Without it, only tokens from the database and JWTs are accepted. */
  token?: string | undefined;
  /** A token that is accepted for `/metrics` only, for Prometheus. */
  metricsToken?: string | undefined;
  log: Logger;
  /** The problems of the worker in this process, reported by `/ready`. */
  problems?: Problems;
  /** How JWTs are verified. Without it, JWTs are not accepted. */
  auth?: AuthConfig;
  /** How long a stopping server lets requests finish (ms). Default: 25 s. */
  shutdownTimeout?: number;
  /** Host names that the server accepts in addition to its address and those of this machine. */
  hosts?: readonly string[];
  /** Origins whose pages may read responses. Default: none. */
  corsOrigins?: readonly string[];
  /** Links from a job to other systems. Default: none. */
  jobLinks?: JobLinks;
  /** Requests per minute for each token, and failed requests per minute for each address; 0 for no limit. */
  rateLimit?: number;
  /** Proxies whose X-Forwarded-For is trusted: their number or their addresses. Default: none. */
  trustProxy?: TrustedProxies;
  /** How long a request may take to arrive completely (ms). Default: 30 s. */
  requestTimeout?: number;
  /** The path at which it is mounted in another server, such as /legwork. */
  prefix?: string;
  /** The path in the browser's URL, if a proxy changes it. Default: a trusted proxy's X-Forwarded-Prefix, followed by the prefix. */
  publicPath?: string | undefined;
  /** Whether GraphQL introspection and the IDE at `GET /graphql` are enabled. Default: only on a loopback address. */
  graphqlIntrospection?: boolean | undefined;
}

export interface Server {
  readonly url: string;
  readonly graphqlUrl: string;
  /** Finishes the requests in progress, then closes. */
  stop(): Promise<void>;
}

/** A server that does not listen itself: another server forwards requests to it. */
export interface MountedServer {
  readonly app: FastifyInstance;
  /** Accepts or rejects a request for a WebSocket at `/graphql`. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Closes the WebSockets and accepts no new ones. The HTTP server can close only when all its connections are closed. */
  endLiveViews(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Creates the HTTP server of a migrated database without listening: `/health`, `/ready`, `/metrics`, REST and the read-only GraphQL. Without the
 * packages for GraphQL, `/graphql` returns LW517.
 *
 * Throws LW503 when the database cannot be reached, LW511 when it is not migrated, and LW514 when other machines could reach `host` and no
 * authentication is configured.
 */
export async function createServer(options: Omit<ServerOptions, "port">): Promise<MountedServer> {
  const { databaseUrl, host, token, metricsToken, log } = options;
  const pool = createPool(databaseUrl, { log, name: "legwork server", queryTimeout: QUERY_TIMEOUT_MS });
  // Parts are stopped in reverse order.
  const stops: (() => Promise<unknown>)[] = [() => within(PART_STOP_MS, pool.end())];
  let stopBy = 0;
  const stop = async (): Promise<void> => {
    stopBy = performance.now() + (options.shutdownTimeout ?? SHUTDOWN_TIMEOUT_MS);
    for (const end of stops.splice(0).toReversed()) await end();
  };
  try {
    await assertDatabase(pool);
    const config: AuthConfig = { ...options.auth, token };
    // REST, metrics and most of the dashboard work without GraphQL.
    const loaded = missingPackages("GraphQL", GRAPHQL_PACKAGES) ?? (await loadGraphQl(pool, log, tellsSchema(options)));
    if (loaded instanceof LegworkError) log.warn({ event: "graphql_unavailable" }, `${loaded.message} ${loaded.hint}`);
    else stops.push(() => within(PART_STOP_MS, loaded.graphql.release()));
    if (host !== undefined) await assertMayListen(pool, host, config);
    const authenticator = createAuthenticator({ pool, config, log });
    const publicPath = new PublicPath({
      prefix: options.prefix ?? "",
      configured: options.publicPath,
      trustProxy: options.trustProxy ?? 0,
    });
    const { app, rates } = await createApp(options, pool, publicPath, loaded instanceof LegworkError ? loaded : undefined);
    stops.push(() => closeApp(app, Math.max(PART_STOP_MS, stopBy - performance.now())));
    await app.register(async (protectedApp) => {
      requireToken(protectedApp, authenticator, rates);
      await protectedApp.register(async (graphqlApp) => {
        graphqlApp.addHook("onRequest", async (request) => assertRole(request.principal!, "viewer"));
        if (loaded instanceof LegworkError) graphqlApp.post("/graphql", (_request, reply) => sendError(reply, loaded));
        else await loaded.graphql.addTo(graphqlApp);
      });
    });
    await app.register(async (healthApp) => {
      requireToken(healthApp, withMetricsToken(authenticator, metricsToken), rates);
      await addHealthRoutes(healthApp, { pool, assertAccess: ({ principal }) => assertSeesAll(principal!) });
    });
    // The server takes part in the duties, so that alerts are raised and bulk actions carried out even when no worker is running.
    const watch = startWatch(pool, log);
    stops.push(() => within(PART_STOP_MS, watch.stop()));
    const bulkRunner = startBulkRunner(pool, log);
    stops.push(() => within(PART_STOP_MS, bulkRunner.stop()));
    await addRest(app, {
      pool,
      log,
      jobLinks: options.jobLinks,
      waits: new ResultWaits(pool, log),
      onBulkAction: () => bulkRunner.wake(),
      publicPath,
      protect: (api) => requireToken(api, authenticator, rates),
    });
    if (loaded instanceof LegworkError) {
      await app.ready();
      // An HTTP server without a listener for upgrades handles them as ordinary requests.
      return { app, upgrade: (_request, duplex) => hangUp(duplex, loaded), endLiveViews: async () => undefined, stop };
    }
    const { graphql, GraphQlSocket } = loaded;
    const live = new Live(pool, log);
    stops.push(() => within(PART_STOP_MS, live.stop()));
    const socket = new GraphQlSocket({
      schema: graphql.schema,
      live,
      limits: graphql.limitsOf("subscription"),
      authenticator,
      rates,
      publicPath,
      assertHost(request) {
        if (host !== undefined) assertHost(request, [host, ...(options.hosts ?? [])]);
      },
      origins: options.corsOrigins ?? [],
      hosts: options.hosts ?? [],
      trustProxy: options.trustProxy ?? 0,
      log,
    });
    stops.push(() => socket.stop());
    socket.attachTo(app.server);
    await app.ready();
    return {
      app,
      upgrade: (request, duplex, head) => socket.upgrade(request, duplex, head),
      endLiveViews: () => socket.stop(),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Starts the HTTP server (`createServer`) and resolves when it is listening. Throws the same errors, LW513 when the port is in use, and LW514 when
 * the host cannot be listened on.
 */
export async function startServer(options: ServerOptions & { host: string }): Promise<Server> {
  const server = await createServer(options);
  try {
    const url = (await listen(server.app, options.host, options.port)) + (options.publicPath ?? "");
    options.log.info({ event: "server_ready", url }, `Listening on ${url}`);
    return { url, graphqlUrl: `${url}/graphql`, stop: () => server.stop() };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function loadGraphQl(pool: Pool, log: Logger, introspection: boolean) {
  // Read when PostGraphile is loaded. A named statement without parameters would keep the plan that was made for the first client.
  process.env.DATAPLAN_PG_PREPARED_STATEMENT_CACHE_SIZE = "0";
  process.env.GRAPHILE_ENV ??= "production";
  const [{ createGraphQl }, { GraphQlSocket }] = await Promise.all([
    import("./graphql/create-graphql.ts"),
    import("./graphql/live/socket.ts"),
  ]);
  return { graphql: await createGraphQl(pool, log, { introspection }), GraphQlSocket };
}

async function createApp(
  options: Omit<ServerOptions, "port">,
  pool: Pool,
  publicPath: PublicPath,
  noGraphQl: LegworkError | undefined,
): Promise<{ app: FastifyInstance; rates: RateLimits }> {
  const { host, log, hosts = [], corsOrigins = [], requestTimeout = REQUEST_TIMEOUT_MS } = options;
  const app = fastify({
    bodyLimit: BODY_LIMIT,
    requestTimeout,
    genReqId: () => randomUUID(),
    rewriteUrl: ({ url = "/" }) => publicPath.strip(url),
    http: { headersTimeout: requestTimeout, connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_MS, requestTimeout) },
    clientErrorHandler: refuseUnreadable,
    forceCloseConnections: "idle",
    // Parameters that are too long are reported by the routes. Node accepts no request line longer than this.
    routerOptions: { maxParamLength: 20_000 },
    // A path that cannot be decoded matches no route, so no route's error handler is called.
    frameworkErrors: (error, request, reply) =>
      request.url.startsWith("/api/")
        ? sendProblem(error, request as FastifyRequest, reply as FastifyReply, log)
        : sendError(reply as FastifyReply, asLegworkError(error, request as FastifyRequest, log), clientStatus(error)),
  });
  app.decorateRequest("principal", null);
  closeWithServer(app);
  if (host !== undefined) app.addHook("onRequest", async (request) => assertHost(request.raw, [host, ...hosts]));
  // Responses are data: nothing in them may be executed, loaded, framed or sniffed. Pages have their own policies.
  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    frameguard: { action: "deny" },
  });
  await app.register(rateLimit, { global: false });
  const rates = new RateLimits(app, options.rateLimit ?? 0, options.trustProxy ?? 0);
  app.addHook("onRequest", async ({ raw, routeOptions: { config } }) => {
    if (config?.countsPrincipals !== true && config?.isUncounted !== true) await rates.countAddress(raw);
  });
  if (corsOrigins.length > 0) {
    // Scripts send tokens explicitly, and browsers never add them, so credentials need not be allowed.
    await app.register(cors, { origin: [...corsOrigins], methods: ["GET", "POST", "PUT", "PATCH", "DELETE"], maxAge: 600 });
  }
  app.setErrorHandler((error: FastifyError, request, reply) =>
    sendError(reply, asLegworkError(error, request, log), clientStatus(error)),
  );
  // Accept only JSON: another site could send anything that a form can.
  app.removeContentTypeParser("text/plain");
  const dashboard = await addDashboard(app, publicPath);
  app.setNotFoundHandler((request, reply) => {
    // The dashboard handles its own routes and reports unknown ones itself.
    if (dashboard.wantsPage(request)) return dashboard.sendPage(request, reply);
    return sendError(
      reply,
      new LegworkError("LW404", `Unknown route: ${request.method} ${request.url.split("?")[0]}.`, {
        hint: "GET / lists the available routes.",
      }),
    );
  });
  app.get("/", async (request, reply) => {
    reply.header("vary", "accept");
    if (dashboard.wantsPage(request)) return dashboard.sendPage(request, reply);
    const base = publicPath.of(request.raw);
    return {
      name: "legwork",
      dashboard: `${base}/`,
      graphql: { url: `${base}/graphql`, method: "POST", authorization: "Bearer <token>" },
      rest: { url: `${base}/api/v1`, docs: `${base}/docs`, authorization: "Bearer <token>" },
      health: `${base}/health`,
      ready: `${base}/ready`,
      metrics: `${base}/metrics`,
    };
  });
  // Probes are not counted by the request limit: it must not make a healthy server look unavailable.
  const ofProbes = { config: { isUncounted: true } };
  app.get("/health", ofProbes, async () => ({ status: "ok" }));
  // No token is required, so concurrent requests share one statement.
  let readiness: ReturnType<typeof readReadiness> | undefined;
  app.get("/ready", ofProbes, async () => {
    readiness ??= readReadiness(pool, { timeout: READY_TIMEOUT_MS, problems: options.problems }).finally(() => {
      readiness = undefined;
    });
    return await readiness;
  });
  const ide = noGraphQl === undefined && tellsSchema(options) ? addGraphQlIde(app, publicPath) : undefined;
  app.get("/graphql", async (request, reply) => {
    if (noGraphQl !== undefined) return sendError(reply, noGraphQl);
    if (ide?.wantsPage(request) === true) return await ide.sendPage(request, reply);
    return sendError(
      reply.header("allow", "POST"),
      new LegworkError("LW400", "GraphQL requests must use POST.", {
        hint: `Send {"query": "…"} as application/json with Authorization: Bearer <token>.`,
      }),
      405,
    );
  });
  return { app, rates };
}

/** Whether GraphQL introspection and the IDE are enabled. */
function tellsSchema({ graphqlIntrospection, host }: Omit<ServerOptions, "port">): boolean {
  return graphqlIntrospection ?? (host !== undefined && isLoopback(host));
}

function isLoopback(host: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host);
}

/** Throws LW514 for an address that other machines can reach, unless authentication is configured. Only this machine reaches a loopback address. */
async function assertMayListen(pool: Pool, host: string, config: AuthConfig): Promise<void> {
  if (isLoopback(host) || (await isAuthConfigured(pool, config))) return;
  throw new LegworkError("LW514", `Other machines could reach the server on '${host}', and no authentication is configured.`, {
    hint: "Create a token first (`legwork token create --role admin`), configure JWTs (LEGWORK_JWT_JWKS), or listen on 127.0.0.1.",
  });
}

/** Requires a valid token for every route. Counts requests by token, and by address if the token is not valid. */
function requireToken(app: FastifyInstance, authenticator: Authenticator, rates: RateLimits): void {
  app.addHook("onRoute", (route) => void (route.config = { ...route.config, countsPrincipals: true }));
  app.addHook("onRequest", async (request) => {
    request.principal = await authenticated(request, authenticator, rates);
  });
}

async function authenticated(request: FastifyRequest, authenticator: Authenticator, rates: RateLimits): Promise<Principal> {
  let principal: Principal;
  try {
    principal = await authenticator.authenticate(request);
  } catch (error) {
    // A client that guesses tokens has no valid token, so its requests are counted by address.
    await rates.countAddress(request.raw);
    throw error;
  }
  await rates.countPrincipal(principal);
  return principal;
}

/** Throws LW403 unless the client is a viewer of all tenants. */
function assertSeesAll(principal: Principal): void {
  assertRole(principal, "viewer");
  if (principal.tenant === null) return;
  throw new LegworkError("LW403", `This endpoint covers all tenants, and ${principal.subject} is restricted to one.`, {
    hint: "Use a token that is not restricted to a tenant.",
  });
}

/** Waits for the requests in progress. After `timeout` ms, closes their connections. */
async function closeApp(app: FastifyInstance, timeout: number): Promise<void> {
  const closed = app.close();
  if (await within(timeout, closed)) return;
  app.server.closeAllConnections();
  await within(PART_STOP_MS, closed);
}

async function listen(app: FastifyInstance, host: string, port: number): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (thrown) {
    throw listenError(thrown, { host, port, settings: { host: "LEGWORK_HOST", port: "LEGWORK_PORT" } });
  }
  const address = app.server.address();
  if (address === null || typeof address === "string") throw new Error("The server is not listening on a port.");
  return `http://${urlHost(host)}:${address.port}`;
}

/** The host by which clients on this machine reach a server that listens on `host`. */
function urlHost(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return isIP(host) === 6 ? `[${host}]` : host;
}
