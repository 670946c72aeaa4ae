import { defineTask, parseDuration, type Sql, type SqlTag } from "legwork";
import { z } from "zod";
import { guardedFetch, shown } from "../@lib/guarded-fetch.ts";
import { type Asker, columnOf, namedView, tableName } from "../@lib/named-table.ts";

/** The time limit for the database's response (ms). */
const DATABASE_TIMEOUT_MS = 5_000;

/** The longest allowed timeout (ms). A probe that waits longer detects a failure too late. */
const MAX_TIMEOUT_MS = 300_000;

const timeout = z
  .union([z.number(), z.string().min(1).max(99)])
  .refine((value) => isTimeout(parseDuration(value)), "expected a duration such as 500ms, 5s or 1m, at most 5m")
  .default("5s")
  .describe("The time limit for the response: a duration such as 500ms or 5s, or milliseconds.");

/** The maximum number of rows that are read from a view. */
const MOST_ROWS = 200;

const payload = z.strictObject({
  database: z.boolean().default(true).describe("Whether to probe the database, too."),
  view: tableName
    .optional()
    .describe(
      "A view with the columns name, healthy and error, as written in SQL. Each of its first 200 rows, sorted by name, is a check.",
    ),
  http: z
    .array(
      z.strictObject({
        url: z.url({ protocol: /^https?$/, error: "expected an http:// or https:// URL" }).describe("The URL to request."),
        name: z.string().min(1).max(100).optional().describe("The check's name in the result. Default: the host of the URL."),
        timeout,
        expectStatus: z
          .int()
          .min(100)
          .max(599)
          .optional()
          .describe("The status that counts as healthy. Default: any from 200 to 299."),
      }),
    )
    .max(50)
    .default([])
    .describe(
      "The URLs to request, all at the same time. Redirects are not followed. Hosts that are not public must be in LEGWORK_ALLOWED_ADDRESSES.",
    ),
});

const check = z.strictObject({
  name: z.string().describe("database, the name or host of the URL, or the name in the view."),
  target: z.string().describe("The probed target: the database's name, the URL without credentials and query, or the view."),
  healthy: z.boolean(),
  milliseconds: z.number().describe("The time until the response."),
  status: z.int().optional().describe("The HTTP status, if there was a response."),
  error: z.string().optional().describe("Why the check is unhealthy."),
});
type Check = z.infer<typeof check>;

export default defineTask({
  description:
    "Probes the database and HTTP URLs. A target that does not respond is reported as unhealthy; the job still completes.",
  payload,
  result: z.strictObject({
    healthy: z.boolean().describe("Whether every check is healthy."),
    checks: z.array(check),
  }),
  async run({ database, http, view }, { sql, job, log, signal }) {
    signal.throwIfAborted();
    const found = await Promise.all([
      ...(database ? [probeDatabase(sql, signal)] : []),
      ...http.map((target) => probeAddress(target, signal)),
      ...(view === undefined ? [] : [probeView({ sql, job }, view, signal)]),
    ]);
    const checks = found.flat();
    // A response that was cut off because the worker is stopping says nothing about the target's health.
    signal.throwIfAborted();
    for (const { healthy, ...found } of checks) {
      if (!healthy) log.warn({ event: "probe_unhealthy", ...found }, `${found.name} is unhealthy: ${found.error}`);
    }
    return { healthy: checks.every(({ healthy }) => healthy), checks };
  },
});

async function probeDatabase(sql: SqlTag, signal: AbortSignal): Promise<Check> {
  const limit = DATABASE_TIMEOUT_MS;
  let target = "database";
  const answer = await timed(limit, async () => {
    const asked = sql<{ name: string }>`select current_database() as name`;
    const [row] = await Promise.race([asked, aborted(AbortSignal.any([signal, AbortSignal.timeout(limit)]))]);
    target = row?.name ?? target;
  });
  return { name: "database", target, ...answer };
}

/** Returns one check per row of the view. If the view cannot be read, returns a single check with the reason. */
async function probeView(asker: Asker & { sql: Sql }, name: string, signal: AbortSignal): Promise<Check[]> {
  const view = await namedView(asker, "view", name);
  const [label, healthy, error] = ["name", "healthy", "error"].map((column) => columnOf(view, "view", column).quoted);
  const limit = DATABASE_TIMEOUT_MS;
  let rows: { name: string | null; healthy: boolean | null; error: string | null }[] = [];
  const answer = await timed(limit, async () => {
    const asked = asker.sql.transaction(async (_sql, client) => {
      await client.query(`set local statement_timeout = ${limit}; set local transaction_read_only = on`);
      const text = `select ${label}::text as name, ${healthy}::boolean as healthy, ${error}::text as error
        from ${view.quoted} order by 1 limit ${MOST_ROWS}`;
      return (await client.query(text)).rows;
    });
    rows = await Promise.race([asked, aborted(AbortSignal.any([signal, AbortSignal.timeout(limit)]))]);
  });
  if (!answer.healthy) return [{ name: view.full, target: view.full, ...answer }];
  return rows.map((row) => ({
    name: row.name ?? view.full,
    target: view.full,
    healthy: row.healthy === true,
    milliseconds: answer.milliseconds,
    error: row.healthy === true ? undefined : (row.error ?? undefined),
  }));
}

type Address = z.infer<typeof payload>["http"][number];

async function probeAddress({ url, name, timeout, expectStatus }: Address, signal: AbortSignal): Promise<Check> {
  const address = new URL(url);
  const limit = parseDuration(timeout) ?? MAX_TIMEOUT_MS;
  let status: number | undefined;
  const answer = await timed(limit, async () => {
    // Only the status is needed: the body is not read.
    await using response = await guardedFetch(url, {
      headers: { "user-agent": "legwork health/probe" },
      signal: AbortSignal.any([signal, AbortSignal.timeout(limit)]),
    });
    status = response.status;
    const expected = expectStatus === undefined ? status >= 200 && status < 300 : status === expectStatus;
    if (!expected) throw new Error(`Status ${status}, expected ${expectStatus ?? "200 to 299"}.`);
  });
  return { name: name ?? address.host, target: shown(address), ...answer, status };
}

/** Runs the work and returns whether it succeeded, how long it took and, if it failed, the reason without credentials. */
async function timed(limit: number, work: () => Promise<void>): Promise<Pick<Check, "healthy" | "milliseconds" | "error">> {
  const startedAt = performance.now();
  const since = (): number => Math.round((performance.now() - startedAt) * 100) / 100;
  try {
    await work();
    return { healthy: true, milliseconds: since() };
  } catch (error) {
    return { healthy: false, milliseconds: since(), error: reasonOf(error, limit) };
  }
}

function reasonOf(thrown: unknown, limit: number): string {
  if (!(thrown instanceof Error)) return String(thrown);
  if (thrown.name === "TimeoutError") return `No response within ${limit} ms.`;
  const code = "code" in thrown ? String(thrown.code) : "";
  return thrown.message || code || thrown.name;
}

/** Rejects when the signal aborts. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}

function isTimeout(value: number | undefined): boolean {
  return value !== undefined && value >= 1 && value <= MAX_TIMEOUT_MS;
}
