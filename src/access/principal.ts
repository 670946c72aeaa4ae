import { whileConfined } from "../db/confinement.ts";
import { type Pool, type PoolClient, setLocally, transaction } from "../db/pool.ts";
import { fromDatabaseError } from "../db/translate-error.ts";
import { includesRole, type Role } from "../contract/roles.ts";
import { LegworkError } from "../errors.ts";

export { ROLES, type Role } from "../contract/roles.ts";

/** The interface through which a request came in, as the audit log shows it. */
export type Surface = "sql" | "cli" | "rest" | "graphql" | "dashboard" | "worker";

/** The authenticated client, as identified by its token. */
export interface Principal {
  /** The name in messages and in the audit log: `token:deploy`, `jwt:alice@example.com`, `up`. */
  readonly subject: string;
  readonly role: Role;
  /** The only tenant whose rows it can see and change; null for all tenants. */
  readonly tenant: string | null;
  /** The id in `legwork_private.tokens`; absent for other kinds of principals. */
  readonly tokenId?: string;
  /** When it expires. Anything that would last longer, such as a subscription, must end then. */
  readonly expiresAt?: Date;
}

/**
 * Returns the key under which a principal is counted and cached. Names are not enough: several tokens may have the same name, and a name may look
 * like another name combined with a tenant. Each token has its own key; JWTs share a key only if they have the same subject and tenant.
 */
export function principalKey({ tokenId, tenant, subject }: Principal): string {
  return tokenId === undefined ? JSON.stringify([tenant, subject]) : `token ${tokenId}`;
}

/** Throws LW403 unless the principal has the role, or a role that includes it. The role enqueuer does not include viewer. */
export function assertRole(principal: Principal, atLeast: Role): void {
  if (includesRole(principal.role, atLeast)) return;
  throw new LegworkError("LW403", `This needs the role ${atLeast}; ${principal.subject} has the role ${principal.role}.`, {
    hint: "Ask an admin for a token with that role (`legwork token create --role …`).",
  });
}

/**
 * Returns the settings that state on whose behalf a transaction runs. The functions and views of the schema legwork enforce them: `legwork.role` and
 * `legwork.confined_to` only remove rights and never add any; `legwork.actor` and `legwork.surface` appear in the audit log.
 */
export function settingsOf(principal: Principal, surface: Surface): Record<string, string> {
  if (principal.tenant === "") throw new Error("A principal's tenant must be null or a name.");
  return {
    "legwork.actor": principal.subject,
    "legwork.surface": surface,
    "legwork.role": principal.role,
    "legwork.confined_to": principal.tenant ?? "",
    // Jobs that it enqueues belong to its tenant.
    "legwork.tenant": principal.tenant ?? "",
  };
}

/**
 * Runs `work` in one transaction on behalf of a principal: its reads are confined to the principal's tenant, its calls are
 * rejected if the role does not allow them, and its changes are in the audit log under the principal's name. Commits when `work` returns,
 * rolls back when it throws. Errors that Legwork's SQL raises are thrown as `LegworkError`. Your own SQL must read jobs and attempts from the
 * schema that `viewsFor(client)` names.
 *
 * @example
 * import { listJobs, withPrincipal } from "legwork/operations";
 *
 * const ann = { subject: "ann", role: "operator", tenant: "acme" } as const;
 * const jobs = await withPrincipal(pool, ann, "rest", (confined) => listJobs(confined, { limit: 20 }));
 */
export async function withPrincipal<T>(
  pool: Pool,
  principal: Principal,
  surface: Surface,
  work: (client: PoolClient) => Promise<T>,
  options: { readOnly?: boolean; statementTimeout?: number } = {},
): Promise<T> {
  const settings = {
    ...settingsOf(principal, surface),
    ...(options.statementTimeout === undefined ? {} : { statement_timeout: String(options.statementTimeout) }),
    ...(options.readOnly === true ? { transaction_read_only: "on" } : {}),
  };
  try {
    return await transaction(pool, async (client) => {
      await setLocally(client, settings);
      return principal.tenant === null ? await work(client) : await whileConfined(client, () => work(client));
    });
  } catch (error) {
    throw fromDatabaseError(error);
  }
}
