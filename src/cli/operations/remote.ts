import { readAction } from "../../action.ts";
import { z } from "zod";
import {
  acknowledgedSchema,
  alertPage,
  alertRulePage,
  endedSilenceSchema,
  healthPage,
  startedSilenceSchema,
  taskStatisticsPage,
} from "../../contract/alerts.ts";
import {
  bulkActionPage,
  bulkActionSchema,
  bulkPreviewSchema,
  startedBulkActionSchema,
  stoppedBulkActionSchema,
} from "../../contract/bulk-actions.ts";
import { bulkSchema, failedGroupPage } from "../../contract/bulk.ts";
import {
  createdSchema,
  doneSchema,
  enqueuedSchema,
  jobCountPage,
  jobPage,
  jobResultSchema,
  jobWithAttemptsSchema,
  logPage,
  prioritySchema,
  reasonPage,
  rerunSchema,
  signalSchema,
  stepPage,
} from "../../contract/jobs.ts";
import { problemSchema } from "../../contract/problem.ts";
import { type Limit, queuePage, queueSchema, taskPage, taskSchema, workerPage, workerSchema } from "../../contract/queues.ts";
import { type Answer, parseAnswer } from "../../contract/rows.ts";
import { previewPage, removedScheduleSchema, schedulePage, scheduleRunPage, scheduleSchema } from "../../contract/schedules.ts";
import { timelinePage } from "../../contract/timeline.ts";
import { auditPage, findingPage, overviewSchema } from "../../contract/system.ts";
import { createdTokenSchema, revokedTokenSchema, tokenPage } from "../../contract/tokens.ts";
import {
  batchPage,
  batchSchema,
  startedBatchSchema,
  startedWorkflowSchema,
  workflowPage,
  workflowWithStepsSchema,
} from "../../contract/workflows.ts";
import { assertId } from "../../bounds.ts";
import { isErrorCode, LegworkError, toError } from "../../errors.ts";
import type { Reason } from "../../jobs/explain-job.ts";
import type { LimitTarget } from "../../queues/limits.ts";
import { inCommands } from "../command-wording.ts";
import type { Operations } from "./operations.ts";
import { parseExactly } from "../../json.ts";
import { understandEachOther, VERSION } from "../../version.ts";

/** Items to request per page. */
const PAGE = 500;
/** How often the progress of a bulk action is read (ms). */
const POLL_MS = 500;
/** How long one request waits for the end of a job (ms). */
const REQUEST_WAIT_MS = 30_000;
/** The maximum number of jobs that one request changes. */
const CHUNK = 1_000;
/** The maximum number of jobs that one command changes, the same as without a server. */
const MAX_CHANGED = 10_000;

/** A list or one of its pages. */
type Page<Item extends z.ZodType> = z.ZodObject<{ items: z.ZodArray<Item>; nextCursor: z.ZodType<string | null> }>;

/**
 * The commands' operations through the server at `url`. Throws the server's errors, with the same codes as without a server; LW503 when the server
 * does not respond; LW401 without a token.
 */
export function remoteOperations(url: string, token: string | undefined): Operations {
  async function ask<S extends z.ZodType>(answer: S, method: string, path: string, body?: unknown): Promise<Answer<S>> {
    return parseAnswer(answer, await request(url, token, method, path, body));
  }
  const get = async <S extends z.ZodType>(answer: S, path: string): Promise<Answer<S>> => await ask(answer, "GET", path);
  const post = async <S extends z.ZodType>(answer: S, path: string, body?: unknown): Promise<Answer<S>> =>
    await ask(answer, "POST", path, body);
  const put = async <S extends z.ZodType>(answer: S, path: string, body?: unknown): Promise<Answer<S>> =>
    await ask(answer, "PUT", path, body);
  const all = async <Item extends z.ZodType>(page: Page<Item>, path: string): Promise<Answer<Item>[]> => {
    const items: Answer<Item>[] = [];
    for (let cursor = ""; ;) {
      const { items: some, nextCursor } = await get(page, `${path}${cursor}`);
      items.push(...some);
      if (nextCursor === null) return items;
      cursor = `${path.includes("?") ? "&" : "?"}cursor=${nextCursor}`;
    }
  };
  const job = (id: string): string => `/jobs/${assertId("job", id)}`;
  const bulkAction = (id: string): string => `/bulk-actions/${assertId("bulk action", id)}`;
  const scheduleOf = (name: string): string => `/schedules/${encodeURIComponent(name)}`;
  const where = (target: LimitTarget): string =>
    target.queue === undefined ? `/tasks/${encodeURIComponent(target.task)}` : `/queues/${encodeURIComponent(target.queue)}`;
  const explain = async (path: string): Promise<Reason[]> => inCommands((await get(reasonPage, `${path}/explain`)).items);

  /** Sends a request per chunk until no job is left. */
  const many = async (path: string, body: object, preview: boolean): Promise<string[]> => {
    const ids: string[] = [];
    for (;;) {
      const chunk = await post(bulkSchema, path, { ...body, dryRun: preview, atMost: preview ? MAX_CHANGED : CHUNK });
      ids.push(...chunk.ids);
      if (preview || chunk.left === 0 || chunk.changed === 0 || ids.length >= MAX_CHANGED) return ids;
    }
  };
  const limitsOf = async (target: LimitTarget): Promise<Limit[]> =>
    (target.queue === undefined ? await get(taskSchema, where(target)) : await get(queueSchema, where(target))).limits ?? [];
  const queueOf = (name: string): string => `/queues/${encodeURIComponent(name)}`;
  const workerOf = (worker: string): string => `/workers/${encodeURIComponent(worker)}`;
  const taskOf = (name: string): string => `/tasks/${encodeURIComponent(name)}`;

  return {
    enqueue: async (task, payload, options) => (await post(createdSchema, "/jobs", { ...options, task, payload })).id,
    enqueueWithOutcome: (task, payload, options) => post(enqueuedSchema, "/jobs", { ...options, task, payload }),
    listJobs: async ({ limit, ...filter }) => {
      const jobs: Answer<typeof jobPage>["items"] = [];
      for (let cursor: string | undefined; ;) {
        const { items, nextCursor } = await get(jobPage, `/jobs?${queryOf({ ...filter, limit: limit - jobs.length, cursor })}`);
        jobs.push(...items);
        // A page of large jobs may be shorter than requested. A search in payloads ends on its own.
        if (nextCursor === null || jobs.length >= limit || filter.payload !== undefined) return jobs;
        cursor = nextCursor;
      }
    },
    countJobs: async (filter, by) => (await get(jobCountPage, `/job-counts?${queryOf({ ...filter, by })}`)).items,
    // The links are the server's setting, which the command line does not print.
    getJob: async (id) => {
      const { links: _links, ...found } = await get(jobWithAttemptsSchema, job(id));
      return found;
    },
    awaitJob: async (id, timeout) => {
      for (const until = Date.now() + timeout; ;) {
        const wait = Math.max(0, Math.min(until - Date.now(), REQUEST_WAIT_MS));
        const result = await get(jobResultSchema, `${job(id)}/result?wait=${wait}ms`);
        if (result.finishedAt !== null || Date.now() >= until) return result;
      }
    },
    listSteps: (id) => all(stepPage, `${job(id)}/steps`),
    readTimeline: async (id) => (await get(timelinePage, `${job(id)}/timeline`)).items,
    lastLogs: async (id, limit) => (await all(logPage, `${job(id)}/logs?limit=${PAGE}`)).slice(-limit),
    logsAfter: async (id, after) => (await get(logPage, `${job(id)}/logs?${queryOf({ limit: PAGE, after })}`)).items,
    explainJob: (id) => explain(job(id)),
    explainSchedule: (name) => explain(scheduleOf(name)),
    explainWorkflow: (id) => explain(`/workflows/${assertId("workflow", id)}`),
    explainQueue: (name) => explain(queueOf(name)),
    explainWorker: (id) => explain(`/workers/${encodeURIComponent(id)}`),
    cancelJob: async (id, reason) => (await post(doneSchema, `${job(id)}/cancel`, { reason })).state,
    cancelJobs: (filter, { reason, preview }) => many("/jobs/cancel", { filter, reason }, preview),
    retryJob: async (id) => (await post(doneSchema, `${job(id)}/retry`)).state,
    retryJobs: (filter, { preview }) => many("/jobs/retry", { filter }, preview),
    discardJob: async (id) => void (await post(doneSchema, `${job(id)}/discard`)),
    discardJobs: (filter, { preview }) => many("/jobs/discard", { filter }, preview),
    previewBulkAction: (action, filter, options) =>
      post(bulkPreviewSchema, "/bulk-actions/preview", { action, filter, ...options }),
    startBulkAction: async (action, filter, options) =>
      (await post(startedBulkActionSchema, "/bulk-actions", { action, filter, ...options })).id,
    advanceBulkAction: async () => POLL_MS,
    getBulkAction: (id) => get(bulkActionSchema, bulkAction(id)),
    listBulkActions: async ({ limit }) => (await get(bulkActionPage, `/bulk-actions?limit=${limit}`)).items,
    stopBulkAction: async (id) => (await post(stoppedBulkActionSchema, `${bulkAction(id)}/stop`)).state,
    rerunJob: async (id, options) => (await post(rerunSchema, `${job(id)}/rerun`, options)).id,
    setPriority: async (id, priority) => (await put(prioritySchema, `${job(id)}/priority`, { priority })).was,
    listFailedGroups: async (filter) => (await get(failedGroupPage, `/failed-groups?${queryOf(filter)}`)).items,
    listQueues: () => all(queuePage, "/queues"),
    listTasks: () => all(taskPage, `/tasks?limit=${PAGE}`),
    listWorkers: () => all(workerPage, "/workers"),
    quietWorker: async (worker) => void (await post(workerSchema, `${workerOf(worker)}/quiet`)),
    drainWorker: async (worker) => void (await post(workerSchema, `${workerOf(worker)}/drain`)),
    resumeWorker: async (worker) => {
      const { state } = await get(workerSchema, workerOf(worker));
      await post(workerSchema, `${workerOf(worker)}/resume`);
      return state !== "active";
    },
    limitConcurrency: async (max, target) =>
      void (await put(z.unknown(), `${where(target)}/limits`, { kind: "concurrency", max, key: target.key })),
    limitRate: async (max, per, target) =>
      void (await put(z.unknown(), `${where(target)}/limits`, { kind: "rate", max, per, key: target.key })),
    dropLimit: async (kind, target) => {
      const limits = await limitsOf(target);
      await ask(z.unknown(), "DELETE", `${where(target)}/limits/${kind}?${queryOf({ key: target.key })}`);
      return limits.some((limit) => limit.kind === kind && limit.key === target.key);
    },
    resetLimits: async (task) => void (await post(taskSchema, `${taskOf(task)}/limits/reset`)),
    pauseQueue: async (queue, reason) => void (await post(queueSchema, `${queueOf(queue)}/pause`, { reason })),
    resumeQueue: async (queue) => {
      const { pausedAt } = await get(queueSchema, queueOf(queue));
      await post(queueSchema, `${queueOf(queue)}/resume`);
      return pausedAt !== null;
    },
    pauseTask: async (task, reason) => void (await post(taskSchema, `${taskOf(task)}/pause`, { reason })),
    resumeTask: async (task) => {
      const { pausedAt } = await get(taskSchema, taskOf(task));
      await post(taskSchema, `${taskOf(task)}/resume`);
      return pausedAt !== null;
    },
    emergencyStop: async (reason) => void (await post(overviewSchema, "/emergency-stop", { reason })),
    resumeAll: async () => {
      const { stoppedAt } = await get(overviewSchema, "/overview");
      await post(overviewSchema, "/resume-all");
      return stoppedAt !== null;
    },
    sendSignal: async (id, name, payload) =>
      (await post(signalSchema, `${job(id)}/signals/${encodeURIComponent(name)}`, { payload })).counts,
    schedule: (name, task, options) => put(scheduleSchema, scheduleOf(name), { ...options, task }),
    getSchedule: (name) => get(scheduleSchema, scheduleOf(name)),
    listSchedules: async ({ tenant }) =>
      (await all(schedulePage, "/schedules?limit=500")).filter((schedule) => tenant === undefined || schedule.tenant === tenant),
    listScheduleRuns: async (name, { limit }) =>
      (await get(scheduleRunPage, `${scheduleOf(name)}/runs?limit=${Math.min(limit, PAGE)}`)).items,
    previewSchedule: async (timing, options) => (await post(previewPage, "/schedules/preview", { ...timing, ...options })).items,
    enableSchedule: async (name) => (await post(scheduleSchema, `${scheduleOf(name)}/enable`)).nextAt,
    disableSchedule: async (name) => {
      const { isEnabled } = await get(scheduleSchema, scheduleOf(name));
      await post(scheduleSchema, `${scheduleOf(name)}/disable`);
      return isEnabled;
    },
    runSchedule: async (name) => (await post(createdSchema, `${scheduleOf(name)}/run`)).id,
    unschedule: async (name) => void (await ask(removedScheduleSchema, "DELETE", scheduleOf(name))),
    startWorkflow: async (name, steps, options) =>
      (await post(startedWorkflowSchema, "/workflows", { ...options, name, steps })).id,
    listWorkflows: async (filter) => (await get(workflowPage, `/workflows?${queryOf(filter)}`)).items,
    getWorkflow: (id) => get(workflowWithStepsSchema, `/workflows/${assertId("workflow", id)}`),
    cancelWorkflow: async (id, reason) =>
      (await post(workflowWithStepsSchema, `/workflows/${assertId("workflow", id)}/cancel`, { reason })).state === "cancelled"
        ? "cancelled"
        : "cancelling",
    retryWorkflow: async (id, options) =>
      void (await post(workflowWithStepsSchema, `/workflows/${assertId("workflow", id)}/retry`, options)),
    enqueueBatch: async (jobs, options) => (await post(startedBatchSchema, "/batches", { ...options, jobs })).id,
    listBatches: async (filter) => (await get(batchPage, `/batches?${queryOf(filter)}`)).items,
    getBatch: async (id) => await get(batchSchema, `/batches/${assertId("batch", id)}`),
    readTaskStatistics: (period) => all(taskStatisticsPage, `/task-statistics?${queryOf({ period })}`),
    readHealth: () => all(healthPage, "/health"),
    listAlerts: async ({ all: isAll }) => (await get(alertPage, `/alerts?${queryOf({ all: isAll, limit: 100 })}`)).items,
    listAlertRules: () => all(alertRulePage, "/alert-rules"),
    acknowledgeAlert: async (id, { note }) => void (await post(acknowledgedSchema, `/alerts/${id}/acknowledge`, { note })),
    silenceAlerts: async (duration, options) => (await post(startedSilenceSchema, "/silences", { duration, ...options })).id,
    endSilence: async (id) => (await post(endedSilenceSchema, `/silences/${id}/end`)).ended,
    listAuditLog: async (filter) => (await get(auditPage, `/audit-log?${queryOf(filter)}`)).items,
    createToken: async (options) => (await post(createdTokenSchema, "/tokens", options)).token,
    listTokens: () => all(tokenPage, "/tokens"),
    revokeToken: async (id) => (await post(revokedTokenSchema, `/tokens/${id}/revoke`)).revoked,
    readOverview: () => get(overviewSchema, "/overview"),
    readInstallation: async () => ({ versions: {}, settings: {} }),
    diagnose: () => all(findingPage, "/doctor"),
  };
}

/** A query string of the fields that are set. */
function queryOf(fields: object): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(fields as Record<string, string | number | boolean | Date | undefined>)) {
    if (value !== undefined) query.set(name, value instanceof Date ? value.toISOString() : String(value));
  }
  return query.toString();
}

async function request(url: string, token: string | undefined, method: string, path: string, body: unknown): Promise<unknown> {
  if (token === undefined || token === "") {
    throw new LegworkError("LW401", `The server at ${url} requires a token.`, {
      hint: "Set LEGWORK_TOKEN. `legwork token create` creates a token, and `legwork up` writes its own to ready.json.",
    });
  }
  let response: Response;
  let text: string;
  try {
    response = await fetch(`${url.replace(/\/+$/, "")}/api/v1${path}`, {
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
      `The server at ${url} does not respond: ${cause instanceof Error ? cause.message : message}.`,
      {
        hint: "Start it with `legwork server`, or correct LEGWORK_URL.",
        cause: error,
      },
    );
  }
  if (!/^application\/(problem\+)?json/.test(response.headers.get("content-type") ?? "")) {
    throw new LegworkError("LW503", `The server at ${url} is not a Legwork server (status ${response.status}).`, {
      hint: "Correct LEGWORK_URL. It must be a URL without a path, such as http://127.0.0.1:4400.",
    });
  }
  assertVersion(url, response.headers.get("legwork-version"));
  const answer = parseExactly(text);
  if (response.ok) return answer;
  const problem = parseAnswer(problemSchema, answer) as Partial<Answer<typeof problemSchema>> & { message?: string };
  throw new LegworkError(
    isErrorCode(problem.code) ? problem.code : "LW500",
    problem.detail ?? problem.message ?? `status ${response.status}`,
    {
      hint: hintOf(problem),
      // Text in backticks is a request, which is replaced by a command.
      action: problem.hint?.includes("`") === true ? readAction(problem.action) : undefined,
      retryAt: problem.retryAt,
    },
  );
}

/** The hint of a server's error. Undefined if it describes requests, because users of commands do not write requests. */
function hintOf({ code, hint }: { code?: string; hint?: string }): string | undefined {
  if (code === "LW401")
    return "Set LEGWORK_TOKEN to a valid one. `legwork token create` creates a token; `legwork up` writes its own to ready.json.";
  return hint?.startsWith("GET /docs") === true ? undefined : hint;
}

/** Throws LW518 for a server whose responses this version may not understand. A server that does not report its version is accepted. */
function assertVersion(url: string, version: string | null): void {
  if (version === null || understandEachOther(VERSION, version)) return;
  throw new LegworkError("LW518", `The server at ${url} runs Legwork ${version}, but this command is version ${VERSION}.`, {
    hint: `Use the same version: npx legwork@${version}.`,
  });
}
