import type { IncomingMessage } from "node:http";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { LegworkError } from "../../errors.ts";
import { clientAddress, countedAs, type TrustedProxies } from "./client-address.ts";
import { type Principal, principalKey } from "../../access/principal.ts";

/** Who is counted at a time, of tokens and of addresses each: beyond that, whoever has not asked for longest is forgotten. */
const COUNTED = 50_000;

declare module "fastify" {
  interface FastifyContextConfig {
    /** Whether requests of the route are counted by who sends them, once that is known. Any other is counted by its address. */
    countsPrincipals?: boolean;
    /** Whether requests of the route are not counted: of what probes ask. */
    isUncounted?: boolean;
  }
}

/** Counts requests, whichever way they come: `perMinute` a minute of each principal, and of each address that has not said who it is. */
export class RateLimits {
  readonly #perMinute: number;
  readonly #trusted: TrustedProxies;
  readonly #counted = new WeakSet<object>();
  readonly #ofPrincipals: (key: string) => ReturnType<Count>;
  readonly #ofAddresses: (key: string) => ReturnType<Count>;

  /** `app` has the plugin @fastify/rate-limit; 0 is any number. */
  constructor(app: FastifyInstance, perMinute: number, trusted: TrustedProxies) {
    this.#perMinute = perMinute;
    this.#trusted = trusted;
    this.#ofPrincipals = counter(app, perMinute);
    this.#ofAddresses = counter(app, perMinute);
  }

  /** The address that a request is counted as. */
  addressOf(request: Pick<IncomingMessage, "socket" | "headers">): string {
    return countedAs(clientAddress(request, this.#trusted));
  }

  /** Counts a request of a principal. Throws LW429 for one too many. */
  async countPrincipal(principal: Principal): Promise<void> {
    await this.#count(this.#ofPrincipals, principalKey(principal), `${principal.subject} sends too many requests.`);
  }

  /** Counts a request of which is not known who sends it, once. Throws LW429 for one too many. */
  async countAddress(request: Pick<IncomingMessage, "socket" | "headers">): Promise<void> {
    if (this.#counted.has(request)) return;
    this.#counted.add(request);
    await this.#count(this.#ofAddresses, this.addressOf(request), "This address sends too many requests without a valid token.");
  }

  async #count(count: (key: string) => ReturnType<Count>, key: string, message: string): Promise<void> {
    if (this.#perMinute === 0) return;
    const state = await count(key);
    if (state.isAllowed || !state.isExceeded) return;
    throw new LegworkError("LW429", message, {
      hint: `A minute has ${state.max} (LEGWORK_RATE_LIMIT). Wait as long as Retry-After says.`,
      retryAt: new Date(Date.now() + state.ttl),
    });
  }
}

type Count = ReturnType<FastifyInstance["createRateLimit"]>;

/** The plugin counts requests by what it makes of them; a WebSocket has none, so it is given what it looks at. */
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
