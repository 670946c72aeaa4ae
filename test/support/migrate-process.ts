import { migrate } from "../../src/db/migrate.ts";
import { createPool } from "../../src/db/pool.ts";
import { testLog } from "./database.ts";

// One of the processes that test/sql/migrate.test.ts starts at the same time. Prints how many migrations it applied.
const pool = createPool(process.argv[2] ?? "", { log: testLog });
const { applied } = await migrate(pool, testLog);
console.log(applied.length);
await pool.end();
