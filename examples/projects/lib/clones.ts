import type { CloneOptions } from "../../../tasks/@lib/clone.ts";

/** The limits of clones. Any URL is allowed, because this example trusts every user who may insert projects. */
export const CLONES = {
  protocols: ["https", "http", "ssh", "file"],
  guarded: false,
  timeLimit: 5 * 60_000,
  maxBytes: 1_000_000_000,
} as const satisfies Omit<CloneOptions, "signal">;
