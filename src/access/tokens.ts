import { createHash } from "node:crypto";
import { durationToInterval } from "../bounds.ts";
import { callFunction } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import type { Duration } from "../duration.ts";

/** A row of `legwork.token_list`. */
export interface TokenRow {
  id: string;
  name: string;
  role: "viewer" | "enqueuer" | "operator" | "admin";
  /** The only tenant whose rows it can see and change; null for all tenants. */
  tenant: string | null;
  created_at: Date;
  created_by: string;
  /** Null if it never expires. */
  expires_at: Date | null;
  revoked_at: Date | null;
  /** Accurate to a minute. */
  last_used_at: Date | null;
  is_valid: boolean;
}

export interface TokenOptions {
  name: string;
  /** The role; `viewer` by default. */
  role?: string;
  tenant?: string;
  /** How long the token is valid; 90 days by default, `null` for a token that never expires. */
  expiresIn?: Duration | null;
}

/**
 * Creates a token for the server and returns it. It cannot be shown again. Throws LW400 for invalid options.
 *
 * @example
 * import { createToken } from "legwork/operations";
 *
 * const token = await createToken(client, { name: "ci", role: "enqueuer", tenant: "acme", expiresIn: "30d" });
 */
export async function createToken(client: Queryable, { name, role, tenant, expiresIn }: TokenOptions): Promise<string> {
  const [row] = await callFunction(client, "legwork.create_token", {
    name,
    role,
    tenant,
    expires_in: expiresIn === undefined || expiresIn === null ? expiresIn : durationToInterval("expiresIn", expiresIn, 1_000),
  });
  return row.create_token;
}

/**
 * Lists all tokens, valid or not, newest first, without their secrets.
 *
 * @example
 * import { listTokens } from "legwork/operations";
 *
 * const valid = (await listTokens(client)).filter(({ is_valid }) => is_valid);
 */
export async function listTokens(client: Queryable): Promise<TokenRow[]> {
  const rows = await selectRows(client, "select * from legwork.token_list order by created_at desc");
  return rows;
}

/** The owner of a valid token. */
export type FoundToken = Pick<TokenRow, "id" | "name" | "role" | "tenant" | "expires_at">;

/**
 * Returns the owner of a token, for your own server; undefined if the token is not valid now. The token is looked up by its hash, so that no
 * statement or log contains it. Every call queries the database, so that revoking a token takes effect at once.
 *
 * @example
 * import { findToken } from "legwork/operations";
 *
 * const owner = await findToken(client, "lw_…");
 * if (owner === undefined) console.log("401");
 */
export async function findToken(client: Queryable, token: string): Promise<FoundToken | undefined> {
  const rows = await selectRows(client, "select id, name, role, tenant, expires_at from legwork_private.find_token($1)", [
    createHash("sha256").update(token).digest(),
  ]);
  return rows[0];
}

/**
 * Revokes a token: it is rejected from now on. Returns whether it was valid before. Throws LW404 for an unknown id.
 *
 * @example
 * import { listTokens, revokeToken } from "legwork/operations";
 *
 * for (const { id, name } of await listTokens(client)) if (name === "ci") await revokeToken(client, id);
 */
export async function revokeToken(client: Queryable, id: string): Promise<boolean> {
  const [row] = await callFunction(client, "legwork.revoke_token", { id });
  return row.revoke_token;
}
