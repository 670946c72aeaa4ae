import { defineTask } from "legwork";
import { z } from "zod";
import { Weaviate } from "../../lib/weaviate.ts";

interface Document {
  workspace_id: string;
  source_url: string;
  content: string | null;
}

export default defineTask({
  description: "Brings the vector store up to date with a document's row: stores its content, or removes a deleted document.",
  queue: "documents-index",
  payload: z.strictObject({ documentId: z.uuid() }),
  result: z.strictObject({ indexed: z.boolean() }),
  timeout: "2m",
  /** Reads the current row, not the change that caused the job, so jobs may run twice or late. */
  async run({ documentId }, { sql, signal }) {
    const weaviate = new Weaviate(signal);
    const [document] =
      await sql<Document>`select workspace_id, source_url, content from documents.documents where id = ${documentId}`;
    const content = document?.content ?? null;
    if (document === undefined || content === null) await weaviate.remove(documentId);
    else await weaviate.put(documentId, { workspace: document.workspace_id, sourceUrl: document.source_url, content });
    return { indexed: content !== null };
  },
});
