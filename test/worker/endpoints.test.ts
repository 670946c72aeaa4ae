import { spawnSync } from "node:child_process";
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { ServerResponse } from "node:http";
import { readFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";
import { expect, it } from "vitest";
import { loadConfig } from "../../src/config.ts";
import { loadTasks } from "../../src/worker/load-tasks.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { type Asked, httpServer } from "../support/http-server.ts";
import { configure, endedJob, type EndedJob, TASKS } from "../support/job.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver } from "../support/worker.ts";

const database = testDatabase();
const [secret, oldSecret] = [1, 2].map(() => `whsec_${randomBytes(32).toString("base64")}`) as [string, string];

async function enqueue(task: string, payload: unknown, maxAttempts = 1): Promise<string> {
  const { rows } = await database.pool.query("select legwork.enqueue($1, $2, max_attempts => $3) as id", [
    task,
    JSON.stringify(payload),
    maxAttempts,
  ]);
  return rows[0].id;
}

const ended = (id: string): Promise<EndedJob> => until(`job ${id} has ended`, () => endedJob(database, id), 20_000);

/** Whether the code in docs/guides/tasks-in-other-languages.md, in TypeScript and in Python, accepts a request's signature. */
async function saysGuide({ headers, body }: Asked, by: string): Promise<boolean[]> {
  const guide = await readFile("docs/guides/tasks-in-other-languages.md", "utf8");
  const block = (language: string, name: string): string =>
    [...guide.matchAll(new RegExp(`\`\`\`${language}\\n([^]+?)\`\`\``, "g"))]
      .map((match) => match[1]!)
      .find((code) => code.includes(name))!;
  const code = stripTypeScriptTypes(block("ts", "isFromLegwork"));
  const { isFromLegwork } = (await import(/* @vite-ignore */ `data:text/javascript,${encodeURIComponent(code)}`)) as {
    isFromLegwork: (headers: object, body: string, secret: string) => boolean;
  };
  const python = spawnSync(
    "python3",
    [
      "-c",
      `${block("python", "is_from_legwork")}
import json, sys
headers, body, secret = json.load(sys.stdin)
print(is_from_legwork(headers, body.encode(), secret))`,
    ],
    { input: JSON.stringify([headers, String(body), by]), encoding: "utf8" },
  );
  return [isFromLegwork(headers, String(body), by), python.stdout.trim() === "True"];
}

/** Whether a request was signed with a secret. */
function isSigned({ headers, body }: Asked, by: string): boolean {
  const signed = [headers["webhook-id"], headers["webhook-timestamp"], body].map(String).join(".");
  const expected = createHmac("sha256", Buffer.from(by.slice(6), "base64"))
    .update(signed)
    .digest();
  const given = String(headers["webhook-signature"]).split(" ");
  return given.some((one) => timingSafeEqual(Buffer.from(one.slice(3), "base64"), expected));
}

function json(response: ServerResponse, status: number, content: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(content));
}

it("an endpoint runs the jobs of a task: its response determines the result, a retry or the failure", async () => {
  const closed = Promise.withResolvers<void>();
  let calls = 0;
  const { url, asked } = await httpServer((response, { path }, request) => {
    switch (path) {
      case "/sum?key=s3cret":
        calls += 1;
        return calls === 1 ? json(response, 409, {}) : json(response, 200, { sum: 3 });
      case "/nothing":
        return void response.writeHead(204).end();
      case "/refuse":
        return json(response, 422, { detail: "The account 7 does not exist." });
      case "/busy":
        return json(response, 503, {}, { "retry-after": "3600" });
      case "/moved":
        return void response.writeHead(302, { location: "/sum" }).end();
      case "/large":
        return json(response, 200, { text: "x".repeat(300_000) });
      case "/broken":
        return void response.writeHead(200, { "content-type": "application/json" }).end("{");
      default:
        // Never responds.
        request.socket.once("close", () => closed.resolve());
    }
  });
  const endpoints = Object.fromEntries(
    ["nothing", "refuse", "busy", "moved", "large", "broken", "silent"].map((name) => [name, { url: `${url}/${name}` }]),
  );
  await workerOver(database.url, [], {
    endpoints: {
      ...endpoints,
      "math/sum": { url: `${url}/sum?key=s3cret`, queue: "math" },
      slow: { url: `${url}/slow`, timeout: 200 },
    },
    endpointSecret: [secret, oldSecret],
  });
  const sum = await enqueue("math/sum", { of: [1, 2] }, 2);
  const silent = await enqueue("silent", {});
  const others = ["nothing", "refuse", "moved", "large", "broken", "slow"];
  const ids = await Promise.all(others.map(async (name) => await enqueue(name, {}, name === "slow" ? 1 : 5)));
  const busy = await enqueue("busy", {}, 5);
  const [nothing, refused, moved, large, broken, slow] = await Promise.all(ids.map(ended));
  expect(nothing).toMatchObject({ state: "completed", result: null });
  expect(refused).toMatchObject({
    state: "failed",
    attempts: 1,
    error: `${url}/refuse returned status 422: The account 7 does not exist.`,
  });
  expect(moved).toMatchObject({ state: "failed", attempts: 1, error: `${url}/moved returned status 302.` });
  expect(large).toMatchObject({
    state: "failed",
    attempts: 1,
    error: `The response from ${url}/large is larger than 262144 bytes.`,
  });
  expect(broken).toMatchObject({ state: "failed", attempts: 1, error: expect.stringContaining("not JSON") });
  expect(slow).toMatchObject({ state: "failed", error: "The task took longer than 200 ms." });

  const retrying = await until("the job of the busy endpoint is to be retried", async () => {
    const { rows } = await database.pool.query(
      "select state, run_at > now() + interval '50 minutes' as late from legwork.jobs where id = $1",
      [busy],
    );
    return rows[0].state === "retrying" ? rows[0] : undefined;
  });
  expect(retrying.late).toBe(true);

  await until("the silent endpoint was called", () => asked.some(({ path }) => path === "/silent"));
  await database.pool.query("select legwork.cancel_job($1)", [silent]);
  await closed.promise;
  expect(await ended(silent)).toMatchObject({ state: "cancelled" });

  await database.pool.query("update graphile_worker._private_jobs set run_at = now() where id = $1", [sum]);
  expect(await ended(sum)).toMatchObject({ state: "completed", attempts: 2, result: { sum: 3 } });
  const requests = asked.filter(({ path }) => path!.startsWith("/sum"));
  expect(requests.map(({ headers }) => headers["legwork-attempt"])).toEqual(["1", "2"]);
  expect(new Set(requests.map(({ headers }) => headers["idempotency-key"])).size).toBe(1);
  expect(requests[0]).toMatchObject({
    method: "POST",
    headers: {
      "legwork-job-id": sum,
      "legwork-task": "math/sum",
      "legwork-max-attempts": "2",
      "content-type": "application/json",
    },
  });
  expect(JSON.parse(String(requests[0]!.body))).toEqual({ of: [1, 2] });
  for (const request of requests) expect([isSigned(request, secret), isSigned(request, oldSecret)]).toEqual([true, true]);
  const { rows } = await database.pool.query("select name, queue, description from legwork.tasks where name = 'math/sum'");
  expect(rows).toEqual([{ name: "math/sum", queue: "math", description: `Calls ${url}/sum.` }]);
  const stored = await database.pool.query(
    "select (select json_agg(j) from legwork.jobs j)::text || (select json_agg(a) from legwork.attempts a)::text as text",
  );
  expect(stored.rows[0].text).not.toMatch(/s3cret|whsec/);
});

it("http/call calls a URL from the payload, whose address must be public or allowed, and reveals nothing from an error response", async () => {
  const { url, asked } = await httpServer((response, { path }) =>
    path === "/ok" ? json(response, 200, { ok: true }) : json(response, 400, { detail: "internal" }),
  );
  configure({ LEGWORK_ENDPOINT_SECRET: undefined, LEGWORK_ALLOWED_ADDRESSES: undefined });
  await workerOver(database.url, [TASKS]);
  const call = async (path: string): Promise<EndedJob> =>
    await ended(await enqueue("http/call", { url: `${url}${path}`, body: { n: 1 } }));
  expect((await call("/ok")).error).toContain("LEGWORK_ENDPOINT_SECRET is not set");
  configure({ LEGWORK_ENDPOINT_SECRET: secret });
  expect((await call("/ok")).error).toContain("127.0.0.1 is not allowed");
  expect(asked).toEqual([]);
  configure({ LEGWORK_ALLOWED_ADDRESSES: "127.0.0.1" });
  expect(await call("/ok")).toMatchObject({ state: "completed", result: { answer: { ok: true } } });
  expect([isSigned(asked[0]!, secret), isSigned(asked[0]!, oldSecret)]).toEqual([true, false]);
  expect(await saysGuide(asked[0]!, secret)).toEqual([true, true]);
  expect(await saysGuide(asked[0]!, oldSecret)).toEqual([false, false]);
  expect(await call("/no?token=t0ken")).toMatchObject({ state: "failed", error: `${url}/no returned status 400.` });
});

it("endpoints are checked when a worker starts", async () => {
  const url = "https://app.example.com/jobs/mail";
  const config = async (LEGWORK_ENDPOINTS: string): Promise<unknown> =>
    (await loadConfig({}, { LEGWORK_ENDPOINTS }, "/")).config.endpoints;
  expect(await config(`mail/send=${url}?a=b, report=${url}`)).toEqual({ "mail/send": { url: `${url}?a=b` }, report: { url } });
  await expect(config("mail=app.example.com")).rejects.toThrow("LEGWORK_ENDPOINTS: expected tasks and URLs");
  const byTask = { plain: { url } };
  await expect(loadTasks([], testLog, undefined, { byTask, secrets: [] })).rejects.toMatchObject({ code: "LW514" });
  const directory = await directoryOf({ "plain.js": "export default () => {};" });
  await expect(loadTasks([directory], testLog, undefined, { byTask, secrets: [secret] })).rejects.toMatchObject({
    code: "LW515",
    message: `Task 'plain' is both an endpoint and ${directory}/plain.js.`,
  });
});
