import { fileURLToPath } from "node:url";
import { LegworkError } from "../src/errors.ts";

interface Options {
  readonly short: boolean;
  /** The arguments after the benchmark's name that are not flags. */
  readonly parameters: readonly string[];
}

/** The benchmarks by name; `npm run bench -- <name> [--short]`. */
const BENCHMARKS: Record<string, () => Promise<{ run(options: Options): Promise<void> }>> = {
  history: () => import("./history.ts"),
  compare: () => import("./compare.ts"),
  limits: () => import("./limits.ts"),
  isolate: () => import("./isolate.ts"),
  workflows: () => import("./workflows.ts"),
  pages: () => import("./pages.ts"),
  clients: () => import("./clients.ts"),
  crash: () => import("./crash.ts"),
  schedules: () => import("./schedules.ts"),
  retention: () => import("./retention.ts"),
  backup: () => import("./backup.ts"),
  dashboard: () => import("./dashboard.ts"),
  footprint: () => import("./footprint.ts"),
  peers: () => import("./peers.ts"),
  growth: () => import("./growth.ts"),
  durable: () => import("./durable.ts"),
};

// Caches compiled modules for the measured processes, like `bin/legwork.js`: stripping types takes 40 MB and most of their startup time.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL("../node_modules/.cache/legwork", import.meta.url));

const [name = "history", ...flags] = process.argv.slice(2);
const load = BENCHMARKS[name];
if (load === undefined) {
  throw new LegworkError("LW400", `Unknown benchmark '${name}'.`, {
    hint: `The benchmarks are ${Object.keys(BENCHMARKS).join(", ")}.`,
  });
}
const benchmark = await load();
await benchmark.run({ short: flags.includes("--short"), parameters: flags.filter((flag) => !flag.startsWith("-")) });
