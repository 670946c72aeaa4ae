import { main } from "../../src/cli/main.ts";

/**
 * Runs commands one after the other in this process, which saves starting one for each: `node cli-session.ts '[["jobs"], …]'`. Prints a line of
 * JSON for each, with its exit code and what it has written.
 */
const write = process.stdout.write.bind(process.stdout);
process.stdout.setMaxListeners(0);
process.stderr.setMaxListeners(0);

for (const parameters of JSON.parse(process.argv[2] ?? "[]") as string[][]) {
  const written = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    process[name].write = (chunk: string | Uint8Array, ...rest: unknown[]) => {
      written[name] += typeof chunk === "string" ? chunk : Buffer.from(chunk).toString();
      const done = rest.findLast((one) => typeof one === "function") as (() => void) | undefined;
      done?.();
      return true;
    };
  }
  process.exitCode = 0;
  await main(["node", "legwork", ...parameters]);
  write(`${JSON.stringify({ code: process.exitCode, ...written })}\n`);
}
process.exitCode = 0;
