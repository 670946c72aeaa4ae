import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { LegworkError } from "../../errors.ts";

/**
 * Refuses a page of another site that has made its own host name point here (DNS rebinding): its requests come from the
 * user's own machine, but they name that host. `hosts` is the address the server listens on and the names it has beside it.
 */
export function assertHost({ headers: { host = "" } }: Pick<IncomingMessage, "headers">, hosts: readonly string[]): void {
  const [, bracketed, plain = ""] = /^(?:\[([\da-f:.]+)\]|([^[\]:]*))(?::\d+)?$/i.exec(host) ?? [];
  const name = (bracketed ?? plain).toLowerCase();
  const isWildcard = hosts[0] === "0.0.0.0" || hosts[0] === "::";
  if (["localhost", "127.0.0.1", "::1"].includes(name) || hosts.some((known) => known.toLowerCase() === name)) return;
  if (isWildcard && isIP(name) !== 0) return;
  throw new LegworkError("LW400", `This server is not '${host.slice(0, 253)}'.`, {
    hint: "Ask localhost, 127.0.0.1 or the configured host (LEGWORK_HOST), or name it in LEGWORK_HOSTS.",
  });
}
