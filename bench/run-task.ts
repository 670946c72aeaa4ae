import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const runChild = promisify(execFile);

export interface TaskRun {
  seconds: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- each task has its own result type
  result: any;
  /** The peak memory use of the worker's process before the job, and in total (MB). */
  before: number;
  memory: number;
}

/** Runs a job of the standard library in a separate worker process, with the flags of `npm start`. */
export async function runTask(
  url: string,
  task: string,
  payload: Record<string, unknown>,
  environment: Record<string, string> = {},
): Promise<TaskRun> {
  const script = fileURLToPath(new URL("task.ts", import.meta.url));
  const { stdout } = await runChild(process.execPath, ["--max-semi-space-size=1", script, url, task, JSON.stringify(payload)], {
    env: { ...process.env, ...environment },
  });
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as TaskRun;
}
