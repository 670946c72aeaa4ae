import { defineTask } from "legwork";
import { z } from "zod";
import { type Refreshed, refreshDocument } from "../../lib/refresh.ts";

/** How many documents of a batch are fetched at the same time. The limit prevents a batch from overloading a source. */
const AT_ONCE = 5;

export default defineTask({
  description:
    "Refreshes documents that expire soon, the best first, in batches. Each document that fails is retried by its own job.",
  queue: "documents",
  payload: z.strictObject({
    withinDays: z.int().min(1).max(365).default(7).describe("Refreshes documents that expire within this many days."),
    batchSize: z.int().min(1).max(1_000).default(20),
  }),
  result: z.strictObject({
    found: z.int(),
    batches: z.int(),
    changed: z.int().describe("How many documents have changed."),
    unchanged: z.int().describe("How many documents have not changed."),
    failed: z.int().describe("How many documents could not be fetched. Each now has its own job, which is retried."),
    successRate: z.number().describe("The share of documents that did not fail, in percent."),
  }),
  timeout: "6h",
  async run({ withinDays, batchSize }, { sql, job, log, signal, progress, enqueue }) {
    const startedAt = performance.now();
    const since = (from: number): number => Math.round(performance.now() - from);
    const rows = await sql<{ id: string }>`
      select d.id from documents.documents d join documents.workspaces w on w.id = d.workspace_id
      where w.is_active and d.expires_at > now() and d.expires_at <= now() + make_interval(days => ${withinDays})
      order by d.quality desc, d.expires_at, d.id`;
    const ids = rows.map(({ id }) => id);
    log.info(
      { event: "document_refresh_job_start", found: ids.length, withinDays, batchSize },
      "Found the documents that expire soon.",
    );
    const counts = { changed: 0, unchanged: 0, failed: 0, gone: 0 };
    let batches = 0;
    for (let from = 0; from < ids.length; from += batchSize) {
      const batchStartedAt = performance.now();
      const before = { ...counts };
      const waiting = ids.slice(from, from + batchSize).values();
      const one = async (id: string): Promise<Refreshed | "failed"> => {
        try {
          return await refreshDocument({ sql, signal }, id);
        } catch (error) {
          signal.throwIfAborted();
          // The document gets its own job, which has its own retries and delays no other document. It is enqueued only once, no matter how many
          // attempts this job needs.
          await enqueue("documents/refresh_document", { documentId: id }, { uniqueFor: "6d", uniqueKey: `${job.id}:${id}` });
          log.warn(
            { event: "document_refresh_failed", documentId: id, reason: String(error) },
            "The document will be retried by its own job.",
          );
          return "failed";
        }
      };
      const runners = Array.from({ length: AT_ONCE }, async () => {
        for (const id of waiting) counts[await one(id)] += 1;
      });
      const outcomes = await Promise.allSettled(runners);
      for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
      batches += 1;
      const done = Math.min(from + batchSize, ids.length);
      progress({ percent: Math.floor((100 * done) / ids.length), message: `${done} of ${ids.length} documents` });
      log.info(
        {
          event: "document_refresh_batch_complete",
          batch: batches,
          changed: counts.changed - before.changed,
          unchanged: counts.unchanged - before.unchanged,
          failed: counts.failed - before.failed,
          durationMs: since(batchStartedAt),
        },
        "A batch of documents was refreshed.",
      );
    }
    const { changed, unchanged, failed } = counts;
    const tried = changed + unchanged + failed;
    const successRate = tried === 0 ? 100 : Math.round((1_000 * (tried - failed)) / tried) / 10;
    const result = { found: ids.length, batches, changed, unchanged, failed, successRate };
    log.info(
      { event: "document_refresh_job_complete", ...result, durationMs: since(startedAt) },
      "The documents were refreshed.",
    );
    return result;
  },
});
