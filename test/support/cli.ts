import { type ChildProcess, fork, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { CommandRequest } from "./cli-session.ts";

const SCRIPT = fileURLToPath(new URL("../../bin/legwork.js", import.meta.url));

export interface CliResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

const SESSION = fileURLToPath(new URL("cli-session.ts", import.meta.url));

/** Commands that run until a signal ends them, and so need a separate process. */
const LASTING = new Set(["up", "dev", "worker", "server", "top"]);

/**
 * Runs a command with only the given environment variables. Most commands run in a process that is kept for the next command, because starting Node
 * takes longer than the command itself. A command that reads stdin, depends on the working directory or runs until a signal gets its own process.
 */
export async function legwork(
  parameters: readonly string[],
  environment: Record<string, string> = {},
  input = "",
  cwd?: string,
): Promise<CliResult> {
  const isOwn = input !== "" || cwd !== undefined || parameters.some((one) => LASTING.has(one) || one === "--watch");
  if (isOwn) return await legworkProcess(parameters, environment, input, cwd);
  return await inSession({ parameters, environment: environmentOf(environment) });
}

function environmentOf(environment: Record<string, string>): Record<string, string> {
  const { PATH = "" } = process.env;
  return { PATH, LEGWORK_LOG_LEVEL: "warn", ...environment };
}

const idle: ChildProcess[] = [];

async function inSession(request: CommandRequest): Promise<CliResult> {
  const child = idle.pop() ?? startSession();
  child.ref();
  child.channel?.ref();
  const ended = (code: number | null): CliResult => ({ code, stdout: "", stderr: "The process that runs commands has ended." });
  const result = await new Promise<CliResult>((resolve, reject) => {
    const onExit = (code: number | null): void => resolve(ended(code));
    child.once("exit", onExit);
    child.once("message", (answer) => {
      child.off("exit", onExit);
      idle.push(child);
      resolve(answer as CliResult);
    });
    child.send(request, (error) => {
      if (error !== null) reject(error);
    });
  });
  child.unref();
  child.channel?.unref();
  return result;
}

/** The kept process. It ends when this process ends, because the channel closes then. */
function startSession(): ChildProcess {
  const { PATH = "", NODE_COMPILE_CACHE = "" } = process.env;
  return fork(SESSION, [], { env: { PATH, NODE_COMPILE_CACHE }, execArgv: [], stdio: ["ignore", "inherit", "inherit", "ipc"] });
}

/** Runs a command in its own process. */
async function legworkProcess(
  parameters: readonly string[],
  environment: Record<string, string> = {},
  input = "",
  cwd?: string,
): Promise<CliResult> {
  const child = spawn(process.execPath, [SCRIPT, ...parameters], { env: environmentOf(environment), cwd });
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
