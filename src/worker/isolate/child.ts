import { enableCompileCache } from "node:module";
import type { ChildOptions } from "./messages.ts";

/** The function that Tinypool calls in a new thread or process: runs jobs until the worker ends it. */
export default async function serve(options: ChildOptions): Promise<void> {
  // Children are started often and load the same modules. With the compile cache of an earlier child, this takes half the time.
  enableCompileCache(options.compileCache);
  const { ChildJobs } = await import("./child-jobs.ts");
  await new ChildJobs(options).ended;
}
