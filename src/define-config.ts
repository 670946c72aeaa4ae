import type { ConfigFile as Settings } from "./config.ts";
import type { Middleware } from "./jobs/middleware.ts";

/** The content of `legwork.config.ts`: settings, middleware, and code that runs in the process of `legwork up`. */
export interface ConfigFile extends Settings {
  /**
   * Runs around attempts and enqueues in every process that reads this file; the first is the outermost. A process reads the file from its working
   * directory: `legwork worker`, `legwork up`, `createLegwork`, and the threads and processes of isolated tasks.
   */
  middleware?: readonly Middleware[];
}

/**
 * Gives a `legwork.config.ts` its types and returns it unchanged.
 *
 * @example
 * import { defineConfig } from "legwork";
 *
 * export default defineConfig({ tasks: ["src/tasks"], concurrency: 20, corsOrigins: ["https://app.example.com"] });
 */
export function defineConfig(config: ConfigFile): ConfigFile {
  return config;
}
