import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyRequest } from "fastify";
import { createRemoteJWKSet, errors as joseErrors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from "jose";
import { findToken } from "../../access/tokens.ts";
import type { Config } from "../../config.ts";
import type { Pool } from "../../db/pool.ts";
import { translateError } from "../../db/translate-error.ts";
import { isTime } from "../../duration.ts";
import { LegworkError, toError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import { type Principal, ROLES, type Role } from "../../access/principal.ts";

/** What says who may come in. Without any of it nobody does. */
export type AuthConfig = Partial<
  Pick<Config, "jwtIssuer" | "jwtAudience" | "jwtJwks" | "jwtSecret" | "jwtRoleClaim" | "jwtTenantClaim">
> & {
  /** A token that is an unconfined admin: the one that `legwork up` generates. */
  readonly token?: string | undefined;
};

export interface Authenticator {
  /** Who sends this request. Throws LW401 unless its token is known to be valid now, and LW503 when that cannot be found out. */
  authenticate(request: Pick<FastifyRequest, "headers">): Promise<Principal>;
}

/** Only these, whatever the token says of itself: an issuer's public key must not be taken for a shared secret. */
const PUBLIC_KEY_ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];
const SECRET_ALGORITHMS = ["HS256", "HS384", "HS512"];

/** How far the clocks of issuer and server may be apart (s). */
const CLOCK_TOLERANCE_S = 5;

/** The longest token that is looked at (characters). */
const MAX_TOKEN_LENGTH = 8_192;

/** The longest subject and tenant of a JWT (characters). */
const MAX_NAME_LENGTH = 200;

const HINT =
  "Send Authorization: Bearer <token>; `legwork up` writes its own to ready.json, `legwork token create` makes others.";

/**
 * Finds out who sends a request by its bearer token: the generated one (an admin), one of `legwork_private.tokens`, or a JWT of the
 * configured issuer. Nothing but the token counts, so there is nothing that a browser sends by itself.
 */
export function createAuthenticator({ pool, config, log }: { pool: Pool; config: AuthConfig; log: Logger }): Authenticator {
  const verifyJwt = jwtVerifier(config, log);
  const own = config.token === undefined ? undefined : digest(config.token);
  return {
    async authenticate(request) {
      const token = /^Bearer +(.+)$/i.exec(request.headers.authorization ?? "")?.[1];
      if (token === undefined || token.length > MAX_TOKEN_LENGTH) {
        throw new LegworkError("LW401", "A token is needed.", { hint: HINT });
      }
      const hash = digest(token);
      // Digests have one length, which timingSafeEqual needs and which tells nothing of the token's.
      if (own !== undefined && timingSafeEqual(hash, own)) return { subject: "legwork up", role: "admin", tenant: null };
      const principal = /^lw_[0-9a-f]{64}$/.test(token) ? await tokenPrincipal(pool, token) : await verifyJwt?.(token);
      if (principal === undefined) throw new LegworkError("LW401", "The token is not valid.", { hint: HINT });
      return principal;
    },
  };
}

/** Whether somebody could come in: by a JWT, or by a token of the database that is valid now. */
export async function isAuthConfigured(pool: Pool, config: AuthConfig): Promise<boolean> {
  if (config.jwtJwks !== undefined || config.jwtSecret !== undefined) return true;
  const { rows } = await pool.query("select from legwork.token_list where is_valid limit 1");
  return rows.length > 0;
}

function digest(value: string): Buffer {
  return createHash("sha256").update(value).digest();
}

/** Asked each time, so that revoking a token holds at once. */
async function tokenPrincipal(pool: Pool, token: string): Promise<Principal | undefined> {
  let row;
  try {
    row = await findToken(pool, token);
  } catch (error) {
    const { code } = translateError(error);
    if (code !== "LW503" && code !== "LW504") throw error;
    throw new LegworkError("LW503", "The database does not answer, so the token cannot be checked.", {
      action: { do: "await_database" },
      cause: error,
    });
  }
  if (row === undefined || !isRole(row.role)) return undefined;
  return {
    subject: `token:${row.name}`,
    role: row.role,
    tenant: row.tenant,
    tokenId: row.id,
    ...(row.expires_at === null ? {} : { expiresAt: row.expires_at }),
  };
}

function jwtVerifier(config: AuthConfig, log: Logger): ((token: string) => Promise<Principal | undefined>) | undefined {
  const { jwtJwks, jwtSecret, jwtIssuer, jwtAudience } = config;
  if (jwtJwks === undefined && jwtSecret === undefined) return undefined;
  const isPublicKey = jwtJwks !== undefined;
  const key: JWTVerifyGetKey | Uint8Array = isPublicKey
    ? createRemoteJWKSet(new URL(jwtJwks), { timeoutDuration: 5_000 })
    : new TextEncoder().encode(jwtSecret);
  const options = {
    algorithms: isPublicKey ? PUBLIC_KEY_ALGORITHMS : SECRET_ALGORITHMS,
    clockTolerance: CLOCK_TOLERANCE_S,
    requiredClaims: ["exp", "sub"],
    ...(jwtIssuer === undefined ? {} : { issuer: jwtIssuer }),
    ...(jwtAudience === undefined ? {} : { audience: jwtAudience }),
  };
  return async (token) => {
    let payload: JWTPayload;
    try {
      ({ payload } = await (typeof key === "function" ? jwtVerify(token, key, options) : jwtVerify(token, key, options)));
    } catch (thrown) {
      const error = toError(thrown) as Error & { code?: string };
      if (error instanceof joseErrors.JOSEError && !(error instanceof joseErrors.JWKSTimeout)) {
        // The code says what is wrong (ERR_JWT_EXPIRED …); the error itself may hold claims.
        log.debug({ code: error.code }, "A JWT was refused.");
        return undefined;
      }
      log.warn({ code: error.code }, "The keys that JWTs are checked with cannot be had.");
      throw new LegworkError("LW503", "The keys that the token is checked with cannot be had.", {
        hint: "Try again.",
        cause: error,
      });
    }
    return principalOf(payload, config, log);
  };
}

/**
 * What a checked JWT says. Every claim must be there: a missing one gives no role, and not the rows of all tenants. Throws LW401 naming the claim
 * that is not as it should be.
 */
function principalOf(payload: JWTPayload, config: AuthConfig, log: Logger): Principal {
  const roleClaim = config.jwtRoleClaim ?? "role";
  const tenantClaim = config.jwtTenantClaim ?? "tenant";
  const { sub, exp, [roleClaim]: role } = payload;
  // "*" is how an issuer says: all of them.
  const tenant = tenantClaim === "none" ? "*" : payload[tenantClaim];
  const refuse = (claim: string, expected: string): LegworkError => {
    log.info({ claim }, "A valid JWT was refused for one of its claims.");
    return new LegworkError("LW401", `The token's claim '${claim}' must be ${expected}.`, {
      hint: "Its issuer makes the claims; docs/guides/access.md lists them.",
    });
  };
  const aName = `a text of 1 to ${MAX_NAME_LENGTH} characters without control characters`;
  if (!isName(sub)) throw refuse("sub", aName);
  if (!isRole(role)) throw refuse(roleClaim, ROLES.join(", "));
  if (!isName(tenant)) throw refuse(tenantClaim, `${aName}, or *`);
  const end = new Date((exp ?? Number.NaN) * 1_000);
  if (!isTime(end)) throw refuse("exp", "a time before the year 10000, in seconds");
  return { subject: `jwt:${sub}`, role, tenant: tenant === "*" ? null : tenant, expiresAt: end };
}

/** Whether it can stand in a log, a database and an address bar without being something else there. */
function isName(value: unknown): value is string {
  return (
    typeof value === "string" &&
    value !== "" &&
    value.length <= MAX_NAME_LENGTH &&
    value.isWellFormed() &&
    !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(value)
  );
}

function isRole(value: unknown): value is Role {
  return ROLES.some((role) => role === value);
}
