import { whileConfined } from "../db/confinement.ts";
import { type Pool, type PoolClient, setLocally, transaction } from "../db/pool.ts";
import { fromDatabaseError } from "../db/translate-error.ts";
import { includesRole, type Role } from "../contract/roles.ts";
import { LegworkError } from "../errors.ts";

export { ROLES, type Role } from "../contract/roles.ts";

/** By which way a request came in, as the audit log shows it. */
export type Surface = "sql" | "cli" | "rest" | "graphql" | "dashboard" | "worker";

/** Who asks: what is known once a token has been checked. */
export interface Principal {
  /** For people to read and for the audit log: `token:deploy`, `jwt:alice@example.com`, `up`. */
  readonly subject: string;
  readonly role: Role;
  /** The only tenant whose rows it sees and touches; null sees all. */
  readonly tenant: string | null;
  /** The row of `legwork_private.tokens`; absent for anything else. */
  readonly tokenId?: string;
  /** When it is over; whatever lasts longer (a subscription) must end then. */
  readonly expiresAt?: Date;
}

/**
 * What a principal is counted and remembered by, where names are not enough: tokens may have one name, and a name may look like that of a tenant
 * with another. No two tokens have one key, and JWTs only those of one subject for one tenant.
 */
export function principalKey({ tokenId, tenant, subject }: Principal): string {
  return tokenId === undefined ? JSON.stringify([tenant, subject]) : `token ${tokenId}`;
}

/** Throws LW403 unless the principal has that role or one that includes it. An enqueuer is no viewer. */
export function assertRole(principal: Principal, atLeast: Role): void {
  if (includesRole(principal.role, atLeast)) return;
  throw new LegworkError("LW403", `This needs the role ${atLeast}; ${principal.subject} has the role ${principal.role}.`, {
    hint: "Ask whoever manages the tokens (`legwork token create --role …`).",
  });
}

/**
 * What a transaction is told about who asks. The functions and views of schema legwork go by it: `legwork.role` and
 * `legwork.confined_to` take rights away and never give any; `legwork.actor` and `legwork.surface` are what the audit log says.
 */
export function settingsOf(principal: Principal, surface: Surface): Record<string, string> {
  if (principal.tenant === "") throw new Error("A principal's tenant is null or a name.");
  return {
    "legwork.actor": principal.subject,
    "legwork.surface": surface,
    "legwork.role": principal.role,
    "legwork.confined_to": principal.tenant ?? "",
    // What it enqueues is its tenant's.
    "legwork.tenant": principal.tenant ?? "",
  };
}

/**
 * Runs `work` in one transaction on behalf of a principal: what it reads is confined to the principal's tenant, what it calls is
 * refused if the role does not allow it, and what it changes is in the audit log under its name. Commits when `work` returns,
 * rolls back when it throws. Errors that our SQL raises come out as `LegworkError`. SQL of your own reads jobs and attempts from the
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
