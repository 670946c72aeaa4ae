import { setTimeout as delay } from "node:timers/promises";
import { main } from "../../src/cli/main.ts";

/**
 * Runs one command after another, which saves starting a process for each one. `cli.ts` sends a command with its environment and receives its exit
 * code and output. A command that leaves something open would prevent its own process from ending, so its exit code is 70.
 */
export interface CommandRequest {
  parameters: readonly string[];
  environment: Record<string, string>;
}

const CLOSE_TIMEOUT_MS = 10_000;
const written = { stdout: "", stderr: "" };
process.stdout.setMaxListeners(0);
process.stderr.setMaxListeners(0);
for (const name of ["stdout", "stderr"] as const) {
  process[name].write = (chunk: string | Uint8Array, ...rest: unknown[]) => {
    written[name] += typeof chunk === "string" ? chunk : Buffer.from(chunk).toString();
    const done = rest.findLast((one) => typeof one === "function") as (() => void) | undefined;
    done?.();
    return true;
  };
}

/** New resources that prevent this process from ending. */
function opened(before: readonly string[]): string[] {
  const resources = process.getActiveResourcesInfo();
  for (const resource of before) if (resources.includes(resource)) resources.splice(resources.indexOf(resource), 1);
  return resources;
}

process.on("message", async ({ parameters, environment }: CommandRequest) => {
  Object.assign(written, { stdout: "", stderr: "" });
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, environment);
  process.exitCode = 0;
  const before = process.getActiveResourcesInfo();
  await main(["node", "legwork", ...parameters]);
  const deadline = performance.now() + CLOSE_TIMEOUT_MS;
  let left: string[];
  for (;;) {
    left = opened(before);
    if (left.length === 0 || performance.now() > deadline) break;
    await delay(1, undefined, { ref: false });
  }
  if (left.length > 0) {
    written.stderr += `The command prevents its process from ending: ${left.join(", ")}\n`;
    process.exitCode = 70;
  }
  process.send?.({ code: process.exitCode, ...written });
  process.exitCode = 0;
});
process.on("disconnect", () => process.exit(0));
