import { type Queryable } from "legwork";
import { runSchedule } from "legwork/operations";
import { startDocuments } from "../documents/start.ts";
import type { Work } from "./examples.ts";

export const start = (databaseUrl: string): Promise<unknown> => startDocuments(databaseUrl);

/** Replaces the sources' URLs with host names that do not exist, because the demo must not send requests to the internet. */
export async function first(client: Queryable): Promise<void> {
  await client.query(
    "update documents.documents set source_url = 'https://docs.example.invalid/' || id where source_url !~ '[.]invalid/'",
  );
}

export const work: readonly Work[] = [
  // Adds documents that expire soon. The cleanup is run manually, because the demo does not wait for the nightly schedule.
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
