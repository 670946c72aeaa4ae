// Writes the generated parts of docs/reference/*.md: `npm run docs:reference`. test/reference.test.ts checks that the pages are up to date.
import { writeFile } from "node:fs/promises";
import { freshDatabase, withServer } from "../bench/server.ts";
import { migrate } from "../src/db/migrate.ts";
import { createPool } from "../src/db/pool.ts";
import { createLogger } from "../src/log.ts";
import { startServer } from "../src/server/server.ts";
import { REFERENCE, referencePages } from "./reference/pages.ts";

const log = createLogger({ level: "silent" });
const token = "for the reference only";

await withServer(async (serverUrl) => {
  const databaseUrl = await freshDatabase(serverUrl, "legwork_reference");
  const pool = createPool(databaseUrl, { log });
  try {
    await migrate(pool, log);
    const server = await startServer({ databaseUrl, host: "127.0.0.1", port: 0, token, log });
    try {
      const pages = await referencePages({ client: pool, httpUrl: server.url, token });
      for (const [name, page] of pages) await writeFile(new URL(name, REFERENCE), page);
    } finally {
      await server.stop();
    }
  } finally {
    await pool.end();
  }
});
