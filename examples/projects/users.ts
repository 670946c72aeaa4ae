import { Discard, LegworkError, type Queryable } from "legwork";
import { findToken, type Principal } from "legwork/operations";

/** The tenant that a user's jobs belong to: the database shows and changes no other's on the user's behalf. */
export function tenantOf(userId: string): string {
  return `projects-user-${userId}`;
}

export interface Caller {
  /** Confined to the user. */
  readonly principal: Principal;
  readonly userId: string;
}

/** Whose token this is. Throws LW401 for one that is not valid and LW403 for one that is no user's of this app. */
export async function callerOf(client: Queryable, token: string | undefined): Promise<Caller> {
  const found = token === undefined ? undefined : await findToken(client, token);
  if (found === undefined) {
    throw new LegworkError("LW401", token === undefined ? "A token is needed." : "The token is not valid.", {
      hint: "`legwork token create --role operator --tenant projects-user-<id>` makes one.",
    });
  }
  const userId = /^projects-user-([0-9a-f-]{36})$/.exec(found.tenant ?? "")?.[1];
  if (userId === undefined) throw new LegworkError("LW403", "The token is not one of a user with projects.");
  return { principal: { subject: `token:${found.name}`, role: found.role, tenant: found.tenant, tokenId: found.id }, userId };
}

/** Who may enqueue for a tenant may not have another's project read by naming it. A job of nobody was enqueued by who may do anything. */
export function assertOwnJob(job: { readonly tenant: string | null }, userId: string): void {
  if (job.tenant !== null && job.tenant !== tenantOf(userId)) throw new Discard(`The project is not of ${job.tenant}.`);
}
