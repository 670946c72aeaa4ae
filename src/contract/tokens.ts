import { z } from "zod";
import { page } from "./page.ts";
import { ROLES } from "./roles.ts";
import { at, duration, text } from "./values.ts";

export const tokenSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    role: z.enum(ROLES),
    tenant: z.string().nullable(),
    created_at: at,
    created_by: z.string(),
    expires_at: at.nullable(),
    revoked_at: at.nullable(),
    last_used_at: at.nullable(),
    is_valid: z.boolean(),
  })
  .loose();
export const tokenPage = page(tokenSchema, "The tokens.");
export const tokenBody = z
  .strictObject({
    name: text(128).describe("What it is for."),
    role: z.enum(ROLES).default("viewer"),
    tenant: text(256).optional().describe("The only one that it sees and touches."),
    expires_in: duration.optional().describe("90 days by default."),
  })
  .meta({ examples: [{ name: "grafana", role: "viewer" }] });
export const createdTokenSchema = z.object({ token: z.string() });
export const revokedTokenSchema = z.object({ revoked: z.boolean().describe("Whether it was valid before.") });
