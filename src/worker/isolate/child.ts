import { enableCompileCache } from "node:module";
import type { ChildOptions } from "./messages.ts";

/** What Tinypool calls in a new thread or process: runs jobs until the worker tells it to end. */
export default async function serve(options: ChildOptions): Promise<void> {
  // Children start all the time with the same modules: compiled by an earlier one, they load in half the time.
  enableCompileCache(options.compileCache);
  const { ChildJobs } = await import("./child-jobs.ts");
  await new ChildJobs(options).ended;
}
