import { useQuery } from "@tanstack/react-query";
import { rest } from "./request.ts";

export type Role = "viewer" | "enqueuer" | "operator" | "admin";

/** Whose token it is, and what it may do. */
export interface Me {
  subject: string;
  role: Role;
  tenant: string | null;
  /** Until when it is valid; null for ever. */
  expires_at: string | null;
  version: string;
}

const INCLUDES: Readonly<Record<Role, readonly Role[]>> = {
  viewer: ["viewer"],
  enqueuer: ["enqueuer"],
  operator: ["viewer", "enqueuer", "operator"],
  admin: ["viewer", "enqueuer", "operator", "admin"],
};

export function useMe(): Me | undefined {
  return useQuery({ queryKey: ["me"], queryFn: ({ signal }) => rest<Me>("GET", "/me", undefined, signal), staleTime: 60_000 })
    .data;
}

/**
 * Whether the token may do what needs that role; of what concerns every tenant (`everybody`), whether it is confined to none. The server
 * decides by itself; this keeps the page from showing what would be refused.
 */
export function useMay(role: Role, options: { everybody?: boolean } = {}): boolean {
  const me = useMe();
  return me !== undefined && may(me, role, options.everybody === true);
}

export function may(me: Me, role: Role, everybody: boolean): boolean {
  return INCLUDES[me.role].includes(role) && !(everybody && me.tenant !== null);
}
