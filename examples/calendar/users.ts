import { LegworkError, type Queryable } from "legwork";
import { findToken, type Principal } from "legwork/operations";

/** Returns the tenant of a user's jobs and schedules. Transactions on the user's behalf can read and change only these. */
export function tenantOf(userId: number): string {
  return `calendar-user-${userId}`;
}

export interface Caller {
  readonly principal: Principal;
  /** The user to whom the token belongs; undefined for an admin of all users. */
  readonly userId: number | undefined;
}

/** Returns the token's owner. Throws LW401 for an invalid token and LW403 for a token that does not belong to a user of this app. */
export async function callerOf(client: Queryable, token: string | undefined): Promise<Caller> {
  const found = token === undefined ? undefined : await findToken(client, token);
  if (found === undefined) {
    throw new LegworkError("LW401", token === undefined ? "A token is required." : "The token is not valid.", {
      hint: "Create one with `legwork token create --role operator --tenant calendar-user-<id>`.",
    });
  }
  const principal: Principal = { subject: `token:${found.name}`, role: found.role, tenant: found.tenant, tokenId: found.id };
  const userId = /^calendar-user-([1-9]\d{0,8})$/.exec(found.tenant ?? "")?.[1];
  if (userId === undefined && (found.tenant !== null || found.role !== "admin")) {
    throw new LegworkError("LW403", "The token does not belong to a user of the calendar app.");
  }
  return { principal, userId: userId === undefined ? undefined : Number(userId) };
}

/** Returns the principal for acting as a user. Throws LW403 if the token belongs to another user. An admin of all users may act for any user. */
export function actingFor({ principal, userId: own }: Caller, userId: number): Principal {
  if (own !== undefined && own !== userId) throw new LegworkError("LW403", `The token does not belong to user ${userId}.`);
  return { ...principal, tenant: tenantOf(userId) };
}
