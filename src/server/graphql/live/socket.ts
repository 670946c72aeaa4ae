import { randomUUID } from "node:crypto";
import type { IncomingMessage, Server as HttpServer } from "node:http";
import type { Duplex } from "node:stream";
import { CloseCode } from "graphql-ws";
import { useServer } from "graphql-ws/use/ws";
import { GraphQLError, type GraphQLSchema, parse, subscribe, validate } from "postgraphile/graphql";
import { type WebSocket, WebSocketServer } from "ws";
import { isBug, translateError } from "../../../db/translate-error.ts";
import { LegworkError, toError } from "../../../errors.ts";
import type { Logger } from "../../../log.ts";
import type { Authenticator } from "../../auth/authenticate.ts";
import { masked } from "../masked-errors.ts";
import type { SubscriptionContext } from "./subscriptions.ts";
import { Live } from "./topics.ts";
import { isFromTrustedProxy, type TrustedProxies } from "../../auth/client-address.ts";
import type { PublicPath } from "../../http/public-path.ts";
import { hangUp } from "../../plain-errors.ts";
import { assertRole, type Principal, principalKey } from "../../../access/principal.ts";
import { cut } from "../../../thrown.ts";
import type { RateLimits } from "../../auth/rate-limits.ts";
import { assertAffordable, type QueryLimits, refusal } from "../limits.ts";

/** The maximum number of connections at a time. */
const MAX_CONNECTIONS = 500;
/** The maximum number of connections of one client, so that a leaked token or a page that does not close its connections cannot use them all. */
const MAX_CONNECTIONS_EACH = 100;
/** The maximum number of unauthenticated connections from one address. */
const MAX_STRANGERS_EACH = 20;
/** The maximum number of subscriptions of one connection. */
const MAX_SUBSCRIPTIONS = 20;
/** The longest message that a client may send (bytes). Queries have lower limits. */
const MAX_MESSAGE = 65_536;
/** The maximum number of messages per minute that a client may send on a connection. */
const MAX_MESSAGES_A_MINUTE = 300;
/** How long a client may take to authenticate (ms). */
const INIT_TIMEOUT_MS = 5_000;
/** How often a token is checked again (ms). A connection with a revoked token is closed within this time. */
const RECHECK_MS = 30_000;
/** How long a connection may be silent before it is pinged, and then before it is closed (ms). */
const KEEP_ALIVE_MS = 12_000;
/** The maximum amount of unsent data for a client that does not read (bytes). Beyond that, the connection is closed. */
const MAX_UNSENT = 4_000_000;

/** The longest error message (characters). It may quote the request. */
const MAX_ERROR_TEXT = 1_000;

/** The close code "Try again later": clients reconnect automatically. */
const TRY_AGAIN = 1_013;
/** The close code "Going away". */
const GOING_AWAY = 1_001;

export interface SocketOptions {
  schema: GraphQLSchema;
  live: Live;
  limits: QueryLimits;
  authenticator: Authenticator;
  rates: RateLimits;
  /** Throws for a request to a host that is not accepted. */
  assertHost: (request: IncomingMessage) => void;
  /** Origins whose pages may connect, in addition to the server's own. */
  origins: readonly string[];
  /** The server's own host names. Pages from these hosts may open WebSockets, even if a proxy has changed the Host header. */
  hosts: readonly string[];
  trustProxy: TrustedProxies;
  publicPath: PublicPath;
  log: Logger;
  /** Default: 12 s. */
  keepAlive?: number;
}

/** The state of a connection. */
interface Extra extends Record<PropertyKey, unknown> {
  socket: WebSocket;
  request: IncomingMessage;
  principal?: Principal;
}

/**
 * Serves subscriptions at `/graphql` over WebSockets (graphql-transport-ws). A client must authenticate within five seconds. A connection is closed
 * when its token is no longer valid. Its messages, subscriptions and unsent data are limited.
 */
export class GraphQlSocket {
  readonly #options: SocketOptions;
  readonly #server: WebSocketServer;
  readonly #strangers = new Map<string, number>();
  readonly #principals = new Map<string, number>();
  #isStopped = false;

  constructor(options: SocketOptions) {
    this.#options = options;
    this.#server = new WebSocketServer({
      noServer: true,
      maxPayload: MAX_MESSAGE,
      perMessageDeflate: false,
      clientTracking: true,
    });
    useServer<Record<string, unknown>, Extra>(
      {
        connectionInitWaitTimeout: INIT_TIMEOUT_MS,
        onConnect: (connection) => this.#connected(connection.extra, connection.connectionParams ?? {}),
        onSubscribe: (connection, _id, payload) =>
          this.#asked(connection.extra, Object.keys(connection.subscriptions).length, payload),
        subscribe: (args) => subscribe(args),
        onNext: (_connection, _id, _payload, _args, result) =>
          result.errors === undefined ? result : { ...result, errors: result.errors.map((error) => this.#shown(error)) },
        onError: (_connection, _id, _payload, errors) => errors.map((error) => this.#shown(error).toJSON()),
      },
      this.#server,
      options.keepAlive ?? KEEP_ALIVE_MS,
    );
  }

  /** The number of open connections. */
  get connections(): number {
    return this.#server.clients.size;
  }

  /** Handles the WebSocket requests of an HTTP server. */
  attachTo(http: HttpServer): void {
    http.on("upgrade", (request, socket, head) => this.upgrade(request, socket, head));
  }

  /** Accepts a WebSocket request for `/graphql`, or rejects it. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Node leaves error handling to this listener. Without it, a client that disconnects would end the process.
    socket.on("error", () => socket.destroy());
    this.#admit(request).then(
      (address) => this.#open(request, socket, head, address),
      (error: unknown) => hangUp(socket, this.#translate(error, "Failed to open a WebSocket.")),
    );
  }

  #open(request: IncomingMessage, socket: Duplex, head: Buffer, address: string): void {
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      count(this.#strangers, address, 1);
      webSocket.once("close", () => this.#introduced(webSocket, address));
      this.#guard(webSocket);
      this.#server.emit("connection", webSocket, request);
      // Replaces the listener of graphql-ws, which writes to the console. ws closes the connection with the right code.
      webSocket.removeAllListeners("error");
      webSocket.on("error", (error) =>
        this.#options.log.debug({ err: error }, "A WebSocket was closed because of an invalid message."),
      );
    });
  }

  /** Closes all connections, and waits at most one second for the clients to disconnect. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    const { clients } = this.#server;
    const gone = [...clients].map((client) => new Promise<void>((resolve) => client.once("close", () => resolve())));
    for (const client of clients) client.close(GOING_AWAY, "The server is stopping.");
    const timer = setTimeout(() => {
      for (const client of clients) client.terminate();
    }, 1_000);
    await Promise.all(gone);
    clearTimeout(timer);
    this.#server.close();
  }

  /** Resolves to the address by which the request is counted. Throws when the request is rejected. */
  async #admit(request: IncomingMessage): Promise<string> {
    if (this.#options.publicPath.strip(request.url ?? "").split("?")[0] !== "/graphql") {
      throw new LegworkError("LW404", "This URL does not accept WebSockets.", { hint: "Subscriptions are at /graphql." });
    }
    this.#options.assertHost(request);
    await this.#options.rates.countAddress(request);
    // Browsers let any page open a WebSocket, and send the page's origin.
    if (!this.#isKnownOrigin(request)) {
      throw new LegworkError("LW403", "WebSocket connections from this origin are not allowed.", {
        hint: "Add the origin to LEGWORK_CORS_ORIGINS.",
      });
    }
    const address = this.#options.rates.addressOf(request);
    const strangers = this.#strangers.get(address) ?? 0;
    if (this.#isStopped || this.#server.clients.size >= MAX_CONNECTIONS || strangers >= MAX_STRANGERS_EACH) {
      throw new LegworkError("LW503", "The server has too many connections.", { hint: "Try again later." });
    }
    return address;
  }

  #isKnownOrigin(request: IncomingMessage): boolean {
    const { origins, hosts, trustProxy } = this.#options;
    const { origin, host, "x-forwarded-host": forwarded } = request.headers;
    if (origin === undefined || origins.includes(origin)) return true;
    if (!URL.canParse(origin)) return false;
    const page = new URL(origin);
    if (page.host === host || hosts.some((name) => name.toLowerCase() === page.hostname)) return true;
    return isFromTrustedProxy(request, trustProxy) && page.host === forwarded;
  }

  /** Closes a connection whose client sends too much or reads too slowly. */
  #guard(socket: WebSocket): void {
    let messages = 0;
    let minute = performance.now();
    socket.on("message", () => {
      const now = performance.now();
      if (now - minute > 60_000) {
        minute = now;
        messages = 0;
      }
      messages++;
      if (messages > MAX_MESSAGES_A_MINUTE) socket.close(CloseCode.TooManyInitialisationRequests, "Too many messages.");
      if (socket.bufferedAmount > MAX_UNSENT) socket.terminate();
    });
  }

  readonly #met = new WeakSet<WebSocket>();

  /** Stops counting a connection as unauthenticated, once it has authenticated or closed. */
  #introduced(socket: WebSocket, address: string): void {
    if (this.#met.has(socket)) return;
    this.#met.add(socket);
    count(this.#strangers, address, -1);
  }

  async #connected(extra: Extra, parameters: Record<string, unknown>): Promise<boolean> {
    const { socket, request } = extra;
    const said = parameters.authorization ?? parameters.Authorization ?? request.headers.authorization;
    const authorization = typeof said === "string" ? said : undefined;
    const headers = { authorization };
    try {
      const principal = await this.#options.authenticator.authenticate({ headers });
      assertRole(principal, "viewer");
      await this.#options.rates.countPrincipal(principal);
      const key = principalKey(principal);
      if ((this.#principals.get(key) ?? 0) >= MAX_CONNECTIONS_EACH) {
        throw new LegworkError("LW429", `${principal.subject} already has ${MAX_CONNECTIONS_EACH} connections.`);
      }
      // The client may have disconnected while its token was checked.
      if (socket.readyState !== socket.OPEN) return false;
      count(this.#principals, key, 1);
      this.#introduced(socket, this.#options.rates.addressOf(request));
      extra.principal = principal;
      const timers = this.#watchOver(extra, principal, headers);
      socket.once("close", () => {
        count(this.#principals, key, -1);
        for (const timer of timers) clearInterval(timer);
      });
      return true;
    } catch (thrown) {
      socket.close(...farewell(this.#translate(thrown, "Failed to open a WebSocket.")));
      return false;
    }
  }

  /** Closes the connection when its token expires, is revoked or changes its tenant. */
  #watchOver({ socket }: Extra, principal: Principal, headers: { authorization: string | undefined }): NodeJS.Timeout[] {
    const end = (reason: string): void => socket.close(CloseCode.Forbidden, reason);
    const recheck = async (): Promise<void> => {
      try {
        const now = await this.#options.authenticator.authenticate({ headers });
        assertRole(now, "viewer");
        if (now.tenant !== principal.tenant) end("The token has changed.");
      } catch (error) {
        // While the database is unavailable, the token cannot be checked. The next check tries again.
        if (["LW401", "LW403"].includes(translateError(error).code)) end("The token is no longer valid.");
      }
    };
    const timers = [setInterval(() => void recheck(), RECHECK_MS)];
    if (principal.expiresAt !== undefined) {
      const left = principal.expiresAt.getTime() - Date.now();
      // A timer cannot run longer than this. For later expiries, the check every 30 seconds is sufficient.
      if (left < 2 ** 31) timers.push(setTimeout(() => end("The token has expired."), Math.max(0, left)));
    }
    return timers;
  }

  #asked(
    { principal, socket }: Extra,
    subscriptions: number,
    payload: { query: string; operationName?: string | null | undefined; variables?: Record<string, unknown> | null | undefined },
  ) {
    const { schema, live, limits } = this.#options;
    try {
      if (principal === undefined || socket.readyState !== socket.OPEN) throw refusal("LW401", "A token is required.", "", 401);
      if (subscriptions > MAX_SUBSCRIPTIONS) {
        throw refusal(
          "LW429",
          `A connection may have at most ${MAX_SUBSCRIPTIONS} subscriptions.`,
          "End a subscription first.",
          429,
        );
      }
      assertAffordable(payload.query, payload.variables ?? {}, limits);
      const document = parse(payload.query, { noLocation: false });
      const errors = validate(schema, document, undefined, { maxErrors: 10 });
      if (errors.length > 0) return errors;
      const contextValue: SubscriptionContext = { principal, live };
      return { schema, document, contextValue, operationName: payload.operationName, variableValues: payload.variables };
    } catch (thrown) {
      if (thrown instanceof GraphQLError) return [thrown];
      const error = toError(thrown);
      return [new GraphQLError(error.message, { originalError: error })];
    }
  }

  #shown(error: GraphQLError): GraphQLError {
    const { message, nodes, source, positions, path, extensions } = masked(error, this.#options.log);
    return new GraphQLError(cut(message, MAX_ERROR_TEXT), { nodes, source, positions, path, extensions });
  }

  #translate(thrown: unknown, event: string): LegworkError {
    const requestId = randomUUID();
    const error = translateError(thrown, requestId);
    if (isBug(error)) this.#options.log.error({ event: "request_failed", err: error.cause, requestId }, event);
    return error;
  }
}

function count(counts: Map<string, number>, key: string, change: 1 | -1): void {
  const value = (counts.get(key) ?? 0) + change;
  if (value > 0) counts.set(key, value);
  else counts.delete(key);
}

/** The close code and reason for an error. Clients reconnect automatically, unless the code tells them not to. */
function farewell(error: LegworkError): [code: number, reason: string] {
  const text = isBug(error) ? `${error.message} ${error.hint}` : error.message;
  const reason = fitting(`${error.code} ${text}`);
  switch (error.code) {
    case "LW401":
      return [CloseCode.Unauthorized, reason];
    case "LW403":
      return [CloseCode.Forbidden, reason];
    case "LW429":
    case "LW503":
      return [TRY_AGAIN, reason];
    default:
      return [CloseCode.InternalServerError, reason];
  }
}

/** Cuts a text to the length of a close frame: 123 bytes. */
function fitting(reason: string): string {
  const bytes = Buffer.from(reason);
  // A character that is cut in the middle becomes a replacement character of three bytes.
  return bytes.length <= 123 ? reason : bytes.subarray(0, 120).toString();
}
