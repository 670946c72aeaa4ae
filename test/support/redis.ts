import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";

export interface RedisServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** A Redis server on a free port, which stores nothing on disk. */
export async function startRedis(): Promise<RedisServer> {
  const port = await freePort();
  const child: ChildProcess = spawn(
    "redis-server",
    ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
    {
      stdio: ["ignore", "pipe", "ignore"],
    },
  );
  await once(child, "spawn").catch(() => {
    throw new Error("Redis is not installed: apt-get install redis-server.");
  });
  const exited = once(child, "exit");
  if (child.stdout === null) throw new Error("Redis has no output.");
  for await (const line of createInterface(child.stdout)) if (line.includes("Ready to accept connections")) break;
  // Discards the rest of its output, so that the process does not block.
  child.stdout.resume();
  return {
    url: `redis://127.0.0.1:${port}`,
    async stop() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("No port.");
  return address.port;
}
