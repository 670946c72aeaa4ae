import type { Duplex } from "node:stream";
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { type ErrorCode, LegworkError } from "../errors.ts";
import type { Logger } from "../log.ts";

/** The longest request body (bytes), where a route does not say otherwise. */
export const BODY_LIMIT = 100_000;

/** What the client did wrong, in our words; anything else is a bug, of which the client learns only that there is one. */
export function asLegworkError(error: FastifyError, request: FastifyRequest, log: Logger): LegworkError {
  if (error instanceof LegworkError) return error;
  if (error.statusCode === 413) {
    return new LegworkError("LW413", `A request may have ${BODY_LIMIT.toLocaleString("en")} bytes.`, {
      hint: "Ask in several requests.",
    });
  }
  if (clientStatus(error) !== undefined) {
    return new LegworkError("LW400", `${error.message.replace(/\.?$/, "")}.`, {
      hint: request.url.startsWith("/graphql") ? `Send {"query": "…"} as application/json.` : "GET / lists what is here.",
    });
  }
  log.error({ err: error, method: request.method, url: request.url }, "A request failed.");
  return new LegworkError("LW500", "Internal error.", { hint: "The server's log says more." });
}

/** The status that Fastify gives a client's mistake, such as 415; undefined for anything else. */
export function clientStatus({ statusCode }: { statusCode?: number }): number | undefined {
  return statusCode !== undefined && statusCode >= 400 && statusCode < 500 ? statusCode : undefined;
}

/** Answers with `code`, `message` and `hint`, outside of REST. */
export function sendError(reply: FastifyReply, error: LegworkError, status: number = error.status): FastifyReply {
  if (error.code === "LW401") reply.header("www-authenticate", 'Bearer realm="legwork"');
  if (error.retryAt !== undefined) reply.header("retry-after", secondsUntil(error.retryAt));
  const { code, message, hint }: { code: ErrorCode; message: string; hint: string | undefined } = error;
  return reply.code(status).send({ code, message, hint });
}

/** Answers on a connection that has no reply, because its request could not be read or asks for a WebSocket, and hangs up. */
export function hangUp(socket: Duplex, error: LegworkError, status: number = error.status): void {
  const { code, message, hint, retryAt } = error;
  const body = JSON.stringify({ code, message, hint });
  const headers = [
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(body)}`,
    ...(retryAt === undefined ? [] : [`retry-after: ${secondsUntil(retryAt)}`]),
    "connection: close",
  ];
  socket.end(`HTTP/1.1 ${status} ${code}\r\n${headers.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
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

function secondsUntil(time: Date): string {
  return String(Math.max(1, Math.ceil((time.getTime() - Date.now()) / 1_000)));
}
