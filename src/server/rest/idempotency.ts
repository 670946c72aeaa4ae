import { createHash } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { callFunction } from "../../db/call-function.ts";
import type { PoolClient } from "../../db/pool.ts";
import { type Principal, principalKey } from "../../access/principal.ts";

/** The header that makes requests safe to repeat. */
export const idempotencyHeaders = z.object({
  "idempotency-key": z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, "expected 1 to 255 visible ASCII characters")
    .optional()
    .describe(
      "Makes the request safe to repeat. For 24 hours, the same request with the same key has no effect and returns the first response, " +
        "with the header `idempotency-replayed: true`. A different request with the same key fails with LW409. Each token has its own keys.",
    ),
});

/**
 * Executes a request once, however often it arrives with its Idempotency-Key. The response is stored in the transaction of the request, and a second
 * request waits for the first to end. A failed request stores nothing. Without a key, the request is always executed.
 */
export async function once(
  {
    client,
    principal,
    request,
    reply,
  }: { client: PoolClient; principal: Principal; request: FastifyRequest; reply: FastifyReply },
  work: () => Promise<unknown>,
): Promise<unknown> {
  const key = (request.headers as z.output<typeof idempotencyHeaders>)["idempotency-key"];
  if (key === undefined) return await work();
  const subject = principalKey(principal);
  const hash = createHash("sha256");
  for (const part of [request.method, request.url, JSON.stringify(request.body)]) hash.update(`${part}\n`);
  const [claimed] = await callFunction(client, "legwork_private.claim_request", {
    subject,
    key,
    request_hash: hash.digest("base64url"),
  });
  if (claimed.claim_request !== null) {
    reply.header("idempotency-replayed", "true");
    return claimed.claim_request;
  }
  const answer = await work();
  await callFunction(client, "legwork_private.keep_response", { subject, key, response: JSON.stringify(answer) });
  return answer;
}
