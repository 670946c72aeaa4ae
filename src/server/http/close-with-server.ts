import type { IncomingMessage } from "node:http";
import type { Server } from "node:net";
import type { FastifyInstance } from "fastify";

/**
 * Closes the connection after a response that is sent while the server, or the server in which it is mounted, is closing. Node itself closes only the
 * connections that are idle when `close` is called, and waits for the others until their keep-alive times out, which takes 72 seconds with Fastify.
 */
export function closeWithServer(app: FastifyInstance): void {
  app.addHook("onSend", async ({ raw }, reply) => {
    if (isClosing(raw)) reply.header("connection", "close");
  });
  // The server may have started to close after the headers were sent.
  app.addHook("onResponse", async ({ raw }) => {
    if (isClosing(raw)) raw.socket.destroySoon();
  });
}

/** Whether the server that accepted the request's connection has stopped accepting new ones. */
function isClosing({ socket }: IncomingMessage): boolean {
  return (socket as { server?: Server }).server?.listening === false;
}
