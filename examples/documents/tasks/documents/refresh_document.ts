import { defineTask } from "legwork";
import { z } from "zod";
import { refreshDocument } from "../../lib/refresh.ts";

export default defineTask({
  description: "Refreshes one document. BG_JOBS_MAX_RETRIES and related settings control its retries.",
  queue: "documents",
  payload: z.strictObject({ documentId: z.uuid() }),
  result: z.strictObject({ outcome: z.enum(["changed", "unchanged", "gone"]) }),
  timeout: "1m",
  async run({ documentId }, { sql, signal, log }) {
    const startedAt = performance.now();
    const outcome = await refreshDocument({ sql, signal }, documentId);
    const durationMs = Math.round(performance.now() - startedAt);
    log.info({ event: "document_refreshed", documentId, outcome, durationMs }, "The document was refreshed.");
    return { outcome };
  },
});
