// Runs the Sentry and OpenTelemetry recipes exactly as docs/guides/hooks.md prints them, with the real libraries, in a worker that is started from
// the command line. A local server stands in for both services.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { createLegwork } from "legwork";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const databaseUrl = process.env.DATABASE_URL ?? "";

const received: { path: string; body: string }[] = [];
const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on("data", (part: Buffer) => parts.push(part));
  request.on("end", () => {
    const body = Buffer.concat(parts);
    const text = request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
    received.push({ path: request.url ?? "", body: text.toString() });
    response.setHeader("content-type", "application/json").end("{}");
  });
}).listen(0, "127.0.0.1");
await once(server, "listening");
const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;

/** The code block of the guide that begins with the name of its file. */
function recipe(path: string): string {
  const guide = readFileSync(new URL("../../../docs/guides/hooks.md", import.meta.url), "utf8");
  const block = [...guide.matchAll(/```ts\n([\s\S]*?)```/g)]
    .map(([, code = ""]) => code)
    .find((code) => code.startsWith(`// ${path}\n`));
  assert(block !== undefined, `The guide has ${path}.`);
  return block;
}

// Inside this folder, so that its packages can be imported.
const project = mkdtempSync(join(HERE, "project-"));
const write = (path: string, content: string): void => {
  mkdirSync(dirname(join(project, path)), { recursive: true });
  writeFileSync(join(project, path), content);
};
const isWritten = new Set(["middleware/sentry.ts", "middleware/telemetry.ts"]);
for (const path of isWritten) write(path, recipe(path));
write(
  "legwork.config.ts",
  `import { defineConfig } from "legwork";
  import { sentry } from "./middleware/sentry.ts";
  import { telemetry } from "./middleware/telemetry.ts";
  export default defineConfig({ middleware: [sentry, telemetry] });`,
);
write(
  "tasks/fails.ts",
  `import { Discard } from "legwork";
  export default async () => { throw new Discard("No such account."); };`,
);
write("package.json", '{ "type": "module" }');

let worker: ChildProcess | undefined;
try {
  const legwork = await createLegwork({ databaseUrl });
  worker = spawn(process.execPath, [fileURLToPath(new URL("../../../bin/legwork.js", import.meta.url)), "worker"], {
    cwd: project,
    stdio: "inherit",
    env: {
      ...process.env,
      LEGWORK_LOG_LEVEL: "warn",
      SENTRY_DSN: `http://key@${host}/7`,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://${host}`,
    },
  });
  const { rows } = await legwork.pool
    .query("select legwork.enqueue('fails', tenant => 'acme', max_attempts => 1) as id")
    .catch(async () => {
      // The task is not registered until the worker has started.
      for (let tries = 0; tries < 100; tries++) {
        const { rows: tasks } = await legwork.pool.query("select from legwork.tasks where name = 'fails'");
        if (tasks.length > 0) break;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      return await legwork.pool.query("select legwork.enqueue('fails', tenant => 'acme', max_attempts => 1) as id");
    });
  const id = String(rows[0].id);
  for (let tries = 0; tries < 100 && (await legwork.jobs.get(id)).state !== "failed"; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.equal((await legwork.jobs.get(id)).state, "failed");
  worker.kill("SIGTERM");
  await once(worker, "exit");
  await legwork.stop();

  const envelope = received.find(({ path, body }) => path.startsWith("/api/7/envelope") && body.includes('"exception"'));
  assert(envelope !== undefined, "Sentry received the failure.");
  const event = envelope.body
    .split("\n")
    .map((line): unknown => JSON.parse(line || "{}"))
    .find(hasException);
  assert.equal(event?.exception.values[0]?.value, "No such account.");
  assert.equal(event?.exception.values[0]?.type, "Discard");
  assert.equal(event?.tags.job, id);
  assert.equal(event?.tags.task, "fails");
  assert.equal(event?.tags.tenant, "acme");
  console.log("✓ Sentry: the failure arrived with its job, task and tenant");

  const traces = received.find(({ path }) => path === "/v1/traces");
  assert(traces !== undefined, "The collector received spans.");
  assert(
    traces.body.includes('"process fails"') && traces.body.includes("app.tenant") && traces.body.includes("acme"),
    traces.body,
  );
  console.log("✓ OpenTelemetry: the attempt's span arrived with its own attribute");
} finally {
  worker?.kill("SIGKILL");
  server.close();
  rmSync(project, { recursive: true });
}

interface SentryEvent {
  readonly exception: { readonly values: readonly { readonly type: string; readonly value: string }[] };
  readonly tags: Readonly<Record<string, string>>;
}

function hasException(item: unknown): item is SentryEvent {
  return typeof item === "object" && item !== null && "exception" in item;
}
