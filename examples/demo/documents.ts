import { type Queryable } from "legwork";
import { runSchedule } from "legwork/operations";
import { startDocuments } from "../documents/start.ts";
import type { Work } from "./examples.ts";

export const start = (databaseUrl: string): Promise<unknown> => startDocuments(databaseUrl);

/** Sources on the internet are not for a demonstration to ask: nobody answers to these names. */
export async function first(client: Queryable): Promise<void> {
  await client.query(
    "update documents.documents set source_url = 'https://docs.example.invalid/' || id where source_url !~ '[.]invalid/'",
  );
}

export const work: readonly Work[] = [
  // Documents come and expire; somebody does not wait for the night to clean up.
  {
    every: 45,
    run: (client) =>
      client.query(
        `insert into documents.documents (workspace_id, source_url, kind, quality, content, expires_at)
         select w.id, 'https://docs.example.invalid/' || gen_random_uuid(), 'news', random(), 'News of the day.', now() + interval '2 minutes'
         from documents.workspaces w, generate_series(1, 5)`,
      ),
  },
  { every: 300, run: (client) => runSchedule(client, "documents/daily-ttl-cleanup") },
];
