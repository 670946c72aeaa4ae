import type { IncomingMessage } from "node:http";
import { isFromTrustedProxy, type TrustedProxies } from "../auth/client-address.ts";

/** The server's own paths, except for the dashboard's pages. The public path may not begin with one of them, so that removing it is unambiguous. */
const OWN_PATHS = /^\/(api\/v1|graphql|docs|assets|health|ready|metrics)(\/|$)/;

/** A path that is safe in a page's HTML and scripts. */
const PATH = /^(\/[\w.~-]+)*$/;

interface Placement {
  /** The path at which another server has mounted this one; "" if it listens itself. */
  readonly prefix: string;
  /** The path in the browser's URL, if it is configured. */
  readonly configured: string | undefined;
  readonly trustProxy: TrustedProxies;
}

/** The path at which clients reach this server, as a prefix of its own paths. A proxy may have changed it. */
export class PublicPath {
  readonly #placement: Placement;

  constructor(placement: Placement) {
    this.#placement = placement;
  }

  /**
   * The path in this client's URL: the configured path if there is one, otherwise the path that a trusted proxy reports to have removed
   * (X-Forwarded-Prefix), followed by the prefix. "" at the root.
   */
  of(request: Pick<IncomingMessage, "socket" | "headers">): string {
    const { prefix, configured, trustProxy } = this.#placement;
    if (configured !== undefined) return configured;
    if (!isFromTrustedProxy(request, trustProxy)) return prefix;
    const removed = String(request.headers["x-forwarded-prefix"] ?? "").replace(/\/+$/, "");
    return PATH.test(removed) ? removed + prefix : prefix;
  }

  /** Removes the configured path from a request's URL, so that it does not matter whether a proxy has removed it. */
  strip(url: string): string {
    const { configured = "" } = this.#placement;
    return OWN_PATHS.test(url.split("?")[0] ?? "") ? url : withoutPrefix(url, configured);
  }
}

/** Removes a prefix from a request's path, if it is present. */
export function withoutPrefix(address: string | undefined, prefix: string): string {
  const url = address ?? "/";
  const isBelow = prefix !== "" && (url === prefix || url.startsWith(`${prefix}/`) || url.startsWith(`${prefix}?`));
  return isBelow ? url.slice(prefix.length).replace(/^(?!\/)/, "/") : url;
}
