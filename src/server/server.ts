import type { IncomingMessage } from "node:http";
import { randomUUID } from "node:crypto";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import cors from "@fastify/cors";
import helmet from "@fastify/helmet";
import rateLimit from "@fastify/rate-limit";
import { fastify, type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { assertDatabase, createPool, type Pool } from "../db/pool.ts";
import { LegworkError, toError } from "../errors.ts";
import type { Problems } from "../health/problems.ts";
import { startWatch } from "../health/watch.ts";
import type { Logger } from "../log.ts";
import { GRAPHQL_PACKAGES, missingPackages } from "../optional-packages.ts";
import { type AuthConfig, type Authenticator, createAuthenticator, isAuthConfigured } from "./auth/authenticate.ts";
import type { TrustedProxies } from "./auth/client-address.ts";
import { addDashboard } from "./http/dashboard.ts";
import { addGraphQlIde } from "./graphql/ide.ts";
import { addHealthRoutes, readReadiness, withMetricsToken } from "./http/health.ts";
import { assertHost } from "./auth/known-hosts.ts";
import { Live } from "./graphql/live/topics.ts";
import { asLegworkError, BODY_LIMIT, clientStatus, hangUp, refuseUnreadable, sendError } from "./plain-errors.ts";
import { assertRole, type Principal } from "../access/principal.ts";
import { RateLimits } from "./auth/rate-limits.ts";
import { addRest } from "./rest/api.ts";
import { sendProblem } from "./rest/problem.ts";
import { within } from "../within.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Who asks; there once the request has been authenticated. */
    principal: Principal | null;
  }
}

/** How long a request may take to arrive, to its last byte (ms). */
const REQUEST_TIMEOUT_MS = 30_000;
/** How often it is looked whether one has taken too long (ms). Node's own half minute would be added to the time. */
const TIMEOUT_CHECK_MS = 1_000;
/** How long the database may take to answer before the server is not ready (ms). */
const READY_TIMEOUT_MS = 3_000;
/** The longest that a statement may take (ms), such as retrying a hundred thousand jobs. */
const QUERY_TIMEOUT_MS = 5 * 60_000;
/** How long requests that are under way may take when the server stops and nothing else is set (ms). */
const SHUTDOWN_TIMEOUT_MS = 25_000;
/** How long each other part of the server may take to stop (ms): one that waits for a database that does not answer is left. */
const PART_STOP_MS = 300;

export interface ServerOptions {
  databaseUrl: string;
  /** The address it listens on. Mounted in another server it has none, and that one says which hosts it answers to. */
  host?: string | undefined;
  /** 0 takes a free one. */
  port: number;
  /** What an admin sends as `Authorization: Bearer <token>`; without one, only tokens of the database and JWTs come in. */
  token?: string | undefined;
  /** What a Prometheus may send for `/metrics` in place of it. */
  metricsToken?: string | undefined;
  log: Logger;
  /** What keeps the worker of this process from working; `/ready` says it. */
  problems?: Problems;
  /** How JWTs are checked; without it there are none. */
  auth?: AuthConfig;
  /** How long a stopping server lets requests finish that are under way (ms); 25 s by default. */
  shutdownTimeout?: number;
  /** Names that the server answers to beside its address and those of this machine. */
  hosts?: readonly string[];
  /** Origins whose pages may read answers; none by default. */
  corsOrigins?: readonly string[];
  /** Requests a minute for each token, and failed ones for each address; 0 for any number. */
  rateLimit?: number;
  /** Which proxies say truly whom they ask for (X-Forwarded-For): how many, or their addresses; none by default. */
  trustProxy?: TrustedProxies;
  /** How long a request may take to arrive, to its last byte (ms); 30 s by default. */
  requestTimeout?: number;
  /** Where it is mounted in another server, such as /legwork; the documentation refers to it. */
  prefix?: string;
  /** Whether GraphQL tells its schema and has an IDE at `GET /graphql`; by default only where nobody but this machine can ask. */
  graphqlIntrospection?: boolean | undefined;
}

export interface Server {
  readonly url: string;
  readonly graphqlUrl: string;
  /** Answers what has been asked, then closes. */
  stop(): Promise<void>;
}

/** The server without an address of its own: what comes in is given to it by another one. */
export interface MountedServer {
  readonly app: FastifyInstance;
  /** Takes a request for a WebSocket at `/graphql`, or refuses it. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  stop(): Promise<void>;
}

/**
 * Makes the HTTP server of a migrated database, which listens nowhere yet: `/health`, `/ready`, `/metrics`, REST and the read-only GraphQL.
 * Where the packages for GraphQL are missing, `/graphql` answers with LW517.
 *
 * Throws LW503 when the database cannot be reached, LW511 when it is not migrated, LW514 when others could reach `host` and nothing says
 * who may come in.
 */
export async function createServer(options: Omit<ServerOptions, "port">): Promise<MountedServer> {
  const { databaseUrl, host, token, metricsToken, log } = options;
  const pool = createPool(databaseUrl, { log, name: "legwork server", queryTimeout: QUERY_TIMEOUT_MS });
  // What was started last is stopped first.
  const stops: (() => Promise<unknown>)[] = [() => within(PART_STOP_MS, pool.end())];
  let stopBy = 0;
  const stop = async (): Promise<void> => {
    stopBy = performance.now() + (options.shutdownTimeout ?? SHUTDOWN_TIMEOUT_MS);
    for (const end of stops.splice(0).toReversed()) await end();
  };
  try {
    await assertDatabase(pool);
    const config: AuthConfig = { ...options.auth, token };
    // REST, metrics and most of the dashboard do without GraphQL.
    const loaded = missingPackages("GraphQL", GRAPHQL_PACKAGES) ?? (await loadGraphQl(pool, log, tellsSchema(options)));
    if (loaded instanceof LegworkError) log.warn(`${loaded.message} ${loaded.hint}`);
    else stops.push(() => within(PART_STOP_MS, loaded.graphql.release()));
    if (host !== undefined) await assertMayListen(pool, host, config);
    const authenticator = createAuthenticator({ pool, config, log });
    const { app, rates } = await createApp(options, pool, loaded instanceof LegworkError ? loaded : undefined);
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
    // That no worker lives must be noticed, too.
    const watch = startWatch(pool, log);
    stops.push(() => within(PART_STOP_MS, watch.stop()));
    await addRest(app, {
      pool,
      log,
      prefix: options.prefix ?? "",
      protect: (api) => requireToken(api, authenticator, rates),
    });
    if (loaded instanceof LegworkError) {
      await app.ready();
      // An HTTP server whose upgrades nothing listens for answers them as the requests they are.
      return { app, upgrade: (_request, duplex) => hangUp(duplex, loaded), stop };
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
      assertHost(request) {
        if (host !== undefined) assertHost(request, [host, ...(options.hosts ?? [])]);
      },
      origins: options.corsOrigins ?? [],
      log,
    });
    stops.push(() => socket.stop());
    socket.attachTo(app.server);
    await app.ready();
    return { app, upgrade: (request, duplex, head) => socket.upgrade(request, duplex, head), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Starts the HTTP server (`createServer`) and resolves when it answers. Throws as that, and LW513 when the port is taken, LW514 when the
 * host cannot be listened on.
 */
export async function startServer(options: ServerOptions & { host: string }): Promise<Server> {
  const server = await createServer(options);
  try {
    const url = await listen(server.app, options.host, options.port);
    options.log.info(`Listening on ${url}`);
    return { url, graphqlUrl: `${url}/graphql`, stop: () => server.stop() };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function loadGraphQl(pool: Pool, log: Logger, introspection: boolean) {
  // Read when PostGraphile is loaded. A named statement without parameters keeps the plan made for whoever asked first.
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
  noGraphQl: LegworkError | undefined,
): Promise<{ app: FastifyInstance; rates: RateLimits }> {
  const { host, log, hosts = [], corsOrigins = [], requestTimeout = REQUEST_TIMEOUT_MS } = options;
  const app = fastify({
    bodyLimit: BODY_LIMIT,
    requestTimeout,
    genReqId: () => randomUUID(),
    http: { headersTimeout: requestTimeout, connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_MS, requestTimeout) },
    clientErrorHandler: refuseUnreadable,
    forceCloseConnections: "idle",
    // What is too long is said to be so by the route that it is for; Node reads no longer request.
    routerOptions: { maxParamLength: 20_000 },
    // A path that cannot be decoded has no route whose handler would be asked.
    frameworkErrors: (error, request, reply) =>
      request.url.startsWith("/api/")
        ? sendProblem(error, request as FastifyRequest, reply as FastifyReply, log)
        : sendError(reply as FastifyReply, asLegworkError(error, request as FastifyRequest, log), clientStatus(error)),
  });
  app.decorateRequest("principal", null);
  if (host !== undefined) app.addHook("onRequest", async (request) => assertHost(request.raw, [host, ...hosts]));
  // Answers are data: nothing in them is run, loaded, framed or guessed at. Pages say what they need.
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
    // Tokens are sent by hand, never by the browser: no credentials.
    await app.register(cors, { origin: [...corsOrigins], methods: ["GET", "POST", "PUT", "PATCH", "DELETE"], maxAge: 600 });
  }
  app.setErrorHandler((error: FastifyError, request, reply) =>
    sendError(reply, asLegworkError(error, request, log), clientStatus(error)),
  );
  // Only JSON: what a form can send, another site can send too.
  app.removeContentTypeParser("text/plain");
  const dashboard = await addDashboard(app, options.prefix ?? "");
  app.setNotFoundHandler((request, reply) => {
    // The dashboard knows its own addresses, and says which of them it does not know.
    if (dashboard.wantsPage(request)) return dashboard.sendPage(reply);
    return sendError(
      reply,
      new LegworkError("LW404", `There is no ${request.method} ${request.url.split("?")[0]}.`, {
        hint: "GET / lists what is here.",
      }),
    );
  });
  app.get("/", async (request, reply) => {
    reply.header("vary", "accept");
    if (dashboard.wantsPage(request)) return dashboard.sendPage(reply);
    return {
      name: "legwork",
      dashboard: "/",
      graphql: { url: "/graphql", method: "POST", authorization: "Bearer <token>" },
      rest: { url: "/api/v1", docs: "/docs", authorization: "Bearer <token>" },
      health: "/health",
      ready: "/ready",
      metrics: "/metrics",
    };
  });
  // Of probes, which must not find a server that lives too busy.
  const ofProbes = { config: { isUncounted: true } };
  app.get("/health", ofProbes, async () => ({ status: "ok" }));
  // Asked without a token, so that one statement at a time is all that it may cost.
  let readiness: ReturnType<typeof readReadiness> | undefined;
  app.get("/ready", ofProbes, async () => {
    readiness ??= readReadiness(pool, { timeout: READY_TIMEOUT_MS, problems: options.problems }).finally(() => {
      readiness = undefined;
    });
    return await readiness;
  });
  const ide = noGraphQl === undefined && tellsSchema(options) ? addGraphQlIde(app, options.prefix ?? "") : undefined;
  app.get("/graphql", async (request, reply) => {
    if (noGraphQl !== undefined) return sendError(reply, noGraphQl);
    if (ide?.wantsPage(request) === true) return await ide.sendPage(reply);
    return sendError(
      reply.header("allow", "POST"),
      new LegworkError("LW400", "GraphQL is asked with POST.", {
        hint: `Send {"query": "…"} as application/json with Authorization: Bearer <token>.`,
      }),
      405,
    );
  });
  return { app, rates };
}

/** Whether GraphQL tells its schema, and has a page to try queries on. */
function tellsSchema({ graphqlIntrospection, host }: Omit<ServerOptions, "port">): boolean {
  return graphqlIntrospection ?? (host !== undefined && isLoopback(host));
}

function isLoopback(host: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host);
}

/** Only this machine reaches a loopback address. Throws LW514 for any other one while nobody has said who may come in. */
async function assertMayListen(pool: Pool, host: string, config: AuthConfig): Promise<void> {
  if (isLoopback(host) || (await isAuthConfigured(pool, config))) return;
  throw new LegworkError("LW514", `On '${host}' others could reach the server, and nothing says who may.`, {
    hint: "Make a token first (`legwork token create --role admin`), or configure JWTs (LEGWORK_JWT_JWKS); or listen on 127.0.0.1.",
  });
}

/** Answers only who has a token; counts requests by it, and by their address where it is not valid. */
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
    // Who guesses tokens has none to be counted by.
    await rates.countAddress(request.raw);
    throw error;
  }
  await rates.countPrincipal(principal);
  return principal;
}

/** What tells of all tenants is for viewers who may see all of them. */
function assertSeesAll(principal: Principal): void {
  assertRole(principal, "viewer");
  if (principal.tenant === null) return;
  throw new LegworkError("LW403", `This tells of every tenant; ${principal.subject} sees one.`, {
    hint: "Ask with a token that is not confined to a tenant.",
  });
}

/** Lets requests finish that are under way; after that time their connections are closed. */
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
    const error = toError(thrown) as NodeJS.ErrnoException;
    switch (error.code) {
      case "EADDRINUSE":
        throw new LegworkError("LW513", `Port ${port} of ${host} is in use.`, {
          hint: `Stop what listens there (\`lsof -i :${port}\` names it), or set LEGWORK_PORT; 0 takes a free one.`,
          cause: error,
        });
      case "EACCES":
        throw new LegworkError("LW514", `Port ${port} may not be listened on by this user.`, {
          hint: "Set LEGWORK_PORT to 1024 or above.",
          cause: error,
        });
      case "EADDRNOTAVAIL":
      case "ENOTFOUND":
        throw new LegworkError("LW514", `'${host}' is no address of this machine.`, {
          hint: "Set LEGWORK_HOST to 127.0.0.1 or another address of it.",
          cause: error,
        });
      default:
        throw error;
    }
  }
  const address = app.server.address();
  if (address === null || typeof address === "string") throw new Error("The server listens on no port.");
  return `http://${urlHost(host)}:${address.port}`;
}

/** Where clients on this machine reach a server that listens on a host. */
function urlHost(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return isIP(host) === 6 ? `[${host}]` : host;
}
