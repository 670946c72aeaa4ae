import { enableCompileCache } from "node:module";
import type { ChildOptions } from "./messages.ts";

/** The function that Tinypool calls in a new thread or process: runs jobs until the worker ends it. */
export default async function serve(options: ChildOptions): Promise<void> {
  // Children start often and with the same modules. With the compile cache of an earlier child, they load in half the time.
  enableCompileCache(options.compileCache);
  const { ChildJobs } = await import("./child-jobs.ts");
  await new ChildJobs(options).ended;
}
