import type { Queryable } from "legwork";
import type { StandIns } from "./stand-ins.ts";

/** Something that happens in an example every so often, as its users would make it happen. */
export interface Work {
  /** How often (s). */
  every: number;
  /** When it happens for the first time (s after the start); by default after a fraction of `every`. */
  begins?: number;
  /** Settings that must be the demonstration's own: what goes to a server of yours is not for it to send. */
  needs?: readonly string[];
  run(client: Queryable): Promise<unknown>;
}

/** An example as the demonstration runs it: what its file beside this one exports. */
export interface Example {
  /** Settings that it takes from the environment; those that are set there stay as they are. */
  settings?(standIns: StandIns, dataDir: string): Promise<Record<string, string>> | Record<string, string>;
  /** Makes its tables, sample and schedules where they are missing. */
  start(databaseUrl: string): Promise<unknown>;
  /** Done once, in the first start on a database: what somebody may undo and finds undone afterwards. */
  first?(client: Queryable): Promise<unknown>;
  work?: readonly Work[];
}

/** The examples that `npm start` shows. Their tasks are in `examples/<name>/tasks`. */
export const EXAMPLES = {
  documents: () => import("./documents.ts"),
  assistant: () => import("./assistant.ts"),
  projects: () => import("./projects.ts"),
  chat: () => import("./chat.ts"),
  calendar: () => import("./calendar.ts"),
} as const satisfies Record<string, () => Promise<Example>>;

/** Directories of their tasks, and of what the demonstration itself adds. */
export const EXAMPLE_TASKS: readonly string[] = [...Object.keys(EXAMPLES), "demo"].map((name) => `examples/${name}/tasks`);
