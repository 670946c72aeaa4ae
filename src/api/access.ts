import { listAuditLog, type AuditFilter } from "../access/audit-log.ts";
import { createToken, findToken, listTokens, revokeToken, type TokenOptions } from "../access/tokens.ts";
import type { Queryable } from "../db/pool.ts";
import { type AuditEntry, toAuditEntry, type Token, type TokenOwner, toToken, toTokenOwner } from "./access-rows.ts";

/** `legwork.tokens`: who may use the server. */
export interface Tokens {
  /**
   * Makes a token for the server and resolves to it: the only time that it can be seen. Throws LW400 for what is not valid.
   *
   * @example
   * const token = await legwork.tokens.create({ name: "ci", role: "enqueuer", tenant: "acme", expiresIn: "30d" });
   */
  create(options: TokenOptions): Promise<string>;
  /**
   * Every token, valid or not, the newest first; without anything that could be used in its place.
   *
   * @example
   * const valid = (await legwork.tokens.list()).filter(({ isValid }) => isValid);
   */
  list(): Promise<Token[]>;
  /**
   * Who has this token, for a server of your own; undefined when it is not valid now. It is looked up each time, so that revoking it takes effect at once.
   *
   * @example
   * const owner = await legwork.tokens.find("lw_…");
   * if (owner === undefined) console.log("401");
   */
  find(token: string): Promise<TokenOwner | undefined>;
  /**
   * From now on the token is refused. Resolves to whether it was valid before. Throws LW404 for an unknown id.
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

/** `legwork.audit`: who did what. */
export interface Audit {
  /**
   * Lines of the audit log that match, newest first, 50 unless `limit` says otherwise.
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
