import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { enqueueOn } from "legwork";
import { disableSchedule, limitConcurrency, schedule, setAlertRule, setRetryPolicy } from "legwork/operations";
import { Client, Pool } from "pg";
import { type DocumentsConfig, documentsConfig, retryPolicy } from "./config.ts";
import { createDocumentsServer } from "./server.ts";

export interface Documents {
  /** The base URL of the routes; undefined without DOCUMENTS_PORT. */
  readonly url: string | undefined;
  stop(): Promise<void>;
}

/**
 * Creates the example's tables, sample and jobs if they are missing, as set in the environment, and serves its routes at DOCUMENTS_PORT, if set. Safe to
 * call at every start and from several processes. If a variable is invalid, throws an error that names it, before anything is changed.
 */
export async function startDocuments(databaseUrl: string, environment: NodeJS.ProcessEnv = process.env): Promise<Documents> {
  const config = documentsConfig(environment);
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query("begin");
    // Two simultaneous starts would otherwise both try to create the schema.
    await client.query("select pg_advisory_xact_lock(hashtext('examples/documents'))");
    const { rows } = await client.query("select to_regclass('documents.documents') is null as is_new");
    await runFile(client, "sql/001_documents.sql");
    // Only once, so that a deleted sample does not come back.
    if (rows[0].is_new === true) await runFile(client, "sql/002_sample.sql");
    await makeRules(client, config);
    await makeSchedules(client, config);
    await client.query("commit");
  } finally {
    await client.end();
  }
  const { DOCUMENTS_PORT: port } = config;
  if (port === undefined) return { url: undefined, stop: async () => {} };
  const pool = new Pool({ connectionString: databaseUrl, max: 5, allowExitOnIdle: true });
  // If the server closes a connection, the pool opens another when needed.
  pool.on("error", () => {});
  const app = createDocumentsServer(pool);
  await app.ready();
  app.server.listen(port, "127.0.0.1");
  await once(app.server, "listening");
  return {
    url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`,
    stop: async () => {
      await app.close();
      await pool.end();
    },
  };
}

async function runFile(client: Client, path: string): Promise<void> {
  await client.query(await readFile(new URL(path, import.meta.url), "utf8"));
}

async function makeRules(client: Client, config: DocumentsConfig): Promise<void> {
  await limitConcurrency(client, config.BG_JOBS_MAX_CONCURRENT, { queue: "documents" });
  await setRetryPolicy(client, retryPolicy(config), { queue: "documents" });
  await setRetryPolicy(client, retryPolicy(config), { queue: "documents-index" });
  // A weekly job that has failed twice has not succeeded for two weeks, so this rule alerts earlier than the rule for all tasks.
  await setAlertRule(client, "documents_refresh", {
    kind: "consecutive_failures",
    target: "documents/refresh",
    warning: 1,
    critical: 2,
  });
  // With a vector store, every change in the table enqueues a job in the same transaction. Without one, no jobs are enqueued.
  if (config.CTX7_WEAVIATE_URL === undefined) {
    await client.query("select legwork.stop_enqueue_on('documents.documents', 'documents/index')");
  } else {
    await enqueueOn(client, "documents.documents", ["insert", "update", "delete"], "documents/index", {
      payload: { documentId: "id" },
      columns: ["content"],
      serialKey: "document",
    });
  }
}

/** Creates the app's schedules. Repeating this changes nothing: a disabled schedule stays disabled. */
async function makeSchedules(client: Client, config: DocumentsConfig): Promise<void> {
  const timezone = config.BG_JOBS_TIMEZONE;
  await schedule(client, "documents/daily-ttl-cleanup", "retention/expire", {
    ...config.BG_JOBS_CLEANUP_SCHEDULE,
    timezone,
    overlap: "skip",
    payload: {
      table: "documents.documents",
      expiryColumn: "expires_at",
      batchSize: config.CTX7_TTL_CLEANUP_BATCH_SIZE,
      rate: { rows: config.CTX7_CLEANUP_ROWS_PER_SECOND, per: "1s" },
      groups: {
        column: "workspace_id",
        atOnce: config.CTX7_MAX_CONCURRENT_WORKSPACE_JOBS,
        except: config.CTX7_EXCLUDED_WORKSPACES,
        where: { table: "documents.workspaces", equals: { is_active: true } },
      },
    },
  });
  await schedule(client, "documents/weekly-document-refresh", "documents/refresh", {
    ...config.BG_JOBS_REFRESH_SCHEDULE,
    timezone,
    overlap: "skip",
    payload: { withinDays: config.CTX7_REFRESH_THRESHOLD_DAYS, batchSize: config.CTX7_REFRESH_BATCH_SIZE },
    ...(config.BG_JOBS_REFRESH_AFTER_CLEANUP ? { requires: { "documents/daily-ttl-cleanup": "24h" }, requiresWait: "3h" } : {}),
  });
  const weaviate = config.CTX7_WEAVIATE_URL?.replace(/\/+$/, "");
  await schedule(client, "documents/health-check", "health/probe", {
    ...config.BG_JOBS_HEALTH_SCHEDULE,
    timezone,
    overlap: "skip",
    payload: {
      database: true,
      view: "documents.workspace_health",
      http: [
        ...(weaviate === undefined ? [] : [{ name: "weaviate", url: `${weaviate}/v1/.well-known/ready` }]),
        ...config.CTX7_PROBES.map((address) => ({ url: address })),
      ],
    },
  });
  if (config.BG_JOBS_ENABLED) return;
  for (const name of ["daily-ttl-cleanup", "weekly-document-refresh", "health-check"])
    await disableSchedule(client, `documents/${name}`);
}
