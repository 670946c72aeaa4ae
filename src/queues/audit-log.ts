import type { Queryable } from "../db/pool.ts";
import { LegworkError } from "../errors.ts";

/** A row of `legwork.audit_log`. */
export interface AuditRow {
  id: string;
  occurred_at: Date;
  actor: string | null;
  database_role: string;
  surface: string;
  operation: string;
  target_type: string;
  target: string | null;
  tenant: string | null;
  count: string | null;
  before: unknown;
  after: unknown;
}

export interface AuditFilter {
  /** job, jobs, queue, task, all, schedule, workflow, token, login or setting. */
  target_type?: string;
  /** Its id or name. Needs `target_type`. */
  target?: string;
  /** Only lines with a smaller id: the next page starts at the last id of this one. */
  before?: string;
  limit: number;
}

/** Who did what, newest first. Throws LW400 for a target without its type, which no index serves. */
export async function listAuditLog(client: Queryable, { target_type, target, before, limit }: AuditFilter): Promise<AuditRow[]> {
  if (target !== undefined && target_type === undefined) {
    const message = "A target is found by its kind and its name together.";
    throw new LegworkError("LW400", message, {
      hint: "Add target_type, such as job or queue.",
      fields: [{ path: ["target"], message }],
    });
  }
  const { rows } = await client.query(
    `select * from legwork.audit_log
     where ($1::text is null or target_type = $1) and ($2::text is null or target = $2) and ($3::bigint is null or id < $3)
     order by id desc limit $4`,
    [target_type, target, before, limit],
  );
  return rows;
}
