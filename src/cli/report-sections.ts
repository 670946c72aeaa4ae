import { readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { createRequire } from "node:module";
import { arch, cpus, freemem, release, totalmem, type as systemType } from "node:os";
import { join } from "node:path";
import type { Config } from "../config.ts";
import { VERSION } from "../version.ts";
import type { Operations } from "./operations/operations.ts";

/** A part of the report: its heading and how it is read. */
export interface Section {
  readonly title: string;
  readonly read: () => unknown;
}

/** The number of log lines and of failed jobs in a report. */
const LINES = 200;
const FAILED = 10;
/** How much of the end of a log file a report includes (bytes). */
const LOG_BYTES = 200_000;

/** The sections about the whole system. `config` is undefined when a server is used. */
export function systemSections(operations: Operations, config: Config | undefined): Section[] {
  return [
    { title: "Versions", read: async () => ({ ...versions(), ...(await operations.readInstallation()).versions }) },
    { title: "Doctor", read: () => operations.diagnose() },
    { title: "Health", read: async () => (await operations.readHealth()).filter(({ status }) => status !== "healthy") },
    { title: "Open alerts", read: () => operations.listAlerts({ all: false }) },
    { title: "Overview", read: () => operations.readOverview() },
    { title: "Workers", read: () => operations.listWorkers() },
    { title: "Queues, with limits and pauses", read: () => operations.listQueues() },
    { title: "Tasks, with limits and pauses", read: async () => (await operations.listTasks()).map(withoutSchemas) },
    { title: "Schedules", read: () => operations.listSchedules({}) },
    { title: "Failed jobs by error", read: () => operations.listFailedGroups({}) },
    { title: `The last ${FAILED} failed jobs`, read: () => operations.listJobs({ state: "failed", limit: FAILED }) },
    { title: "Settings of this command", read: () => config ?? "Not available through a server." },
    { title: "Settings of the database", read: async () => (await operations.readInstallation()).settings },
  ];
}

/** The sections about one job. */
export function jobSections(operations: Operations, id: string): Section[] {
  return [
    { title: `Job ${id}: why it is not running`, read: () => operations.explainJob(id) },
    { title: `Job ${id}: its row and attempts`, read: () => operations.getJob(id) },
    { title: `Job ${id}: its steps`, read: () => operations.listSteps(id) },
    { title: `Job ${id}: its last ${LINES} log lines`, read: () => operations.lastLogs(id, LINES) },
  ];
}

/** The end of a log file, such as the file to which a worker's stderr is redirected. */
export function logSection(path: string): Section {
  return { title: `The end of ${path}`, read: () => tail(path) };
}

function versions(): Record<string, unknown> {
  return {
    legwork: VERSION,
    graphileWorker: versionOf("graphile-worker"),
    node: process.version,
    system: `${systemType()} ${release()} ${arch()}`,
    cpus: cpus().length,
    memory: { total: totalmem(), free: freemem() },
  };
}

/** The version of an installed package. */
function versionOf(name: string): string {
  const entry = createRequire(import.meta.url).resolve(name);
  return JSON.parse(readFileSync(join(entry.slice(0, entry.lastIndexOf(name) + name.length), "package.json"), "utf8")).version;
}

function withoutSchemas(task: { payloadSchema: unknown; resultSchema: unknown }): object {
  const { payloadSchema: _payload, resultSchema: _result, ...rest } = task;
  return rest;
}

async function tail(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - LOG_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
    const text = buffer.subarray(0, bytesRead).toString();
    // The first line is probably incomplete.
    return start === 0 ? text : text.slice(text.indexOf("\n") + 1);
  } finally {
    await file.close();
  }
}
