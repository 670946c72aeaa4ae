import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("../../bin/legwork.js", import.meta.url));

export interface CliResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the command line in a process of its own, in an empty-handed environment: only what is given is set. */
export async function legwork(
  parameters: readonly string[],
  environment: Record<string, string> = {},
  input = "",
  cwd?: string,
): Promise<CliResult> {
  const { PATH = "" } = process.env;
  const child = spawn(process.execPath, [SCRIPT, ...parameters], {
    env: { PATH, LEGWORK_LOG_LEVEL: "warn", ...environment },
    cwd,
  });
  const collect = async (stream: NodeJS.ReadableStream): Promise<string> => {
    let text = "";
    for await (const chunk of stream) text += String(chunk);
    return text;
  };
  const code = new Promise<number | null>((resolve) => child.once("close", resolve));
  child.stdin.end(input);
  const [stdout, stderr] = await Promise.all([collect(child.stdout), collect(child.stderr)]);
  return { code: await code, stdout, stderr };
}
