import type { CloneOptions } from "../../../tasks/@lib/clone.ts";

/** What a project's clone may be: from anywhere, because this example trusts whoever may insert projects with that. */
export const CLONES = {
  protocols: ["https", "http", "ssh", "file"],
  guarded: false,
  timeLimit: 5 * 60_000,
  maxBytes: 1_000_000_000,
} as const satisfies Omit<CloneOptions, "signal">;
