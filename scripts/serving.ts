import { spawn } from "node:child_process";
import { once } from "node:events";

/** Starts `legwork server` of the package at `bin`, calls `ask` with its URL, and stops it. */
export async function serving(
  bin: string,
  options: { cwd: string; env: NodeJS.ProcessEnv },
  ask: (url: string) => Promise<void>,
): Promise<void> {
  const server = spawn(process.execPath, [bin, "server"], { ...options, stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(server, "exit");
  try {
    let log = "";
    const url = await new Promise<string>((resolve, reject) => {
      server.stderr.setEncoding("utf8").on("data", (text: string) => {
        log += text;
        const [, found] = /Listening on (http:\/\/[\d.:]+)/.exec(log) ?? [];
        if (found !== undefined) resolve(found);
      });
      void ended.then(() => reject(new Error(`The server exited:\n${log}`)));
    });
    await ask(url);
  } finally {
    server.kill();
    await ended;
  }
}
