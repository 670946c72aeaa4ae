import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { enqueueOn } from "legwork";
import { disableSchedule, limitConcurrency, schedule, setAlertRule, setRetryPolicy } from "legwork/operations";
import { Client, Pool } from "pg";
import { type DocumentsConfig, documentsConfig, retryPolicy } from "./config.ts";
import { createDocumentsServer } from "./server.ts";

export interface Documents {
  /** Where its routes are; undefined without DOCUMENTS_PORT. */
  readonly url: string | undefined;
  stop(): Promise<void>;
}

/**
 * Makes the example's tables, sample and jobs where they are missing, by what the environment says, and serves its routes at DOCUMENTS_PORT. Safe to
 * call at every start and from several processes. Throws before it changes anything for an environment that is wrong, naming the variable.
 */
export async function startDocuments(databaseUrl: string, environment: NodeJS.ProcessEnv = process.env): Promise<Documents> {
  const config = documentsConfig(environment);
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query("begin");
    // Two starts at once would both find no schema and both make it.
    await client.query("select pg_advisory_xact_lock(hashtext('examples/documents'))");
    const { rows } = await client.query("select to_regclass('documents.documents') is null as is_new");
    await runFile(client, "sql/001_documents.sql");
    // Once: who has deleted the sample does not want it back.
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
  // A connection that the server closes is replaced by the next that is needed.
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
  // A weekly job that fails twice has been missing for a fortnight: earlier than the rule for every task.
  await setAlertRule(client, "documents_refresh", {
    kind: "consecutive_failures",
    target: "documents/refresh",
    warning: 1,
    critical: 2,
  });
  // With a vector store, what changes in the table reaches it by a job in the same transaction; without, nobody is to know.
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

/** The jobs of the app. Saying them again changes nothing: one that somebody has disabled stays so. */
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
