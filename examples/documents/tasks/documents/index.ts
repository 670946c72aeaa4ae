import { defineTask } from "legwork";
import { z } from "zod";
import { Weaviate } from "../../lib/weaviate.ts";

interface Document {
  workspace_id: string;
  source_url: string;
  content: string | null;
}

export default defineTask({
  description: "Makes the vector store know of a document what the table does: stores its content, or removes what is gone.",
  queue: "documents-index",
  payload: z.strictObject({ documentId: z.uuid() }),
  result: z.strictObject({ indexed: z.boolean() }),
  timeout: "2m",
  /** Looks at the row and not at what happened to it, so that jobs may come twice or late. */
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
