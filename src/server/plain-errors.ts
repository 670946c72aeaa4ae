import type { Duplex } from "node:stream";
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { inWordsOf } from "../action.ts";
import { isBug, sqlStateOf, translateError } from "../db/translate-error.ts";
import { type ErrorCode, LegworkError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { propertyOf } from "../thrown.ts";
import { formatNumber } from "../wording.ts";
import { REQUESTS } from "./request-wording.ts";

/** The longest request body, unless the route sets another (bytes). */
export const BODY_LIMIT = 100_000;

/** Translates an error for the client. For a bug, the response contains only a general message and the request id under which it is logged. */
export function translateForClient(
  thrown: unknown,
  request: Pick<FastifyRequest, "id" | "method" | "url">,
  log: Logger,
): LegworkError {
  const error = translateError(thrown, request.id);
  // Missing privileges of the server's own login are logged for its administrator.
  if (isBug(error) || sqlStateOf(error) === "42501") {
    log.error(
      { event: "request_failed", err: error.cause, requestId: request.id, method: request.method, url: request.url },
      "Request failed.",
    );
  }
  return error;
}

/** Translates an error outside REST, where bodies have lower limits and hints name other requests. */
export function asLegworkError(thrown: FastifyError, request: FastifyRequest, log: Logger): LegworkError {
  const error = translateForClient(thrown, request, log);
  if (thrown instanceof LegworkError || clientStatus(thrown) === undefined) return error;
  if (error.code === "LW413") {
    return new LegworkError("LW413", `A request may have at most ${formatNumber(BODY_LIMIT)} bytes.`, {
      hint: "Split it into several requests.",
    });
  }
  return new LegworkError(error.code, error.message, {
    hint: request.url.startsWith("/graphql") ? `Send {"query": "…"} as application/json.` : "GET / lists the available routes.",
  });
}

/** The status of a client error that Fastify reports, such as 415; undefined for other errors. */
export function clientStatus(thrown: unknown): number | undefined {
  const status = thrown instanceof LegworkError ? undefined : propertyOf(thrown, "statusCode");
  return typeof status === "number" && status >= 400 && status < 500 ? status : undefined;
}

/** The value of Retry-After: seconds until the same request may succeed, at least 1; undefined if unknown. */
export function retryAfter({ retryAt }: LegworkError): string | undefined {
  return retryAt === undefined ? undefined : String(Math.max(1, Math.ceil((retryAt.getTime() - Date.now()) / 1_000)));
}

/** Sends `code`, `message` and `hint`, outside REST. */
export function sendError(reply: FastifyReply, error: LegworkError, status: number = error.status): FastifyReply {
  if (error.code === "LW401") reply.header("www-authenticate", 'Bearer realm="legwork"');
  const wait = retryAfter(error);
  if (wait !== undefined) reply.header("retry-after", wait);
  return reply.code(status).send(bodyOf(error));
}

function bodyOf(error: LegworkError): { code: ErrorCode; message: string; hint: string | undefined } {
  return { code: error.code, message: error.message, hint: inWordsOf(REQUESTS, error) };
}

/** Sends an error on a connection without a reply object, because its request is unreadable or asks for a WebSocket, and closes the connection. */
export function hangUp(socket: Duplex, error: LegworkError, status: number = error.status): void {
  const body = JSON.stringify(bodyOf(error));
  const wait = retryAfter(error);
  const headers = [
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(body)}`,
    ...(wait === undefined ? [] : [`retry-after: ${wait}`]),
    "connection: close",
  ];
  socket.end(`HTTP/1.1 ${status} ${error.code}\r\n${headers.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}

/** Rejects a request that cannot be parsed or has not arrived completely in time. */
export function refuseUnreadable(error: Error & { code?: string }, socket: Duplex): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      return hangUp(
        socket,
        new LegworkError("LW413", "A request's URL and headers may have at most 16 KB.", { hint: "Shorten them." }),
        431,
      );
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return hangUp(
        socket,
        new LegworkError("LW400", "The request took too long to arrive.", { hint: "Send it without pauses." }),
        408,
      );
    default:
      return hangUp(socket, new LegworkError("LW400", "The request is not valid HTTP.", { hint: "Send HTTP/1.1." }));
  }
}
