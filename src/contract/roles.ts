/**
 * What a token may do. `viewer` reads; `enqueuer` only enqueues; `operator` can do both, and also cancels, retries, pauses and limits;
 * `admin` also manages tokens and settings and reads the audit log.
 */
export const ROLES = ["viewer", "enqueuer", "operator", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** The roles that each role includes. An enqueuer does not include viewer. */
const INCLUDES: Readonly<Record<Role, readonly Role[]>> = {
  viewer: ["viewer"],
  enqueuer: ["enqueuer"],
  operator: ["viewer", "enqueuer", "operator"],
  admin: ["viewer", "enqueuer", "operator", "admin"],
};

/** Whether a role equals or includes another. */
export function includesRole(role: Role, needed: Role): boolean {
  return INCLUDES[role].includes(needed);
}
