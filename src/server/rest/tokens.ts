import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { createdTokenSchema, revokedTokenSchema, tokenBody, tokenPage } from "../../contract/tokens.ts";
import { createToken, listTokens, revokeToken } from "../../access/tokens.ts";
import { addRoute, type RestContext } from "./route.ts";

/** Adds the routes with which admins create, list and revoke tokens for this server. */
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
      summary: "Create a token",
      description: "The response contains the token, which cannot be read again later.",
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
