import type { IncomingMessage } from "node:http";
import ipaddr from "ipaddr.js";

/** The proxies whose X-Forwarded-For is trusted: how many are in front of the server, or their addresses and address ranges. */
export type TrustedProxies = number | readonly string[];

/**
 * The address of a client: the connection's address, unless it belongs to a trusted proxy. Each proxy appends its client's address to the header
 * X-Forwarded-For. Anything before the first untrusted address may be forged.
 */
export function clientAddress({ socket, headers }: Pick<IncomingMessage, "socket" | "headers">, trusted: TrustedProxies): string {
  let address = socket.remoteAddress ?? "";
  if (trusted === 0) return address;
  const forwarded = String(headers["x-forwarded-for"] ?? "").split(",");
  for (let hop = 0; isTrusted(address, hop, trusted); hop++) {
    const before = forwarded.pop()?.trim() ?? "";
    if (before === "") break;
    address = before;
  }
  return address;
}

/** Whether the client is a trusted proxy, whose forwarding headers count. */
export function isFromTrustedProxy({ socket }: Pick<IncomingMessage, "socket">, trusted: TrustedProxies): boolean {
  return trusted !== 0 && isTrusted(socket.remoteAddress ?? "", 0, trusted);
}

function isTrusted(address: string, hop: number, trusted: TrustedProxies): boolean {
  if (typeof trusted === "number") return hop < trusted;
  const parsed = parse(address);
  return parsed !== undefined && trusted.some((range) => includes(range, parsed));
}

function includes(range: string, address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  const [base, bits] = ipaddr.isValidCIDR(range) ? ipaddr.parseCIDR(range) : [ipaddr.process(range), undefined];
  return base.kind() === address.kind() && address.match(base, bits ?? (base.kind() === "ipv4" ? 32 : 128));
}

/**
 * The key by which an address is counted. For IPv6, this is its /64 network, because a machine is usually assigned one and can use any address in it.
 * An IPv4 address written as IPv6, or with a port as some proxies do, counts as the IPv4 address.
 */
export function countedAs(address: string): string {
  const parsed = parse(address);
  if (parsed === undefined) return address.slice(0, 64);
  if (parsed.kind() === "ipv4") return parsed.toString();
  return `${new ipaddr.IPv6([...parsed.toByteArray().slice(0, 8), 0, 0, 0, 0, 0, 0, 0, 0]).toString()}/64`;
}

function parse(address: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  const [, bracketed, dotted] = /^\[(.*)\](?::\d+)?$|^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(address) ?? [];
  const bare = bracketed ?? dotted ?? address;
  return ipaddr.isValid(bare) ? ipaddr.process(bare) : undefined;
}
