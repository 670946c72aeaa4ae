import { auditLineSchema } from "../contract/system.ts";
import { tokenOwnerSchema, tokenSchema } from "../contract/tokens.ts";
import { type Answer, rowReader } from "../contract/rows.ts";

/** A token for the server, without its secret. */
export type Token = Answer<typeof tokenSchema>;
export const toToken = rowReader(tokenSchema);

/** The owner of a token. */
export type TokenOwner = Answer<typeof tokenOwnerSchema>;
export const toTokenOwner = rowReader(tokenOwnerSchema);

/** An entry of the audit log. `before` and `after` are rows with their SQL column names. */
export type AuditEntry = Answer<typeof auditLineSchema>;
export const toAuditEntry = rowReader(auditLineSchema);
