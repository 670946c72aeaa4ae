import type { Queryable } from "legwork";
import type { StandIns } from "./stand-ins.ts";

/** Recurring activity in an example, such as its users would cause. */
export interface Work {
  /** The interval between runs (s). */
  every: number;
  /** The time of the first run (s after the start). Default: a fraction of `every`. */
  begins?: number;
  /** The activity runs only if the demo itself has set these settings, so that nothing is ever sent to your own servers. */
  needs?: readonly string[];
  run(client: Queryable): Promise<unknown>;
}

/** An example in the demo: the exports of its file in this folder. */
export interface Example {
  /** Environment variables for the example. Variables that are already set are not changed. */
  settings?(standIns: StandIns, dataDir: string): Promise<Record<string, string>> | Record<string, string>;
  /** Creates its tables, sample data and schedules if they are missing. */
  start(databaseUrl: string): Promise<unknown>;
  /** Runs once, at the first start on a database, so that users can undo its changes permanently. */
  first?(client: Queryable): Promise<unknown>;
  work?: readonly Work[];
}

/** The examples that `npm start` runs. Their tasks are in `examples/<name>/tasks`. */
export const EXAMPLES = {
  documents: () => import("./documents.ts"),
  assistant: () => import("./assistant.ts"),
  projects: () => import("./projects.ts"),
  chat: () => import("./chat.ts"),
  calendar: () => import("./calendar.ts"),
} as const satisfies Record<string, () => Promise<Example>>;

/** The directories of the examples' tasks and of the demo's own tasks. */
export const EXAMPLE_TASKS: readonly string[] = [...Object.keys(EXAMPLES), "demo"].map((name) => `examples/${name}/tasks`);
