import assert from "node:assert/strict";
import fc from "fast-check";
import pg from "pg";
import { createPool } from "../../src/db/pool.ts";
import { createLogger } from "../../src/log.ts";

/** Tries users, passwords and databases whose names contain any character that Postgres accepts, above all characters with a meaning in URLs. */
export async function tryAddresses(admin: pg.Client, as: (user: string) => string): Promise<void> {
  const odd = fc.string({
    unit: fc.oneof(
      fc.constantFrom(..."@:/?#%&+=[] '\"\\;,$!*()<>{}|^~`é中🙂".split("")),
      fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
    ),
    minLength: 1,
    maxLength: 12,
  });
  const usable = odd.filter(
    (text) => text.isWellFormed() && !text.includes("\0") && !text.startsWith("pg_") && Buffer.byteLength(text) < 60,
  );
  // node-postgres normalizes all passwords; Postgres normalizes only passwords without control, private and unassigned characters.
  const secret = usable.filter((text) => text.replace(/\p{Default_Ignorable_Code_Point}/gu, "").normalize("NFKC") === text);
  const log = createLogger({ level: "silent" });
  await fc.assert(
    fc.asyncProperty(usable, secret, usable, async (user, password, database) => {
      await admin.query(`create role ${pg.escapeIdentifier(user)} login password ${pg.escapeLiteral(password)}`);
      await admin.query(`create database ${pg.escapeIdentifier(database)} template template0`);
      try {
        const { host } = new URL(as("x"));
        const url = `postgres://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}/${encodeURIComponent(database)}`;
        const pool = createPool(url, { log, max: 1, name: "try" });
        const { rows } = await pool.query("select current_user as user, current_database() as database");
        await pool.end();
        assert.deepEqual(rows, [{ user, database }]);
      } finally {
        await admin.query(`drop database ${pg.escapeIdentifier(database)} with (force)`);
        await admin.query(`drop role ${pg.escapeIdentifier(user)}`);
      }
    }),
    { numRuns: 40 },
  );
}
