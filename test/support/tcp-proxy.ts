import { connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

export interface TcpProxy {
  /** The database's URL through the proxy. */
  readonly url: string;
  /**
   * Silences the current connections, or those whose first bytes from the client contain a text: no data passes in either direction, and neither side
   * is notified. New connections work.
   */
  silence(containing?: string): number;
  /** How many connections have been opened through the proxy so far. */
  readonly opened: number;
}

/** A proxy in front of a database that can make connections die silently. It is closed when the test has finished. */
export async function tcpProxy(databaseUrl: string): Promise<TcpProxy> {
  const target = new URL(databaseUrl);
  const pairs = new Set<{ client: Socket; server: Socket; hello: string; isSilent: boolean }>();
  let opened = 0;
  const proxy = createServer({ allowHalfOpen: true }, (client) => {
    opened += 1;
    const server = connect({ host: target.hostname, port: Number(target.port), allowHalfOpen: true });
    const pair = { client, server, hello: "", isSilent: false };
    pairs.add(pair);
    client.on("data", (data) => {
      if (pair.hello === "") pair.hello = data.toString("latin1");
      if (!pair.isSilent) server.write(data);
    });
    server.on("data", (data) => void (pair.isSilent || client.write(data)));
    client.on("end", () => void (pair.isSilent || server.end()));
    server.on("end", () => void (pair.isSilent || client.end()));
    client.on("close", () => void (pair.isSilent || server.destroy()));
    server.on("close", () => void (pair.isSilent || client.destroy()));
    client.on("error", () => undefined);
    server.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    proxy.close();
    for (const { client, server } of pairs) {
      client.destroy();
      server.destroy();
    }
  });
  const address = proxy.address();
  const url = new URL(databaseUrl);
  url.hostname = "127.0.0.1";
  url.port = String(typeof address === "object" ? address?.port : "");
  return {
    url: url.href,
    get opened() {
      return opened;
    },
    silence(containing = "") {
      const chosen = [...pairs].filter((pair) => !pair.isSilent && !pair.client.destroyed && pair.hello.includes(containing));
      for (const pair of chosen) pair.isSilent = true;
      return chosen.length;
    },
  };
}
