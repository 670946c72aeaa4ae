import { z } from "zod";
import { row } from "./rows.ts";
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
/** Who has a token. */
export const tokenOwnerSchema = tokenSchema.pick({ id: true, name: true, role: true, tenant: true, expiresAt: true });
export const tokenPage = page(tokenSchema, "The tokens.");
export const tokenBody = z
  .strictObject({
    name: text(128).describe("What it is for."),
    role: z.enum(ROLES).default("viewer"),
    tenant: text(256).optional().describe("The only one that it sees and touches."),
    expiresIn: duration.optional().describe("90 days by default."),
  })
  .meta({ examples: [{ name: "grafana", role: "viewer" }] });
export const createdTokenSchema = z.object({ token: z.string() });
export const revokedTokenSchema = z.object({ revoked: z.boolean().describe("Whether it was valid before.") });
