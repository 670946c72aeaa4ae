import type { IncomingMessage } from "node:http";
import { isFromTrustedProxy, type TrustedProxies } from "../auth/client-address.ts";

/** The server's own paths, except for the pages of the dashboard. The setting may not begin with one, so that it is clear what can be removed. */
const OWN_PATHS = /^\/(api\/v1|graphql|docs|assets|health|ready|metrics)(\/|$)/;

/** Safe in a page's HTML and script. */
const PATH = /^(\/[\w.~-]+)*$/;

interface Placement {
  /** The path at which another server has mounted this one; "" if it listens itself. */
  readonly prefix: string;
  /** The path in the browser's address, if it is configured. */
  readonly configured: string | undefined;
  readonly trustProxy: TrustedProxies;
}

/** Where clients find this server: the path before its own paths in their addresses, which a proxy may have changed. */
export class PublicPath {
  readonly #placement: Placement;

  constructor(placement: Placement) {
    this.#placement = placement;
  }

  /**
   * The path in this client's address: the configured one, else the prefix, after what a trusted proxy says it has removed (X-Forwarded-Prefix). "" at
   * the root.
   */
  of(request: Pick<IncomingMessage, "socket" | "headers">): string {
    const { prefix, configured, trustProxy } = this.#placement;
    if (configured !== undefined) return configured;
    if (!isFromTrustedProxy(request, trustProxy)) return prefix;
    const removed = String(request.headers["x-forwarded-prefix"] ?? "").replace(/\/+$/, "");
    return PATH.test(removed) ? removed + prefix : prefix;
  }

  /** Removes the configured path from a request's, so that a proxy may keep it or remove it. */
  strip(url: string): string {
    const { configured = "" } = this.#placement;
    return OWN_PATHS.test(url.split("?")[0] ?? "") ? url : withoutPrefix(url, configured);
  }
}

/** Removes a prefix from a request's path, unless it is gone already. */
export function withoutPrefix(address: string | undefined, prefix: string): string {
  const url = address ?? "/";
  const isBelow = prefix !== "" && (url === prefix || url.startsWith(`${prefix}/`) || url.startsWith(`${prefix}?`));
  return isBelow ? url.slice(prefix.length).replace(/^(?!\/)/, "/") : url;
}
