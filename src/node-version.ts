import { LegworkError } from "./errors.ts";

/**
 * The oldest Node for workers, servers, the command line and the test kit: graphile-worker and undici need it. bin/legwork.js makes the same check.
 */
const MINIMUM = [22, 19] as const;

/**
 * Throws LW518 if this Node is too old for what is about to start. Enqueueing and operating work on older versions too, so call it before importing
 * modules that do not load there.
 */
export function assertNode(what: string): void {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > MINIMUM[0] || (major === MINIMUM[0] && minor >= MINIMUM[1])) return;
  throw new LegworkError("LW518", `${what} needs Node ${MINIMUM.join(".")} or newer; this is Node ${process.versions.node}.`, {
    hint: "Use Node 24. With Node 20.19 or newer, you can enqueue jobs for a worker that runs on a newer version.",
  });
}
