import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";

export type HealthStatus = "healthy" | "degraded" | "unhealthy";

/** A row of `legwork.health()`. */
export interface HealthRow {
  scope: "system" | "task" | "queue" | "schedule" | "host";
  name: string;
  status: HealthStatus;
  /** Why it is not healthy, one sentence each. */
  reasons: string[];
}

/**
 * Returns the health of the system and of each task, queue, schedule and host: the system first, then the others, least healthy first.
 *
 * @example
 * import { readHealth } from "legwork/operations";
 *
 * const [system] = await readHealth(client);
 */
export async function readHealth(client: Queryable): Promise<HealthRow[]> {
  const rows = await selectRows(
    client,
    `select * from legwork.health()
     order by scope <> 'system', array_position(array['unhealthy', 'degraded', 'healthy'], status), scope, name`,
  );
  return rows;
}
