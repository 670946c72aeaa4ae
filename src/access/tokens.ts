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
  /** The only tenant that it sees and touches; null for all. */
  tenant: string | null;
  created_at: Date;
  created_by: string;
  /** Null for never. */
  expires_at: Date | null;
  revoked_at: Date | null;
  /** To the minute. */
  last_used_at: Date | null;
  is_valid: boolean;
}

export interface TokenOptions {
  name: string;
  /** `viewer` by default. */
  role?: string;
  tenant?: string;
  /** 90 days by default; `null` for a token that does not expire. */
  expiresIn?: Duration | null;
}

/**
 * Makes a token for the server and resolves to it: the only time that it can be seen. Throws LW400 for what makes no sense.
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
 * Every token, valid or not, the newest first; without anything that could be used in its place.
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

/** What a valid token says of who has it. */
export type FoundToken = Pick<TokenRow, "id" | "name" | "role" | "tenant" | "expires_at">;

/**
 * Who has this token, for a server of yours; undefined when it is not valid now. It is looked up by its hash, so that neither a statement nor a log
 * has it, and each time, so that revoking one holds at once.
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
 * From now on the token is refused. Resolves to whether it was valid before. Throws LW404 for an unknown id.
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
