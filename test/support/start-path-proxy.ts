import { once } from "node:events";
import { createServer, type IncomingMessage, request as send, type RequestOptions } from "node:http";
import type { AddressInfo } from "node:net";

export interface PathProxyOptions {
  /** The path that browsers use. */
  at: string;
  /** The path that the server behind the proxy receives instead: the same path, another one, or "" if the proxy removes it. */
  to: string;
  /** Headers that the proxy adds. */
  headers?: Record<string, string>;
  /** Whether WebSockets are passed on; true by default. Otherwise their requests never get a response. */
  webSockets?: boolean;
}

/**
 * A reverse proxy that makes a server available below a path and sends requests with the server's own host name, as nginx does. Returns the URL
 * that browsers use, and a function that closes the proxy.
 */
export async function startPathProxy(
  serverUrl: string,
  { at, to, headers = {}, webSockets = true }: PathProxyOptions,
): Promise<{ url: string; close: () => void }> {
  const { hostname, port, host } = new URL(serverUrl);
  const forwarded = (request: IncomingMessage): RequestOptions | undefined => {
    const { url = "/", method } = request;
    if (url !== at && !url.startsWith(`${at}/`)) return undefined;
    const path = (to + url.slice(at.length)).replace(/^(?!\/)/, "/");
    return { hostname, port, method: method ?? "GET", path, headers: { ...request.headers, host, ...headers } };
  };
  const proxy = createServer((request, response) => {
    const options = forwarded(request);
    if (options === undefined) {
      response.writeHead(404).end("not for Legwork");
      return;
    }
    const behind = send(options, (answer) => answer.pipe(response.writeHead(answer.statusCode ?? 502, answer.headers)));
    behind.on("error", () => response.destroy());
    request.pipe(behind);
  });
  proxy.on("upgrade", (request, socket, head) => {
    socket.on("error", () => socket.destroy());
    const options = forwarded(request);
    if (options === undefined || !webSockets) return;
    const behind = send(options);
    behind.on("upgrade", (answer, inner, first) => {
      const lines = Object.entries(answer.headers).map(([name, value]) => `${name}: ${String(value)}`);
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("\r\n")}\r\n\r\n`);
      socket.write(first);
      inner.write(head);
      inner.on("error", () => socket.destroy()).on("close", () => socket.destroy());
      socket.on("close", () => inner.destroy());
      inner.pipe(socket).pipe(inner);
    });
    behind.on("response", (answer) => void socket.end(`HTTP/1.1 ${answer.statusCode} refused\r\n\r\n`));
    behind.on("error", () => socket.destroy()).end();
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}${at}`,
    close: () => {
      proxy.closeAllConnections();
      proxy.close();
    },
  };
}
