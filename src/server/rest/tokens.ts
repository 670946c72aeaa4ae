import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { createdTokenSchema, revokedTokenSchema, tokenBody, tokenPage } from "../../contract/tokens.ts";
import { createToken, listTokens, revokeToken } from "../../access/tokens.ts";
import { addRoute, type RestContext } from "./route.ts";

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
      answer: tokenPage,
    },
    async ({ client }) => ({ items: await listTokens(client), nextCursor: null }),
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
      body: tokenBody,
      status: 201,
      answer: createdTokenSchema,
    },
    async ({ client, body }) => ({
      token: await createToken(client, body),
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
      answer: revokedTokenSchema,
      problems: ["LW404"],
    },
    async ({ client, params: { id } }) => ({ revoked: await revokeToken(client, id) }),
  );
}
