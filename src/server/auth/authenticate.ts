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

/** How clients authenticate, in addition to the database's tokens. */
export type AuthConfig = Partial<
  Pick<Config, "jwtIssuer" | "jwtAudience" | "jwtJwks" | "jwtSecret" | "jwtRoleClaim" | "jwtTenantClaim">
> & {
  /** The token of an admin for all tenants, which `legwork up` generates. */
  readonly token?: string | undefined;
};

export interface Authenticator {
  /** Returns the client that sends a request. Throws LW401 if its token is not valid, and LW503 if the token cannot be checked. */
  authenticate(request: Pick<FastifyRequest, "headers">): Promise<Principal>;
}

/** The accepted algorithms, regardless of the token's header, so that an issuer's public key cannot be used as a shared secret. */
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

/** How far the issuer's and the server's clocks may differ (s). */
const CLOCK_TOLERANCE_S = 5;

/** The longest accepted token (characters). */
const MAX_TOKEN_LENGTH = 8_192;

/** The longest subject and tenant of a JWT (characters). */
const MAX_NAME_LENGTH = 200;

const HINT =
  "Send Authorization: Bearer <token>. `legwork up` writes its token to ready.json, and `legwork token create` creates new tokens.";

/**
 * Identifies clients by their bearer tokens: the generated one (an admin), one of `legwork_private.tokens`, or a JWT from the configured issuer.
 * Only the token counts, so requests never depend on credentials that a browser adds automatically.
 */
export function createAuthenticator({ pool, config, log }: { pool: Pool; config: AuthConfig; log: Logger }): Authenticator {
  const verifyJwt = jwtVerifier(config, log);
  const own = config.token === undefined ? undefined : digest(config.token);
  return {
    async authenticate(request) {
      const token = /^Bearer +(.+)$/i.exec(request.headers.authorization ?? "")?.[1];
      if (token === undefined || token.length > MAX_TOKEN_LENGTH) {
        throw new LegworkError("LW401", "A token is required.", { hint: HINT });
      }
      const hash = digest(token);
      // All digests have the same length, which timingSafeEqual requires and which reveals nothing about the token's length.
      if (own !== undefined && timingSafeEqual(hash, own)) return { subject: "legwork up", role: "admin", tenant: null };
      const principal = /^lw_[0-9a-f]{64}$/.test(token) ? await tokenPrincipal(pool, token) : await verifyJwt?.(token);
      if (principal === undefined) throw new LegworkError("LW401", "The token is not valid.", { hint: HINT });
      return principal;
    },
  };
}

/** Whether any client could authenticate, with a JWT or with a valid token from the database. */
export async function isAuthConfigured(pool: Pool, config: AuthConfig): Promise<boolean> {
  if (config.jwtJwks !== undefined || config.jwtSecret !== undefined) return true;
  const { rows } = await pool.query("select from legwork.token_list where is_valid limit 1");
  return rows.length > 0;
}

function digest(value: string): Buffer {
  return createHash("sha256").update(value).digest();
}

/** Looks up a token in the database, on every request, so that a revoked token is rejected immediately. */
async function tokenPrincipal(pool: Pool, token: string): Promise<Principal | undefined> {
  let row;
  try {
    row = await findToken(pool, token);
  } catch (error) {
    const { code } = translateError(error);
    if (code !== "LW503" && code !== "LW504") throw error;
    throw new LegworkError("LW503", "The token cannot be checked, because the database does not respond.", {
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
        // Log only the code (ERR_JWT_EXPIRED, …), because the error may contain claims.
        log.debug({ code: error.code }, "JWT rejected.");
        return undefined;
      }
      log.warn({ event: "jwt_keys_unreachable", code: error.code }, "Cannot fetch the keys that verify JWTs.");
      throw new LegworkError("LW503", "Cannot fetch the keys needed to verify the token.", {
        hint: "Try again later.",
        cause: error,
      });
    }
    return principalOf(payload, config, log);
  };
}

/**
 * The client that a verified JWT names. Every claim is required: a missing claim must not grant a role or access to all tenants. Throws LW401 with
 * the name of the invalid claim.
 */
function principalOf(payload: JWTPayload, config: AuthConfig, log: Logger): Principal {
  const roleClaim = config.jwtRoleClaim ?? "role";
  const tenantClaim = config.jwtTenantClaim ?? "tenant";
  const { sub, exp, [roleClaim]: role } = payload;
  // Issuers use "*" to mean all tenants.
  const tenant = tenantClaim === "none" ? "*" : payload[tenantClaim];
  const refuse = (claim: string, expected: string): LegworkError => {
    log.info({ event: "jwt_rejected", claim }, "JWT rejected because of an invalid claim.");
    return new LegworkError("LW401", `The token's claim '${claim}' must be ${expected}.`, {
      hint: "Correct the claims that the token's issuer sets. docs/guides/access.md lists them.",
    });
  };
  const aName = `a string of 1 to ${MAX_NAME_LENGTH} characters without control characters`;
  if (!isName(sub)) throw refuse("sub", aName);
  if (!isRole(role)) throw refuse(roleClaim, ROLES.join(", "));
  if (!isName(tenant)) throw refuse(tenantClaim, `${aName}, or *`);
  const end = new Date((exp ?? Number.NaN) * 1_000);
  if (!isTime(end)) throw refuse("exp", "a time before the year 10000, in seconds");
  return { subject: `jwt:${sub}`, role, tenant: tenant === "*" ? null : tenant, expiresAt: end };
}

/** Whether a value is safe as a name in logs, in the database and in URLs. */
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
