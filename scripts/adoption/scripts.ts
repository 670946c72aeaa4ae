import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Check } from "./matrix.ts";

/** Runs one of the other scripts. Each line that it prints for a library or system becomes a check. */
export async function tryScript(check: Check, area: string, script: string): Promise<void> {
  let output = "";
  const ended = new Promise<void>((resolve, reject) => {
    const child = execFile(
      process.execPath,
      [fileURLToPath(new URL(`../${script}`, import.meta.url))],
      { timeout: 900_000, maxBuffer: 1e8 },
      (error) => (error === null ? resolve() : reject(error)),
    );
    child.stdout?.on("data", (text: string) => (output += text));
  });
  await check(area, `scripts/${script}`, () => ended);
  for (const [, name = ""] of output.matchAll(/^✓ (.+)$/gm)) await check(area, name, () => Promise.resolve());
}
