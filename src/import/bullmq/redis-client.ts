import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { LegworkError, toError } from "../../errors.ts";

/** The part of ioredis that the import uses. */
export interface RedisClient {
  call(command: string, ...parameters: (string | number)[]): Promise<unknown>;
  pipeline(commands: (string | number)[][]): { exec(): Promise<[Error | null, unknown][] | null> };
  connect(): Promise<void>;
  disconnect(): void;
  on(name: "error", listener: (error: Error) => void): void;
}

type Constructor = new (url: string, options: object) => RedisClient;

/**
 * Connects with the ioredis of the project in the working directory, or with the copy that its BullMQ uses. Throws LW517 if there is neither, LW514
 * for an invalid Redis URL, and LW503 if Redis cannot be reached.
 */
export async function connectRedis(url: string): Promise<RedisClient> {
  const parsed = URL.parse(url);
  if (parsed === null || !/^rediss?:$/.test(parsed.protocol)) {
    // The URL is not shown, because it may contain a secret.
    throw new LegworkError("LW514", "The Redis URL is not valid.", {
      hint: "Write it like redis://127.0.0.1:6379, redis://user:password@host:6379/0, or with rediss: for TLS.",
    });
  }
  const Redis = await loadIoredis();
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 10_000,
    maxRetriesPerRequest: 1,
    retryStrategy: () => null,
  });
  let fault: Error | undefined;
  client.on("error", (error) => {
    fault = error;
  });
  try {
    await client.connect();
  } catch (thrown) {
    throw new LegworkError("LW503", `Redis at ${parsed.host} cannot be reached: ${(fault ?? toError(thrown)).message}.`, {
      hint: "Check --redis-url or REDIS_URL, and that Redis is running.",
      cause: thrown,
    });
  }
  return client;
}

async function loadIoredis(): Promise<Constructor> {
  const project = createRequire(pathToFileURL(join(process.cwd(), "index.js")));
  for (const find of [() => project.resolve("ioredis"), () => createRequire(project.resolve("bullmq")).resolve("ioredis")]) {
    let path: string;
    try {
      path = find();
    } catch {
      continue;
    }
    const loaded = (await import(pathToFileURL(path).href)) as {
      Redis?: Constructor;
      default?: Constructor & { Redis?: Constructor };
    };
    const found = loaded.Redis ?? loaded.default?.Redis ?? loaded.default;
    if (found !== undefined) return found;
  }
  throw new LegworkError("LW517", "Importing from BullMQ needs the package ioredis, which is not installed in this project.", {
    hint: "Run the command in the project that uses BullMQ, or `npm install --save-dev ioredis`.",
  });
}
