import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { Client, Pool } from "pg";
import { z } from "zod";
import { scheduleAllActiveUsers } from "./jobs.ts";
import { createCalendarServer } from "./server.ts";

const environmentSchema = z.object({
  CALENDAR_PORT: z.coerce.number().int().min(0).max(65_535).optional(),
  CALENDAR_AUTO_SCHEDULE: z.enum(["true", "false"]).default("false"),
});

export interface Calendar {
  /** The base URL of the routes; undefined without CALENDAR_PORT. */
  readonly url: string | undefined;
  stop(): Promise<void>;
}

/**
 * Creates the example's tables and sample users if they are missing. With CALENDAR_AUTO_SCHEDULE=true, schedules every active user (daily at 23:59).
 * Serves the routes at CALENDAR_PORT, if set. Safe to call at every start and from several processes.
 */
export async function startCalendar(databaseUrl: string, environment: NodeJS.ProcessEnv = process.env): Promise<Calendar> {
  const settings = environmentSchema.safeParse(environment);
  if (!settings.success) {
    const issue = settings.error.issues[0];
    throw new Error(`${issue?.path.join(".")}: ${issue?.message}.`);
  }
  const { CALENDAR_PORT: port, CALENDAR_AUTO_SCHEDULE: auto } = settings.data;
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query("begin");
    // Two simultaneous starts would otherwise both try to create the schema.
    await client.query("select pg_advisory_xact_lock(hashtext('examples/calendar'))");
    for (const file of ["sql/001_calendar.sql", "sql/002_sample.sql"]) {
      await client.query(await readFile(new URL(file, import.meta.url), "utf8"));
    }
    if (auto === "true") await scheduleAllActiveUsers(client, { schedule_type: "daily", hour: 23, minute: 59 });
    await client.query("commit");
  } finally {
    await client.end();
  }
  if (port === undefined) return { url: undefined, stop: async () => {} };
  const pool = new Pool({ connectionString: databaseUrl, max: 5, allowExitOnIdle: true });
  // If the server closes a connection, the pool opens another when needed.
  pool.on("error", () => {});
  const app = createCalendarServer(pool);
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
