import type { Json } from "../../contract/rows.ts";
import type { meSchema } from "../../contract/system.ts";
import { includesRole, type Role } from "../../contract/roles.ts";
import { useQuery } from "@tanstack/react-query";
import { rest } from "./request.ts";

/** Whose token it is, and what it may do. */
export type Me = Json<typeof meSchema>;

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
  return includesRole(me.role, role) && !(everybody && me.tenant !== null);
}
