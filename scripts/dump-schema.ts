import { writeFile } from "node:fs/promises";
import { freshDatabase, withServer } from "../bench/server.ts";
import { migrate } from "../src/db/migrate.ts";
import { createPool } from "../src/db/pool.ts";
import { createLogger } from "../src/log.ts";
import { describeSchema } from "./describe-schema.ts";

const log = createLogger({ level: "warn" });
await withServer(async (serverUrl) => {
  const pool = createPool(await freshDatabase(serverUrl, "legwork_schema"), { log });
  try {
    await migrate(pool, log);
    await writeFile(new URL("../test/snapshots/schema.sql", import.meta.url), await describeSchema(pool));
  } finally {
    await pool.end();
  }
});
