import { LegworkError, type Queryable } from "legwork";
import { findToken, type Principal } from "legwork/operations";

/** The tenant that a user's jobs and schedules belong to: the database shows and changes no other's on the user's behalf. */
export function tenantOf(userId: number): string {
  return `calendar-user-${userId}`;
}

export interface Caller {
  readonly principal: Principal;
  /** The user whose token it is; undefined for an admin of all. */
  readonly userId: number | undefined;
}

/** Whose token this is. Throws LW401 for one that is not valid and LW403 for one that is nobody's here. */
export async function callerOf(client: Queryable, token: string | undefined): Promise<Caller> {
  const found = token === undefined ? undefined : await findToken(client, token);
  if (found === undefined) {
    throw new LegworkError("LW401", token === undefined ? "A token is needed." : "The token is not valid.", {
      hint: "`legwork token create --role operator --tenant calendar-user-<id>` makes one.",
    });
  }
  const principal: Principal = { subject: `token:${found.name}`, role: found.role, tenant: found.tenant, tokenId: found.id };
  const userId = /^calendar-user-([1-9]\d{0,8})$/.exec(found.tenant ?? "")?.[1];
  if (userId === undefined && (found.tenant !== null || found.role !== "admin")) {
    throw new LegworkError("LW403", "The token is not one of a calendar's user.");
  }
  return { principal, userId: userId === undefined ? undefined : Number(userId) };
}

/** The caller as one user. Throws LW403 for another user's; an admin of all acts for anybody. */
export function actingFor({ principal, userId: own }: Caller, userId: number): Principal {
  if (own !== undefined && own !== userId) throw new LegworkError("LW403", `User ${userId} is not the one whose token this is.`);
  return { ...principal, tenant: tenantOf(userId) };
}
