import type { Json } from "../../contract/rows.ts";
import type { meSchema } from "../../contract/system.ts";
import { includesRole, type Role } from "../../contract/roles.ts";
import { useQuery } from "@tanstack/react-query";
import { rest } from "./request.ts";

/** The owner of the token, and its rights. */
export type Me = Json<typeof meSchema>;

export function useMe(): Me | undefined {
  return useQuery({ queryKey: ["me"], queryFn: ({ signal }) => rest<Me>("GET", "/me", undefined, signal), staleTime: 60_000 })
    .data;
}

/**
 * Whether the token has the rights of a role and, with the option, is not limited to one tenant. The server enforces this; the page checks it only to
 * avoid offering actions that the server would reject.
 */
export function useMay(role: Role, options: { everybody?: boolean } = {}): boolean {
  const me = useMe();
  return me !== undefined && may(me, role, options.everybody === true);
}

export function may(me: Me, role: Role, everybody: boolean): boolean {
  return includesRole(me.role, role) && !(everybody && me.tenant !== null);
}
