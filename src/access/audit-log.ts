import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";

/** A row of `legwork.audit_log`. */
export interface AuditRow {
  id: string;
  occurred_at: Date;
  /** The actor that the database login gave, such as a token's subject; null if it gave none. */
  actor: string | null;
  database_role: string;
  surface: "sql" | "cli" | "rest" | "graphql" | "dashboard" | "worker";
  operation: string;
  target_type: string;
  target: string | null;
  tenant: string | null;
  /** The number of rows changed by a bulk operation; null for a single row. */
  count: string | null;
  before: unknown;
  after: unknown;
}

export interface AuditFilter {
  operation?: string;
  actor?: string;
  /** `job`, `queue`, `task` and so on. Together with `target`, selects all entries about one object. */
  targetType?: string;
  target?: string;
  tenant?: string;
  since?: Date;
  /** Only entries with a smaller id. For the next page, pass the last id of this page. */
  before?: string;
  limit: number;
}

/**
 * Lists matching entries of the audit log, newest first.
 *
 * @example
 * import { listAuditLog } from "legwork/operations";
 *
 * const entries = await listAuditLog(client, { targetType: "job", target: "42", limit: 50 });
 */
export async function listAuditLog(client: Queryable, filter: AuditFilter): Promise<AuditRow[]> {
  const rows = await selectRows(
    client,
    `select * from legwork.audit_log
     where ($1::text is null or operation = $1) and ($2::text is null or $2 in (actor, database_role))
       and ($3::text is null or target_type = $3) and ($4::text is null or target = $4) and ($5::text is null or tenant = $5)
       and ($6::timestamptz is null or occurred_at >= $6) and ($7::bigint is null or id < $7)
     order by id desc limit $8`,
    [filter.operation, filter.actor, filter.targetType, filter.target, filter.tenant, filter.since, filter.before, filter.limit],
  );
  return rows;
}
