import { listAuditLog, type AuditFilter } from "../access/audit-log.ts";
import { createToken, findToken, listTokens, revokeToken, type TokenOptions } from "../access/tokens.ts";
import type { Queryable } from "../db/pool.ts";
import { type AuditEntry, toAuditEntry, type Token, type TokenOwner, toToken, toTokenOwner } from "./access-rows.ts";

/** `legwork.tokens`: access to the server. */
export interface Tokens {
  /**
   * Creates a token for the server and returns it. It cannot be shown again. Throws LW400 for invalid options.
   *
   * @example
   * const token = await legwork.tokens.create({ name: "ci", role: "enqueuer", tenant: "acme", expiresIn: "30d" });
   */
  create(options: TokenOptions): Promise<string>;
  /**
   * Lists all tokens, valid or not, newest first, without their secrets.
   *
   * @example
   * const valid = (await legwork.tokens.list()).filter(({ isValid }) => isValid);
   */
  list(): Promise<Token[]>;
  /**
   * Returns the owner of a token, for your own server; undefined if the token is not valid now. Reads the database on every call, so that revoking a
   * token takes effect at once.
   *
   * @example
   * const owner = await legwork.tokens.find("lw_…");
   * if (owner === undefined) console.log("401");
   */
  find(token: string): Promise<TokenOwner | undefined>;
  /**
   * Revokes a token: it is rejected from now on. Returns whether it was valid before. Throws LW404 for an unknown id.
   *
   * @example
   * for (const { id, name } of await legwork.tokens.list()) if (name === "ci") await legwork.tokens.revoke(id);
   */
  revoke(id: string): Promise<boolean>;
}

export function tokensOn(client: Queryable): Tokens {
  return {
    create: (options) => createToken(client, options),
    list: async () => (await listTokens(client)).map(toToken),
    find: async (token) => {
      const found = await findToken(client, token);
      return found === undefined ? undefined : toTokenOwner(found);
    },
    revoke: (id) => revokeToken(client, id),
  };
}

/** `legwork.audit`: the audit log. */
export interface Audit {
  /**
   * Lists matching entries of the audit log, newest first; 50 unless `limit` says otherwise.
   *
   * @example
   * const cancellations = await legwork.audit.list({ targetType: "job", target: "42" });
   */
  list(filter?: Partial<AuditFilter>): Promise<AuditEntry[]>;
}

export function auditOn(client: Queryable): Audit {
  return {
    list: async (filter) => (await listAuditLog(client, { limit: 50, ...filter })).map(toAuditEntry),
  };
}
