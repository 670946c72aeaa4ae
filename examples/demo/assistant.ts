import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Queryable } from "legwork";
import { runSchedule } from "legwork/operations";
import { startAssistant } from "../assistant/start.ts";
import type { Work } from "./examples.ts";
import type { StandIns } from "./stand-ins.ts";

export async function settings(standIns: StandIns): Promise<Record<string, string>> {
  const backups = join(standIns.folder, "backups");
  await mkdir(backups, { mode: 0o700 });
  const provider = { model: "stub", quota: 40_000, period: "hour" };
  return {
    ASSISTANT_PROVIDERS: JSON.stringify(
      standIns.providers.map(({ url }, index) => ({ ...provider, name: ["one", "two"][index], url })),
    ),
    ASSISTANT_BACKUPS: backups,
    LEGWORK_ALLOWED_FOLDERS: backups,
    LEGWORK_REPORTS_FOLDER: standIns.reports,
  };
}

export const start = (databaseUrl: string): Promise<void> => startAssistant(databaseUrl);

export const work: readonly Work[] = [
  // Students' requests: within an hour, the first provider approaches its quota and causes a warning, and then the second one takes over.
  {
    every: 60,
    needs: ["ASSISTANT_PROVIDERS"],
    run: (client) =>
      client.query(
        `insert into assistant.ai_usage (provider, purpose, tokens, milliseconds, ok)
         select p.provider, 'chat', 1000, 400 + 800 * random(), true from assistant.providers p where p.active`,
      ),
  },
  {
    every: 110,
    run: async (client) => {
      await client.query(
        "insert into assistant.response_cache select 'question ' || gen_random_uuid(), '\"cached\"', now() - interval '1 minute' from generate_series(1, 20)",
      );
      if (await isThere(client)) await runSchedule(client, "cache-cleanup");
    },
  },
  // The nightly schedules, run manually in the order of their requirements.
  ...["usage-analysis", "backup", "profile-refresh"].map((name, index) => ({
    every: 900 + index * 60,
    needs: ["ASSISTANT_PROVIDERS", "LEGWORK_REPORTS_FOLDER", "LEGWORK_ALLOWED_FOLDERS"],
    run: (client: Queryable) => runSchedule(client, name),
  })),
];

/** Whether the schedules exist. Without providers, nothing is scheduled. */
async function isThere(client: Queryable): Promise<boolean> {
  const { rows } = await client.query("select from legwork.schedules where name = 'cache-cleanup'");
  return rows.length > 0;
}
