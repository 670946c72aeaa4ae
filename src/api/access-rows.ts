import { auditLineSchema } from "../contract/system.ts";
import { tokenOwnerSchema, tokenSchema } from "../contract/tokens.ts";
import { type Answer, rowReader } from "../contract/rows.ts";

/** A token of the server, without anything that could be used in its place. */
export type Token = Answer<typeof tokenSchema>;
export const toToken = rowReader(tokenSchema);

/** Who has a token. */
export type TokenOwner = Answer<typeof tokenOwnerSchema>;
export const toTokenOwner = rowReader(tokenOwnerSchema);

/** A line of the audit log. `before` and `after` are rows as SQL has them. */
export type AuditEntry = Answer<typeof auditLineSchema>;
export const toAuditEntry = rowReader(auditLineSchema);
