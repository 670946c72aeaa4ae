import { randomUUID } from "node:crypto";
import type { Sql } from "legwork";

/** Runs a long statement that is not allowed in a transaction. Cancels it in the database when the signal aborts. */
export async function longStatement(sql: Sql, signal: AbortSignal, text: string): Promise<void> {
  signal.throwIfAborted();
  // The pool does not reveal which connection it uses, so the statement is identified by a marker.
  const mark = `/* legwork ${randomUUID()} */`;
  const cancel = (): void => {
    sql`
      select pg_cancel_backend(pid) from pg_catalog.pg_stat_activity
      where pid <> pg_backend_pid() and state = 'active' and starts_with(query, ${mark})`.catch(() => undefined);
  };
  signal.addEventListener("abort", cancel, { once: true });
  try {
    await sql.query(`${mark} ${text}`);
  } finally {
    signal.removeEventListener("abort", cancel);
  }
  signal.throwIfAborted();
}
