import { Discard, LegworkError, type Queryable } from "legwork";
import { findToken, type Principal } from "legwork/operations";

/** Returns the tenant of a user's jobs. Transactions on the user's behalf can read and change only these. */
export function tenantOf(userId: string): string {
  return `projects-user-${userId}`;
}

export interface Caller {
  /** The principal, confined to the user. */
  readonly principal: Principal;
  readonly userId: string;
}

/** Returns the token's owner. Throws LW401 for an invalid token and LW403 for a token that does not belong to a user of this app. */
export async function callerOf(client: Queryable, token: string | undefined): Promise<Caller> {
  const found = token === undefined ? undefined : await findToken(client, token);
  if (found === undefined) {
    throw new LegworkError("LW401", token === undefined ? "A token is required." : "The token is not valid.", {
      hint: "Create one with `legwork token create --role operator --tenant projects-user-<id>`.",
    });
  }
  const userId = /^projects-user-([0-9a-f-]{36})$/.exec(found.tenant ?? "")?.[1];
  if (userId === undefined) throw new LegworkError("LW403", "The token does not belong to a user of the projects app.");
  return { principal: { subject: `token:${found.name}`, role: found.role, tenant: found.tenant, tokenId: found.id }, userId };
}

/** Throws a Discard if a tenant's job names another tenant's project. A job without a tenant was enqueued by an admin, who may process any project. */
export function assertOwnJob(job: { readonly tenant: string | null }, userId: string): void {
  if (job.tenant !== null && job.tenant !== tenantOf(userId)) throw new Discard(`The project does not belong to ${job.tenant}.`);
}
