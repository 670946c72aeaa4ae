/**
 * What a token may do. `viewer` reads; `enqueuer` enqueues and reads nothing; `operator` does both and cancels, retries, pauses, limits; `admin` also manages tokens
 * and settings and reads the audit log.
 */
export const ROLES = ["viewer", "enqueuer", "operator", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** What each role may do that is asked for by the name of another. An enqueuer is no viewer. */
const INCLUDES: Readonly<Record<Role, readonly Role[]>> = {
  viewer: ["viewer"],
  enqueuer: ["enqueuer"],
  operator: ["viewer", "enqueuer", "operator"],
  admin: ["viewer", "enqueuer", "operator", "admin"],
};

/** Whether a role is that one or includes it. */
export function includesRole(role: Role, needed: Role): boolean {
  return INCLUDES[role].includes(needed);
}
