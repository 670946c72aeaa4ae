import type { AuditRow } from "../access/audit-log.ts";
import type { FoundToken, TokenRow } from "../access/tokens.ts";
import { type CamelCased, camelCased } from "./camel-case.ts";

/** A token of the server, without anything that could be used in its place. */
export type Token = CamelCased<TokenRow>;
export const toToken = camelCased<TokenRow>({
  created_at: "createdAt",
  created_by: "createdBy",
  expires_at: "expiresAt",
  revoked_at: "revokedAt",
  last_used_at: "lastUsedAt",
  is_valid: "isValid",
});

/** Who has a token. */
export type TokenOwner = CamelCased<FoundToken>;
export const toTokenOwner = camelCased<FoundToken>({ expires_at: "expiresAt" });

/** A line of the audit log. `before` and `after` are rows as SQL has them. */
export type AuditEntry = CamelCased<AuditRow>;
export const toAuditEntry = camelCased<AuditRow>({
  occurred_at: "occurredAt",
  database_role: "databaseRole",
  target_type: "targetType",
});
