import { readAction } from "../../action.ts";
import { UnboundedTime } from "../../db/parse-timestamp.ts";
import { isErrorCode, LegworkError, toError } from "../../errors.ts";
import { assertJobId } from "../../jobs/read-jobs.ts";
import type { LimitTarget } from "../../queues/limits.ts";
import { assertBatchId } from "../../workflows/batches.ts";
import { assertWorkflowId } from "../../workflows/read-workflows.ts";
import type { Operations } from "./operations.ts";
import { parseExactly } from "../../json.ts";

/** Items of a page that is asked for. */
const PAGE = 500;
/** Jobs that one request changes. */
const CHUNK = 1_000;
/** What one command changes at most, as without a server. */
const MAX_CHANGED = 10_000;

// oxlint-disable-next-line typescript/no-explicit-any -- JSON; what it is, the operation says
type Answer = any;

interface Chunk {
  ids: string[];
  changed: number;
  left: number;
}

/**
 * What commands do, by asking the server at `url`. Throws what the server answers, with the same code as without a server; LW503 when
 * it does not answer, LW401 without a token.
 */
export function remoteOperations(url: string, token: string | undefined): Operations {
  const ask = async (method: string, path: string, body?: unknown): Promise<Answer> =>
    await request(url, token, method, path, body);
  const get = async (path: string): Promise<Answer> => await ask("GET", path);
  const post = async (path: string, body?: unknown): Promise<Answer> => await ask("POST", path, body);
  const all = async (path: string): Promise<Answer[]> => {
    const items: Answer[] = [];
    for (let cursor = ""; ;) {
      const page = await get(`${path}${cursor}`);
      items.push(...page.items);
      if (page.next_cursor === null) return items;
      cursor = `${path.includes("?") ? "&" : "?"}cursor=${page.next_cursor}`;
    }
  };
  const job = (id: string): string => `/jobs/${assertJobId(id)}`;
  const scheduleOf = (name: string): string => `/schedules/${encodeURIComponent(name)}`;
  const where = (target: LimitTarget): string =>
    target.queue === undefined ? `/tasks/${encodeURIComponent(target.task)}` : `/queues/${encodeURIComponent(target.queue)}`;

  /** A request a chunk, until nothing is left. */
  const many = async (path: string, body: object, preview: boolean): Promise<string[]> => {
    const ids: string[] = [];
    for (;;) {
      const chunk: Chunk = await post(path, { ...body, dry_run: preview, at_most: preview ? MAX_CHANGED : CHUNK });
      ids.push(...chunk.ids);
      if (preview || chunk.left === 0 || chunk.changed === 0 || ids.length >= MAX_CHANGED) return ids;
    }
  };

  return {
    enqueue: async (task, payload, options) => (await post("/jobs", { ...snakeCase(options), task, payload })).id,
    listJobs: async ({ before, after, limit, ...filter }) => {
      const last = before ?? after;
      const jobs: Answer[] = [];
      for (let cursor = last === undefined ? undefined : Buffer.from(`jobs:${last}`).toString("base64url"); ;) {
        const page = await get(`/jobs?${queryOf({ ...snakeCase(filter), limit: limit - jobs.length, cursor })}`);
        jobs.push(...page.items);
        // A page of large jobs is shorter than it was asked to be; a search in payloads has an end of its own.
        if (page.next_cursor === null || jobs.length >= limit || filter.payload !== undefined) return jobs;
        cursor = page.next_cursor;
      }
    },
    getJob: async (id) => await get(job(id)),
    listSteps: (id) => all(`${job(id)}/steps`),
    lastLogs: async (id, limit) => (await all(`${job(id)}/logs?limit=${PAGE}`)).slice(-limit),
    logsAfter: async (id, after) => {
      const cursor = after === undefined ? "" : `&cursor=${Buffer.from(`logs:${after}`).toString("base64url")}`;
      return (await get(`${job(id)}/logs?limit=${PAGE}${cursor}`)).items;
    },
    explainJob: async (id) => (await get(`${job(id)}/explain`)).items,
    cancelJob: async (id, reason) => (await post(`${job(id)}/cancel`, { reason })).state,
    cancelJobs: (filter, { reason, preview }) => many("/jobs/cancel", { filter: snakeCase(filter), reason }, preview),
    retryJob: async (id) => (await post(`${job(id)}/retry`)).state,
    retryJobs: (filter, { preview }) => many("/jobs/retry", { filter: snakeCase(filter) }, preview),
    discardJob: async (id) => void (await post(`${job(id)}/discard`)),
    discardJobs: (filter, { preview }) => many("/jobs/discard", { filter: snakeCase(filter) }, preview),
    rerunJob: async (id, options) => (await post(`${job(id)}/rerun`, options)).id,
    setPriority: async (id, priority) => (await ask("PUT", `${job(id)}/priority`, { priority })).was,
    listFailedGroups: () => all("/failed-groups"),
    listQueues: () => all("/queues"),
    listTasks: () => all(`/tasks?limit=${PAGE}`),
    listWorkers: () => all("/workers"),
    limitConcurrency: async (max, target) =>
      void (await ask("PUT", `${where(target)}/limits`, { kind: "concurrency", max, key: target.key })),
    limitRate: async (max, per, target) =>
      void (await ask("PUT", `${where(target)}/limits`, { kind: "rate", max, per, key: target.key })),
    dropLimit: async (kind, target) => {
      const { limits } = await get(where(target));
      const key = target.key === undefined ? "" : `?key=${encodeURIComponent(target.key)}`;
      await ask("DELETE", `${where(target)}/limits/${kind}${key}`);
      return (limits ?? []).some((limit: Answer) => limit.kind === kind && limit.key === target.key);
    },
    resetLimits: async (task) => void (await post(`/tasks/${encodeURIComponent(task)}/limits/reset`)),
    pauseQueue: async (queue, reason) => void (await post(`/queues/${encodeURIComponent(queue)}/pause`, { reason })),
    resumeQueue: async (queue) => await resume(`/queues/${encodeURIComponent(queue)}`),
    pauseTask: async (task, reason) => void (await post(`/tasks/${encodeURIComponent(task)}/pause`, { reason })),
    resumeTask: async (task) => await resume(`/tasks/${encodeURIComponent(task)}`),
    emergencyStop: async (reason) => void (await post("/emergency-stop", { reason })),
    resumeAll: async () => {
      const { stopped_at } = await get("/stats");
      await post("/resume-all");
      return stopped_at !== null;
    },
    sendSignal: async (id, name, payload) => (await post(`${job(id)}/signals/${encodeURIComponent(name)}`, { payload })).counts,
    schedule: (name, task, options) => ask("PUT", scheduleOf(name), { ...snakeCase(options), task }),
    getSchedule: (name) => get(scheduleOf(name)),
    listSchedules: async ({ tenant }) => (await all("/schedules")).filter((row) => tenant === undefined || row.tenant === tenant),
    listScheduleRuns: async (name, { limit }) => (await get(`${scheduleOf(name)}/runs?limit=${Math.min(limit, PAGE)}`)).items,
    previewSchedule: async (timing, options) => (await post("/schedules/preview", snakeCase({ ...timing, ...options }))).items,
    enableSchedule: async (name) => (await post(`${scheduleOf(name)}/enable`)).next_at,
    disableSchedule: async (name) => {
      const { is_enabled } = await get(scheduleOf(name));
      await post(`${scheduleOf(name)}/disable`);
      return is_enabled;
    },
    runSchedule: async (name) => (await post(`${scheduleOf(name)}/run`)).id,
    unschedule: async (name) => void (await ask("DELETE", scheduleOf(name))),
    startWorkflow: async (name, steps, options) => (await post("/workflows", { ...snakeCase(options), name, steps })).id,
    listWorkflows: async ({ before, ...filter }) => {
      const cursor = before === undefined ? undefined : Buffer.from(`workflows:${before}`).toString("base64url");
      return (await get(`/workflows?${queryOf({ ...filter, cursor })}`)).items;
    },
    getWorkflow: (id) => get(`/workflows/${assertWorkflowId(id)}`),
    cancelWorkflow: async (id, reason) => (await post(`/workflows/${assertWorkflowId(id)}/cancel`, { reason })).state,
    retryWorkflow: async (id, { deadline, fromStep }) =>
      void (await post(`/workflows/${assertWorkflowId(id)}/retry`, { deadline, from_step: fromStep })),
    enqueueBatch: async (jobs, options) =>
      (await post("/batches", { ...snakeCase(options), callback: options.callback, jobs })).id,
    listBatches: async ({ before, ...filter }) => {
      const cursor = before === undefined ? undefined : Buffer.from(`batches:${before}`).toString("base64url");
      return (await get(`/batches?${queryOf({ ...filter, cursor })}`)).items;
    },
    getBatch: async (id) => await get(`/batches/${assertBatchId(id)}`),
    readOverview: () => get("/stats"),
    diagnose: () => all("/doctor"),
  };

  async function resume(path: string): Promise<boolean> {
    const { paused_at } = await get(path);
    await post(`${path}/resume`);
    return paused_at !== null;
  }
}

/** What is given of a query's fields. */
function queryOf(fields: object): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(fields as Record<string, string | number | Date | undefined>)) {
    if (value !== undefined) query.set(name, value instanceof Date ? value.toISOString() : String(value));
  }
  return query.toString();
}

async function request(url: string, token: string | undefined, method: string, path: string, body: unknown): Promise<Answer> {
  if (token === undefined || token === "") {
    throw new LegworkError("LW401", `A token for ${url} is needed.`, {
      hint: "Set LEGWORK_TOKEN; `legwork token create` makes one, `legwork up` writes its own to ready.json.",
    });
  }
  let response: Response;
  let text: string;
  try {
    response = await fetch(new URL(`/api/v1${path}`, url), {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    });
    text = await response.text();
  } catch (error) {
    const { cause, message } = toError(error);
    throw new LegworkError(
      "LW503",
      `The server at ${url} does not answer: ${cause instanceof Error ? cause.message : message}.`,
      {
        hint: "Start it with `legwork server`, or correct LEGWORK_URL.",
        cause: error,
      },
    );
  }
  if (!/^application\/(problem\+)?json/.test(response.headers.get("content-type") ?? "")) {
    throw new LegworkError("LW503", `What answers at ${url} is no Legwork server (status ${response.status}).`, {
      hint: "Correct LEGWORK_URL: the address alone, such as http://127.0.0.1:4400.",
    });
  }
  const answer: Answer = withDates(parseExactly(text));
  if (response.ok) return answer;
  const code = isErrorCode(answer.code) ? answer.code : "LW500";
  throw new LegworkError(code, answer.detail ?? answer.message ?? `status ${response.status}`, {
    hint: answer.hint,
    // What stands between backticks is a request, in place of which there is a command.
    action: answer.hint?.includes("`") === true ? readAction(answer.action) : undefined,
    retryAt: answer.retry_at,
  });
}

/** What is the user's own and not ours to read. */
const OPAQUE: ReadonlySet<string> = new Set([
  "payload",
  "result",
  "fields",
  "detail",
  "before",
  "after",
  "payload_schema",
  "result_schema",
]);

/** The names of points in time. */
const TIMES = /^(\w+_at|at|oldest|deadline|upcoming)$/;

/** Points in time are Dates, as the database's client reads them. */
function withDates(value: unknown, name = ""): unknown {
  if (OPAQUE.has(name)) return value;
  if (Array.isArray(value)) return value.map((item) => withDates(item, name));
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withDates(inner, key)]));
  }
  // A job that never starts.
  if (name === "run_at" && value === null) return new UnboundedTime("infinity");
  if (typeof value !== "string" || !TIMES.test(name)) return value;
  if (/^(\d{4}|[+-]\d{6})-\d\d-\d\dT[\d:.]+Z$/.test(value)) return new Date(value);
  return /^(-infinity|\d{5,6}-\d\d-\d\dT\S+)$/.test(value) ? new UnboundedTime(value) : value;
}

/** Options of TypeScript under the names they have in SQL and over HTTP. */
function snakeCase(options: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(options).map(([name, value]) => [name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value]),
  );
}
