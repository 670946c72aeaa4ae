import type { IncomingMessage } from "node:http";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { LegworkError } from "../../errors.ts";
import { counted } from "../../wording.ts";
import { clientAddress, countedAs, type TrustedProxies } from "./client-address.ts";
import { type Principal, principalKey } from "../../access/principal.ts";

/** The maximum number of tokens, and of addresses, that are counted at a time. The least recently used ones are dropped. */
const COUNTED = 50_000;

declare module "fastify" {
  interface FastifyContextConfig {
    /** Whether the route's requests are counted by client, after authentication. Requests of other routes are counted by address. */
    countsPrincipals?: boolean;
    /** Whether the route's requests are not counted, as is the case for probes. */
    isUncounted?: boolean;
  }
}

/** Limits requests over HTTP and WebSockets to `perMinute` per minute for each client, and for each address without a valid token. */
export class RateLimits {
  readonly #perMinute: number;
  readonly #trusted: TrustedProxies;
  readonly #counted = new WeakSet<object>();
  readonly #ofPrincipals: (key: string) => ReturnType<Count>;
  readonly #ofAddresses: (key: string) => ReturnType<Count>;

  /** `app` must have the plugin @fastify/rate-limit. A `perMinute` of 0 means no limit. */
  constructor(app: FastifyInstance, perMinute: number, trusted: TrustedProxies) {
    this.#perMinute = perMinute;
    this.#trusted = trusted;
    this.#ofPrincipals = counter(app, perMinute);
    this.#ofAddresses = counter(app, perMinute);
  }

  /** The address by which a request is counted. */
  addressOf(request: Pick<IncomingMessage, "socket" | "headers">): string {
    return countedAs(clientAddress(request, this.#trusted));
  }

  /** Counts a client's request. Throws LW429 when the limit is exceeded. */
  async countPrincipal(principal: Principal): Promise<void> {
    await this.#count(this.#ofPrincipals, principalKey(principal), `${principal.subject} has sent too many requests.`);
  }

  /** Counts a request from an unknown client by its address, at most once per request. Throws LW429 when the limit is exceeded. */
  async countAddress(request: Pick<IncomingMessage, "socket" | "headers">): Promise<void> {
    if (this.#counted.has(request)) return;
    this.#counted.add(request);
    await this.#count(
      this.#ofAddresses,
      this.addressOf(request),
      "This address has sent too many requests without a valid token.",
    );
  }

  async #count(count: (key: string) => ReturnType<Count>, key: string, message: string): Promise<void> {
    if (this.#perMinute === 0) return;
    const state = await count(key);
    if (state.isAllowed || !state.isExceeded) return;
    throw new LegworkError("LW429", message, {
      hint: `The limit is ${counted(state.max, "request")} per minute (LEGWORK_RATE_LIMIT). Wait for the number of seconds in Retry-After.`,
      retryAt: new Date(Date.now() + state.ttl),
    });
  }
}

type Count = ReturnType<FastifyInstance["createRateLimit"]>;

/**
 * Creates a counter for requests by key. The plugin derives keys from Fastify's requests. WebSockets have no such request, so the plugin receives an
 * object with the fields that it reads.
 */
function counter(app: FastifyInstance, perMinute: number): (key: string) => ReturnType<Count> {
  const options = {
    max: perMinute,
    timeWindow: 60_000,
    cache: COUNTED,
    keyGenerator: (request: unknown) => (request as Counted).key,
  };
  const count = app.createRateLimit(options);
  return (key) => count({ key, routeOptions: {} } satisfies Counted as unknown as FastifyRequest);
}

interface Counted {
  readonly key: string;
  readonly routeOptions: object;
}
