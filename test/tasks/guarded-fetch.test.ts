import fc from "fast-check";
import ipaddr from "ipaddr.js";
import { beforeEach, describe, expect, it } from "vitest";
import { assertAllowed, checkedAddresses, guardedFetch } from "../../tasks/@lib/guarded-fetch.ts";
import { httpServer } from "../support/http-server.ts";
import { configure } from "../support/job.ts";

const signal = AbortSignal.timeout(60_000);

beforeEach(() => configure({ LEGWORK_ALLOWED_ADDRESSES: undefined }));

describe("guardedFetch", () => {
  it.each([
    ["http://127.0.0.1:1/", "loopback"],
    ["http://[::1]:1/", "loopback"],
    ["http://[::ffff:127.0.0.1]:1/", "loopback"],
    ["http://0x7f.1:1/", "loopback"],
    ["http://2130706433:1/", "loopback"],
    ["http://localhost:8081/", "loopback"],
    ["http://169.254.169.254/latest/meta-data/", "linkLocal"],
    ["http://10.1.2.3/", "private"],
    ["http://192.168.0.1/", "private"],
    ["http://100.100.100.200/", "carrierGradeNat"],
    ["http://168.63.129.16/", "unicast"],
    ["http://[fd00:ec2::254]/", "uniqueLocal"],
    ["http://[64:ff9b::7f00:1]/", "rfc6052"],
    ["http://0.0.0.0:1/", "unspecified"],
  ])("does not connect to %s", async (url, range) => {
    await expect(guardedFetch(url, { signal })).rejects.toThrow(`its address is not public (${range})`);
  });

  it.each([
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "fc00::/7",
    "fe80::/10",
    "::ffff:0:0/104",
  ])("does not connect to an address in %s, however it is written", (range) => {
    const [base, bits] = ipaddr.parseCIDR(range);
    fc.assert(
      fc.property(fc.array(fc.nat(255), { minLength: 16, maxLength: 16 }), (noise) => {
        const bytes = base.toByteArray().map((byte, index) => {
          const fixed = Math.min(8, Math.max(0, bits - 8 * index));
          return byte | ((noise[index] ?? 0) & (0xff >> fixed));
        });
        const address = ipaddr.fromByteArray(bytes);
        // Mapped addresses may be in 0.0.0.0/8, private networks and other ranges, all of which are not public.
        const host = new URL(`http://${address.kind() === "ipv6" ? `[${address.toNormalizedString()}]` : address.toString()}/`)
          .hostname;
        expect(() => assertAllowed(host)).toThrow("is not public");
      }),
    );
  });

  it.each([
    ["127.0.0.1", "http://127.0.0.1/", true],
    ["127.0.0.0/8", "http://127.9.9.9/", true],
    ["127.0.0.1", "http://127.0.0.2/", false],
    ["::1", "http://[::1]/", true],
    ["10.0.0.0/8,fd00::/8", "http://[fd12::1]/", true],
    ["localhost", "http://127.0.0.1/", false],
    ["", "http://93.184.215.14/", true],
    ["", "http://[2606:4700::1111]/", true],
    ["", "http://[2002:7f00:1::]/", false],
    ["", "http://[::127.0.0.1]/", false],
  ])("with '%s' allowed, may connect to %s: %s", (allowed, url, expected) => {
    configure({ LEGWORK_ALLOWED_ADDRESSES: allowed });
    let refused = "";
    try {
      assertAllowed(new URL(url).hostname);
    } catch (error) {
      refused = String(error);
    }
    expect(refused).toMatch(expected ? /^$/ : /is not public/);
  });

  it("resolves a name only if all of its addresses are allowed", async () => {
    await expect(checkedAddresses("localhost")).rejects.toThrow("localhost is not allowed: its address is not public");
    configure({ LEGWORK_ALLOWED_ADDRESSES: "localhost" });
    expect((await checkedAddresses("localhost")).map(({ address }) => address)).toContain("127.0.0.1");
  });

  it("sends the credentials in a URL only to its own origin", async () => {
    configure({ LEGWORK_ALLOWED_ADDRESSES: "127.0.0.1" });
    const elsewhere = await httpServer((response) => response.end());
    const { host, asked } = await httpServer((response) => response.writeHead(302, { location: elsewhere.url }).end());
    await using answer = await guardedFetch(`http://user:p4ss@${host}/`, { signal, redirects: 1 });
    expect(answer.status).toBe(200);
    expect(asked[0]?.headers.authorization).toBe(`Basic ${btoa("user:p4ss")}`);
    expect(elsewhere.asked[0]?.headers.authorization).toBeUndefined();
  });
});
