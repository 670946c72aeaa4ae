import type { Duplex } from "node:stream";
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { inWordsOf } from "../action.ts";
import { isBug, sqlStateOf, translateError } from "../db/translate-error.ts";
import { type ErrorCode, LegworkError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { propertyOf } from "../thrown.ts";
import { REQUESTS } from "./request-wording.ts";

/** The longest request body (bytes), where a route does not say otherwise. */
export const BODY_LIMIT = 100_000;

/** What a client is answered in place of a result. Of a bug it learns only that there is one, and under which id the log says more. */
export function translateForClient(
  thrown: unknown,
  request: Pick<FastifyRequest, "id" | "method" | "url">,
  log: Logger,
): LegworkError {
  const error = translateError(thrown, request.id);
  // A right that the server's own login lacks is for its administrator to see, too.
  if (isBug(error) || sqlStateOf(error) === "42501") {
    log.error({ err: error.cause, requestId: request.id, method: request.method, url: request.url }, "A request failed.");
  }
  return error;
}

/** The same outside of REST, where bodies are shorter and hints name other requests. */
export function asLegworkError(thrown: FastifyError, request: FastifyRequest, log: Logger): LegworkError {
  const error = translateForClient(thrown, request, log);
  if (thrown instanceof LegworkError || clientStatus(thrown) === undefined) return error;
  if (error.code === "LW413") {
    return new LegworkError("LW413", `A request may have ${BODY_LIMIT.toLocaleString("en")} bytes.`, {
      hint: "Ask in several requests.",
    });
  }
  return new LegworkError(error.code, error.message, {
    hint: request.url.startsWith("/graphql") ? `Send {"query": "…"} as application/json.` : "GET / lists what is here.",
  });
}

/** The status that Fastify gives a client's mistake, such as 415; undefined for anything else. */
export function clientStatus(thrown: unknown): number | undefined {
  const status = thrown instanceof LegworkError ? undefined : propertyOf(thrown, "statusCode");
  return typeof status === "number" && status >= 400 && status < 500 ? status : undefined;
}

/** Seconds until the same request may succeed, as Retry-After says it: 1 at least; undefined where that is not known. */
export function retryAfter({ retryAt }: LegworkError): string | undefined {
  return retryAt === undefined ? undefined : String(Math.max(1, Math.ceil((retryAt.getTime() - Date.now()) / 1_000)));
}

/** Answers with `code`, `message` and `hint`, outside of REST. */
export function sendError(reply: FastifyReply, error: LegworkError, status: number = error.status): FastifyReply {
  if (error.code === "LW401") reply.header("www-authenticate", 'Bearer realm="legwork"');
  const wait = retryAfter(error);
  if (wait !== undefined) reply.header("retry-after", wait);
  return reply.code(status).send(bodyOf(error));
}

function bodyOf(error: LegworkError): { code: ErrorCode; message: string; hint: string | undefined } {
  return { code: error.code, message: error.message, hint: inWordsOf(REQUESTS, error) };
}

/** Answers on a connection that has no reply, because its request could not be read or asks for a WebSocket, and hangs up. */
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

/** What cannot even be read as a request, or has not come to its end in time. */
export function refuseUnreadable(error: Error & { code?: string }, socket: Duplex): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      return hangUp(
        socket,
        new LegworkError("LW413", "A request's address and headers may have 16 KB.", { hint: "Send less in them." }),
        431,
      );
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return hangUp(socket, new LegworkError("LW400", "The request took too long to arrive.", { hint: "Send it at once." }), 408);
    default:
      return hangUp(socket, new LegworkError("LW400", "The request cannot be read as HTTP.", { hint: "Send HTTP/1.1." }));
  }
}
