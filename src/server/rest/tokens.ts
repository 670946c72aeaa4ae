import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { createToken, listTokens, revokeToken } from "../../access/tokens.ts";
import { ROLES } from "../../access/principal.ts";
import { addRoute, type RestContext } from "./route.ts";
import { duration, page, text } from "./values.ts";

const at = z.iso.datetime();

/** Tokens for this server: made, listed without their secrets, and revoked, by admins. */
export function addTokenRoutes(app: FastifyInstance, context: RestContext): void {
  const admin = { tag: "tokens", role: "admin" } as const;

  addRoute(
    app,
    context,
    {
      ...admin,
      method: "GET",
      url: "/tokens",
      summary: "List tokens, newest first, without their secrets",
      answer: page(
        z
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
          .loose(),
        "The tokens.",
      ),
    },
    async ({ client }) => ({ items: await listTokens(client), next_cursor: null }),
  );
  addRoute(
    app,
    context,
    {
      ...admin,
      method: "POST",
      url: "/tokens",
      summary: "Make a token",
      description: "The answer is the only time that it can be seen.",
      body: z
        .strictObject({
          name: text(128).describe("What it is for."),
          role: z.enum(ROLES).default("viewer"),
          tenant: text(256).optional().describe("The only one that it sees and touches."),
          expires_in: duration.optional().describe("90 days by default."),
        })
        .meta({ examples: [{ name: "grafana", role: "viewer" }] }),
      status: 201,
      answer: z.object({ token: z.string() }),
    },
    async ({ client, body: { name, role, tenant, expires_in: expiresIn } }) => ({
      token: await createToken(client, { name, role, tenant, expiresIn }),
    }),
  );
  addRoute(
    app,
    context,
    {
      ...admin,
      method: "POST",
      url: "/tokens/:id/revoke",
      summary: "Revoke a token",
      params: z.object({ id: z.uuid() }),
      answer: z.object({ revoked: z.boolean().describe("Whether it was valid before.") }),
      problems: ["LW404"],
    },
    async ({ client, params: { id } }) => ({ revoked: await revokeToken(client, id) }),
  );
}
