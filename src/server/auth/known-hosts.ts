import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { LegworkError } from "../../errors.ts";

/**
 * Throws LW400 for requests from another site's page whose host name resolves to this server (DNS rebinding). Such requests come from the user's own
 * machine but name the other host. `hosts` is the address that the server listens on, followed by its other names.
 */
export function assertHost({ headers: { host = "" } }: Pick<IncomingMessage, "headers">, hosts: readonly string[]): void {
  const [, bracketed, plain = ""] = /^(?:\[([\da-f:.]+)\]|([^[\]:]*))(?::\d+)?$/i.exec(host) ?? [];
  const name = (bracketed ?? plain).toLowerCase();
  const isWildcard = hosts[0] === "0.0.0.0" || hosts[0] === "::";
  if (["localhost", "127.0.0.1", "::1"].includes(name) || hosts.some((known) => known.toLowerCase() === name)) return;
  if (isWildcard && isIP(name) !== 0) return;
  throw new LegworkError("LW400", `This server does not accept the host '${host.slice(0, 253)}'.`, {
    hint: "Use localhost, 127.0.0.1 or the configured host (LEGWORK_HOST), or add the host to LEGWORK_HOSTS.",
  });
}
