import { lookup as resolveName, type LookupAddress } from "node:dns";
import type { LookupFunction } from "node:net";
import { isIP } from "node:net";
import { PayloadError } from "legwork";
import ipaddr from "ipaddr.js";
import { z } from "zod";
import { setting } from "./settings.ts";

/** Addresses that look public but lead to a cloud's internal services: Azure's WireServer. */
const SERVICES = new Set(["168.63.129.16"]);

/** The global part of IPv6. Other unicast addresses are not routed, or map to IPv4. */
const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR("2000::/3");

/** The maximum number of redirects that are followed. */
export const MOST_REDIRECTS = 5;

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

export interface GuardedOptions {
  method?: "GET" | "POST" | "DELETE";
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  /** Aborts the request and the reading of the response. */
  signal: AbortSignal;
  /** How many redirects to follow. Default: none; the response is then the redirect itself. */
  redirects?: number;
  /** Whether the URL comes from the operator's configuration. Such a URL may lead to any address. */
  trusted?: boolean;
}

export interface Answer extends AsyncDisposable {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  /** The final URL, after redirects. */
  readonly url: URL;
  /** Yields the body, decompressed. Throws if it is larger than `most` bytes. */
  chunks(most: number): AsyncGenerator<Uint8Array>;
}

/**
 * Sends a request to an HTTP URL from untrusted data. Allows only public addresses and those in LEGWORK_ALLOWED_ADDRESSES: not this machine, private
 * or link-local networks, or a cloud's metadata service. Connects to exactly the IP address that was checked, even if the name later resolves to
 * another one, and checks every redirect in the same way. Credentials in the URL are sent only to its own origin. No proxy is used. Throws a
 * PayloadError for a URL that is not allowed. The caller must dispose of the response.
 */
export async function guardedFetch(address: string, options: GuardedOptions): Promise<Answer> {
  // Loaded only when the first job needs it.
  const { Agent, fetch } = await import("undici");
  const agent = new Agent({
    connect: options.trusted === true ? {} : { lookup: checkedLookup },
    // One request per connection.
    pipelining: 0,
    allowH2: false,
  });
  try {
    let url = new URL(address);
    const { origin } = url;
    let method = options.method ?? "GET";
    let { body } = options;
    for (let redirects = 0; ; redirects++) {
      if (options.trusted !== true) assertAllowed(url.hostname);
      const target = new URL(url);
      target.username = "";
      target.password = "";
      const headers: Record<string, string> = { "user-agent": "legwork", ...options.headers };
      if (url.username !== "" || url.password !== "") headers.authorization = basic(url);
      if (url.origin !== origin) delete headers.authorization;
      const response = await fetch(target.href, {
        method,
        headers,
        body,
        redirect: "manual",
        signal: options.signal,
        dispatcher: agent,
      });
      const location = response.headers.get("location");
      if (!REDIRECTS.has(response.status) || location === null || options.redirects === undefined) {
        return {
          status: response.status,
          headers: response.headers,
          url: target,
          chunks: (most) => chunksOf(response.body, most),
          [Symbol.asyncDispose]: async () => await agent.destroy(),
        };
      }
      await response.body?.cancel();
      if (redirects >= options.redirects)
        throw new PayloadError(`${shown(url)} was redirected too often: at most ${options.redirects} are allowed.`);
      const next = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
      if (next?.protocol !== "https:" && (next?.protocol !== "http:" || url.protocol === "https:")) {
        throw new PayloadError(`${shown(url)} redirects to a URL whose protocol is not allowed: ${next?.protocol ?? "none"}.`);
      }
      if (response.status === 303 || (response.status < 303 && method === "POST")) {
        method = "GET";
        body = undefined;
      }
      url = next;
    }
  } catch (error) {
    await agent.destroy();
    // The error from fetch says only "fetch failed"; the reason is in its cause.
    throw error instanceof TypeError && error.cause instanceof Error ? reasonOf(error.cause) : error;
  }
}

/** Returns the error behind a failed fetch: the first error if several addresses were tried, because the aggregate error has no message. */
function reasonOf(cause: Error): Error {
  if (cause instanceof AggregateError && cause.message === "") {
    const first = cause.errors[0] as unknown;
    return first instanceof Error ? first : cause;
  }
  return cause;
}

async function* chunksOf(body: AsyncIterable<unknown> | null, most: number): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of body ?? []) {
    const part = chunk as Uint8Array;
    bytes += part.length;
    if (bytes > most) throw new PayloadError(`The response is larger than ${most} bytes.`);
    yield part;
  }
}

/** Throws a PayloadError if the host is an IP address that is not allowed. Names are checked when they are resolved. */
export function assertAllowed(hostname: string): void {
  const host = hostname.replaceAll(/^\[|\]$/g, "");
  if (isIP(host) !== 0 && !isAllowed(host, host)) throw refusal(host, host);
}

/** A URL without user name and password, for payloads, because the history shows payloads. */
export const plainAddress = z
  .url({ protocol: /^https?$/, error: "expected an http:// or https:// URL" })
  .max(2_000)
  .refine((address) => new URL(address).username === "" && new URL(address).password === "", {
    error: "expected a URL without user name and password: the history shows payloads",
  });

/** Resolves a name to addresses. Rejects unless all of them are allowed. */
export async function checkedAddresses(hostname: string): Promise<LookupAddress[]> {
  return await new Promise((resolve, reject) => {
    checkedLookup(hostname, { all: true }, (error, addresses) => {
      if (error !== null) reject(error);
      else resolve(addresses as LookupAddress[]);
    });
  });
}

/** Like `dns.lookup`, for `net.connect`, which connects to exactly the addresses that this returns. All of them are checked. */
const checkedLookup: LookupFunction = (hostname, options, answer) => {
  resolveName(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) {
      answer(error, []);
      return;
    }
    try {
      const refused = addresses.find(({ address }) => !isAllowed(hostname, address));
      if (refused !== undefined) answer(refusal(hostname, refused.address), []);
      else if (options.all === true) answer(null, addresses);
      else answer(null, addresses[0]?.address ?? "", addresses[0]?.family);
    } catch (wrong) {
      answer(wrong as Error, []);
    }
  });
};

function isAllowed(hostname: string, address: string): boolean {
  const parsed = ipaddr.process(address);
  for (const entry of setting("LEGWORK_ALLOWED_ADDRESSES") ?? []) {
    if (ipaddr.isValidCIDR(entry)) {
      const [range, bits] = ipaddr.parseCIDR(entry);
      if (range.kind() === parsed.kind() && parsed.match(range, bits)) return true;
    } else if (ipaddr.isValid(entry)) {
      if (ipaddr.process(entry).toString() === parsed.toString()) return true;
    } else if (entry.toLowerCase() === hostname.toLowerCase()) {
      return true;
    }
  }
  return isPublic(parsed);
}

function isPublic(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  if (address.range() !== "unicast" || SERVICES.has(address.toString())) return false;
  return address.kind() === "ipv4" || address.match(GLOBAL_IPV6[0], GLOBAL_IPV6[1]);
}

function refusal(hostname: string, address: string): PayloadError {
  const range = ipaddr.process(address).range();
  return new PayloadError(`${hostname} is not allowed: its address is not public (${range}).`, {
    hint: "Add it to LEGWORK_ALLOWED_ADDRESSES in the worker's environment: addresses, ranges or host names.",
  });
}

function basic({ username, password }: URL): string {
  return `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString("base64")}`;
}

/** Returns a URL for messages, without credentials and query. */
export function shown(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** Returns when to retry, from the response's Retry-After header: at most a day ahead. */
export function retryAfter(answer: Answer): Date | undefined {
  const header = answer.headers.get("retry-after");
  if (header === null) return undefined;
  const at = /^\d+$/.test(header) ? Date.now() + Number(header) * 1_000 : Date.parse(header);
  return Number.isNaN(at) ? undefined : new Date(Math.min(Math.max(at, Date.now()), Date.now() + 86_400_000));
}
