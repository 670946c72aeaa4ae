import { lookup as resolveName, type LookupAddress } from "node:dns";
import type { LookupFunction } from "node:net";
import { isIP } from "node:net";
import { PayloadError } from "legwork";
import ipaddr from "ipaddr.js";
import { z } from "zod";
import { setting } from "./settings.ts";

/** Addresses that look public and lead to a cloud's own services: Azure's WireServer. */
const SERVICES = new Set(["168.63.129.16"]);

/** All of IPv6 that is global; what else looks ordinary is not routed, or leads back to IPv4. */
const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR("2000::/3");

/** The most redirects that are followed. */
export const MOST_REDIRECTS = 5;

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

export interface GuardedOptions {
  method?: "GET" | "POST" | "DELETE";
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  /** Aborts the request and the reading of its answer. */
  signal: AbortSignal;
  /** How many redirects are followed; none by default, then the answer is the redirect. */
  redirects?: number;
  /** Whether the address is the operator's own, from the configuration: then it may lead anywhere. */
  trusted?: boolean;
}

export interface Answer extends AsyncDisposable {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  /** Where the answer came from, after redirects. */
  readonly url: URL;
  /** Its bytes, unpacked. Throws when there are more than that. */
  chunks(most: number): AsyncGenerator<Uint8Array>;
}

/**
 * Asks an HTTP address that came in as data. Only public addresses are asked, and those that LEGWORK_ALLOWED_ADDRESSES allows: not
 * this machine, not private or link-local networks, not the metadata of a cloud. The address that was checked is the one that is
 * connected to, whatever the name says the next time, and every redirect is checked the same way. Credentials in the address are
 * sent to its own origin only. Throws a PayloadError for an address that is refused. No proxy is used. Dispose of the answer.
 */
export async function guardedFetch(address: string, options: GuardedOptions): Promise<Answer> {
  // Loaded by the first job that needs it.
  const { Agent, fetch } = await import("undici");
  const agent = new Agent({
    connect: options.trusted === true ? {} : { lookup: checkedLookup },
    // One answer and it is over.
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
      if (redirects >= options.redirects) throw new PayloadError(`${shown(url)}: more than ${options.redirects} redirects.`);
      const next = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
      if (next?.protocol !== "https:" && (next?.protocol !== "http:" || url.protocol === "https:")) {
        throw new PayloadError(`${shown(url)} leads to an address that is not followed: ${next?.protocol ?? "none"}.`);
      }
      if (response.status === 303 || (response.status < 303 && method === "POST")) {
        method = "GET";
        body = undefined;
      }
      url = next;
    }
  } catch (error) {
    await agent.destroy();
    // fetch says "fetch failed" and keeps the reason as the cause.
    throw error instanceof TypeError && error.cause instanceof Error ? reasonOf(error.cause) : error;
  }
}

/** The error behind a failed fetch; one that tried several addresses has no message of its own. */
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
    if (bytes > most) throw new PayloadError(`The answer is larger than ${most} bytes.`);
    yield part;
  }
}

/** Throws a PayloadError for a host that is written as an address which is not allowed. Names are checked when they are resolved. */
export function assertAllowed(hostname: string): void {
  const host = hostname.replaceAll(/^\[|\]$/g, "");
  if (isIP(host) !== 0 && !isAllowed(host, host)) throw refusal(host, host);
}

/** For payloads, which the history shows: an address without a user's name and password. */
export const plainAddress = z
  .url({ protocol: /^https?$/, error: "expected an http:// or https:// address" })
  .max(2_000)
  .refine((address) => new URL(address).username === "" && new URL(address).password === "", {
    error: "expected an address without user name and password: the history shows payloads",
  });

/** Resolves a name to addresses all of which are allowed. */
export async function checkedAddresses(hostname: string): Promise<LookupAddress[]> {
  return await new Promise((resolve, reject) => {
    checkedLookup(hostname, { all: true }, (error, addresses) => {
      if (error !== null) reject(error);
      else resolve(addresses as LookupAddress[]);
    });
  });
}

/** As `dns.lookup`, for `net.connect`: what it answers is what is connected to, and all of it was checked. */
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
  return new PayloadError(`${hostname} is not asked: it leads to an address that is not public (${range}).`, {
    hint: "Allow it in LEGWORK_ALLOWED_ADDRESSES, where the worker runs: addresses, ranges, or names of hosts.",
  });
}

function basic({ username, password }: URL): string {
  return `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString("base64")}`;
}

/** An address for people: without credentials and query. */
export function shown(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** When an answer asks to be asked again: its Retry-After, at most a day ahead. */
export function retryAfter(answer: Answer): Date | undefined {
  const header = answer.headers.get("retry-after");
  if (header === null) return undefined;
  const at = /^\d+$/.test(header) ? Date.now() + Number(header) * 1_000 : Date.parse(header);
  return Number.isNaN(at) ? undefined : new Date(Math.min(Math.max(at, Date.now()), Date.now() + 86_400_000));
}
