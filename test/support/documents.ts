import { createHash } from "node:crypto";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished } from "vitest";
import { type Documents, startDocuments } from "../../examples/documents/start.ts";
import type { Worker } from "../../src/worker/worker.ts";
import { type TestDatabase, testDatabase } from "./database.ts";
import { configure, TASKS } from "./job.ts";
import { makeToken } from "./rest.ts";
import { until } from "./until.ts";
import { workerOver } from "./worker.ts";

export const ROOT = resolve(import.meta.dirname, "../..");

/** The tasks that the app runs: the standard library and the app's own tasks. */
export const DOCUMENTS_TASKS = [TASKS, join(ROOT, "examples/documents/tasks")];

const OWN = ["documents/daily-ttl-cleanup", "documents/health-check", "documents/weekly-document-refresh"];

export interface Answer {
  status: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- each route has its own
  body: any;
}

interface NewDocument {
  kind?: string;
  quality?: number;
  content?: string;
  checksum?: string;
  etag?: string;
  /** How long from now the document expires. The default is three days. */
  expires?: string;
}

/**
 * Starts the documents example before each test, without any settings or workspaces, and with its three jobs disabled, so that none of them becomes
 * due. The test itself must start a worker.
 */
export function documentsApp() {
  const database: TestDatabase = testDatabase();
  let app: Documents;
  let operator: string;

  // oxlint-disable-next-line typescript/no-explicit-any -- rows of every query
  async function select(text: string, ...values: unknown[]): Promise<any[]> {
    return (await database.pool.query(text, values)).rows;
  }

  /** Ends every job, and discards the failed ones. */
  async function clear(): Promise<void> {
    await select(
      "select graphile_worker.permanently_fail_jobs(array(select id from legwork.jobs where finished_at is null), 'The test is over.')",
    );
    await select("select legwork.discard_jobs('{}')");
  }

  beforeEach(async () => {
    configure({ LEGWORK_ALLOWED_ADDRESSES: "127.0.0.1" });
    app = await startDocuments(database.url, { DOCUMENTS_PORT: "0" });
    await clear();
    await select("delete from documents.workspaces");
    await select(
      "select legwork.unschedule(name) from legwork.schedules where name like 'documents/%' and name <> all ($1)",
      OWN,
    );
    await select("select legwork.disable_schedule(name) from unnest($1::text[]) as name", OWN);
    operator = await makeToken(database, "operator");
  });
  afterEach(() => app.stop());

  async function ask(method: string, path: string, body?: unknown, token: string = operator): Promise<Answer> {
    const response = await fetch(`${app.url}/api/v1/background-jobs${path}`, {
      method,
      headers: {
        ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
  }

  return {
    database,
    select,
    clear,
    ask,

    /** Restarts the app with other settings, as another process would. */
    restart: (environment: NodeJS.ProcessEnv): Promise<Documents> => startDocuments(database.url, environment),

    worker: (): Promise<Worker> => workerOver(database.url, DOCUMENTS_TASKS),

    /** Runs a job of the app manually. Resolves to the id of its execution. */
    execute: async (jobId: string): Promise<string> => {
      const { status, body } = await ask("POST", `/jobs/${jobId}/execute`);
      expect(status).toBe(202);
      return body.execution_id as string;
    },

    /** Enqueues a job for one document. Resolves to its id. */
    refresh: async (documentId: string): Promise<string> => {
      const payload = JSON.stringify({ documentId });
      return (await select("select legwork.enqueue('documents/refresh_document', $1) as id", payload))[0].id;
    },

    /** Waits until a job has ended. Resolves to its row. */
    // oxlint-disable-next-line typescript/no-explicit-any -- results of every task
    ended: async (id: string): Promise<any> => {
      return await until(`job ${id} has ended`, async () => {
        const [job] = await select("select * from legwork.jobs where id = $1 and finished_at is not null", id);
        return job;
      });
    },

    addDocument: async (workspace: string, url: string, columns: NewDocument = {}): Promise<string> => {
      await select("insert into documents.workspaces (id) values ($1) on conflict do nothing", workspace);
      const { kind = "reference", quality = 0.5, content, checksum, etag, expires = "3 days" } = columns;
      const [row] = await select(
        `insert into documents.documents (workspace_id, source_url, kind, quality, content, checksum, etag, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, now() + $8::interval) returning id`,
        workspace,
        url,
        kind,
        quality,
        content,
        checksum,
        etag,
        expires,
      );
      return row.id;
    },

    /** Adds this many expired documents to each of the workspaces. */
    addExpired: async (workspaces: string[], count: number): Promise<void> => {
      await select("insert into documents.workspaces (id) select unnest($1::text[])", workspaces);
      await select(
        `insert into documents.documents (workspace_id, source_url, expires_at)
         select w, 'https://example.org/' || n, now() - interval '1 hour' from unnest($1::text[]) w, generate_series(1, $2) n`,
        workspaces,
        count,
      );
    },

    /** Adds a trigger to the table of documents until the test has finished. */
    trigger: async (when: string, body: string): Promise<void> => {
      await select(`create or replace function documents.tested() returns trigger language plpgsql as $$ begin ${body} end $$`);
      await select(`create trigger tested ${when} execute function documents.tested()`);
      onTestFinished(async () => void (await select("drop trigger tested on documents.documents")));
    },
  };
}

export const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
