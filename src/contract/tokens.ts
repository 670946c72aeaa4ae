import { z } from "zod";
import { type Answer, row } from "./rows.ts";
import { at } from "./times.ts";
import { page } from "./page.ts";
import { ROLES } from "./roles.ts";
import { duration, text } from "./values.ts";

export const tokenSchema = row({
  id: z.string(),
  name: z.string(),
  role: z.enum(ROLES),
  tenant: z.string().nullable(),
  createdAt: at,
  createdBy: z.string(),
  expiresAt: at.nullable(),
  revokedAt: at.nullable(),
  lastUsedAt: at.nullable(),
  isValid: z.boolean(),
});
/** The owner of a token. */
export const tokenOwnerSchema = tokenSchema.pick({ id: true, name: true, role: true, tenant: true, expiresAt: true });
export const tokenPage = page(tokenSchema, "The tokens.");
export const tokenBody = z
  .strictObject({
    name: text(128).describe("What the token is for."),
    role: z.enum(ROLES).default("viewer"),
    tenant: text(256).optional().describe("The only tenant whose rows it can see and change."),
    expiresIn: duration.nullable().optional().describe("How long the token is valid; 90 days by default, null for no expiry."),
  })
  .meta({ examples: [{ name: "grafana", role: "viewer" }] });
export const createdTokenSchema = z.object({ token: z.string() });
export const revokedTokenSchema = z.object({ revoked: z.boolean().describe("Whether the token was valid until now.") });

/** A token, without its secret. */
export type Token = Answer<typeof tokenSchema>;
