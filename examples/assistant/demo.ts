// npm run assistant: starts Legwork with this example, two stub AI providers and a folder for backups.
import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { env, execPath } from "node:process";
import { startStubProvider } from "./stub-provider.ts";

const root = resolve(import.meta.dirname, "../..");
// Next to the data directory, because the data directory must contain only Legwork's files.
const backups = `${resolve(root, env.LEGWORK_DATA_DIR || ".legwork")}-backups`;
await mkdir(backups, { recursive: true, mode: 0o700 });
const [one, two] = [await startStubProvider(), await startStubProvider()];

const child = spawn(execPath, [join(root, "bin/legwork.js"), "up"], {
  cwd: root,
  stdio: "inherit",
  env: {
    ASSISTANT_PROVIDERS: JSON.stringify([
      { name: "one", url: one.url, model: "large", key: "sk-demo", quota: 1_000_000, period: "day" },
      { name: "two", url: two.url, model: "small", quota: 1_000_000, period: "day" },
    ]),
    ASSISTANT_BACKUPS: backups,
    LEGWORK_ALLOWED_FOLDERS: backups,
    LEGWORK_REPORTS_FOLDER: join(import.meta.dirname, "reports"),
    ...env,
  },
});
// The terminal sends the signal to both processes. Legwork lets its jobs finish, and then this process exits.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
child.once("exit", (code) => process.exit(code ?? 1));
