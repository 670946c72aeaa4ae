import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { beforeEach, describe, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { httpServer } from "../support/http-server.ts";
import { configure, type EndedJob, oneWorker, runJob } from "../support/job.ts";
import { directoryOf } from "../support/worker.ts";

const database = testDatabase();
oneWorker(database);

beforeEach(() => configure({ LEGWORK_ALLOWED_ADDRESSES: "127.0.0.0/8" }));

async function fetched(payload: Record<string, unknown>): Promise<EndedJob> {
  return await runJob(database, "http/fetch", payload, { maxAttempts: 3 });
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

describe("http/fetch", () => {
  it("fetches content once, and later only if it has changed", async () => {
    let text = "one";
    const { url, asked } = await httpServer((response, { headers }) => {
      response.setHeader("etag", `"${text}"`).setHeader("content-type", "text/plain");
      if (headers["if-none-match"] === `"${text}"`) response.writeHead(304).end();
      else response.end(text);
    });
    const first = await fetched({ url });
    expect(first).toMatchObject({
      state: "completed",
      result: {
        changed: true,
        status: 200,
        text: "one",
        bytes: 3,
        checksum: sha256("one"),
        etag: '"one"',
        contentType: "text/plain",
      },
    });
    const { etag, checksum } = first.result;
    expect((await fetched({ url, etag, checksum })).result).toMatchObject({ changed: false, status: 304, checksum });
    text = "two";
    expect((await fetched({ url, etag, checksum })).result).toMatchObject({ changed: true, text: "two" });
    // This server sends the same content again instead of a 304.
    const same = await fetched({ url, checksum: sha256("two") });
    expect(same.result).toMatchObject({ changed: false, status: 200 });
    expect(same.result.text).toBeUndefined();
    expect(asked[0]?.headers["user-agent"]).toBe("legwork");
  });

  it("follows redirects only to allowed addresses", async () => {
    const elsewhere = await httpServer((response) => response.end("elsewhere"));
    const { url, host } = await httpServer((response, { path }) => {
      const target: Record<string, string> = {
        "/on": "/here",
        "/away": elsewhere.url,
        "/metadata": "http://169.254.169.254/latest/",
        "/name": "http://localhost:8089/",
        "/file": "file:///etc/passwd",
        "/round": "/round",
      };
      const location = target[path ?? ""];
      if (location === undefined) response.end(path);
      else response.writeHead(302, { location }).end();
    });
    expect((await fetched({ url: `${url}/on` })).result).toMatchObject({ url: `${url}/here`, text: "/here" });
    expect((await fetched({ url: `${url}/away` })).result.url).toBe(`${elsewhere.url}/`);
    expect((await fetched({ url: `http://user:s3cret@${host}/` })).error).toContain("without user name and password");
    for (const [path, message] of [
      ["/metadata", "not public (linkLocal)"],
      ["/file", "redirects to a URL whose protocol is not allowed: file:."],
      ["/round", "was redirected too often: at most 5 are allowed."],
    ]) {
      expect((await fetched({ url: `${url}${path}` })).error).toContain(message);
    }
    configure({ LEGWORK_ALLOWED_ADDRESSES: new URL(url).hostname });
    expect((await fetched({ url: `${url}/name`, redirects: 0 })).error).toContain(
      "was redirected too often: at most 0 are allowed",
    );
  });

  it("reads only up to its limits on size and time, whether the content is compressed or not", async () => {
    const { url } = await httpServer((response, { path }) => {
      if (path === "/bomb") response.setHeader("content-encoding", "gzip").end(gzipSync(Buffer.alloc(5_000_000)));
      else if (path === "/endless") {
        const more = (): void => {
          while (response.write("x".repeat(65_536)));
          response.once("drain", more);
        };
        more();
      } else if (path === "/slow") response.write("x");
      else response.end("x".repeat(300_000));
    });
    const full = await fetched({ url });
    expect(full.result).toMatchObject({ bytes: 300_000, truncated: true });
    expect(full.result.text).toHaveLength(245_760);
    for (const path of ["/", "/bomb", "/endless"]) {
      const job = await fetched({ url: `${url}${path}`, maxBytes: 200_000 });
      expect(job).toMatchObject({ state: "failed", attempts: 1, error: "The response is larger than 200000 bytes." });
    }
    const slow = await runJob(database, "http/fetch", { url: `${url}/slow`, timeout: "100ms" });
    expect(slow.error).toContain("timeout");
  });

  it("writes the content to a file, either completely or not at all", async () => {
    const folder = await directoryOf({});
    configure({ LEGWORK_ALLOWED_FOLDERS: folder });
    let text = "one";
    const { url } = await httpServer((response, { path }) => {
      if (path === "/broken") response.writeHead(200, { "content-length": "100" }).write("half", () => response.destroy());
      else response.end(text);
    });
    const into = { folder: join(folder, "pages"), name: "page.txt" };
    const first = await fetched({ url, into });
    expect(first.result).toMatchObject({ changed: true, bytes: 3 });
    text = "two";
    await fetched({ url, into, checksum: first.result.checksum });
    await runJob(database, "http/fetch", { url: `${url}/broken`, into });
    expect(await readdir(join(folder, "pages"))).toEqual(["page.txt"]);
    expect(await readFile(join(folder, "pages/page.txt"), "utf8")).toBe("two");
  });

  it("fails at once on a permanent error status, and retries on a temporary one", async () => {
    const { url, asked } = await httpServer((response, { path }) => {
      if (path === "/gone") response.writeHead(404).end();
      else if (asked.length < 4) response.writeHead(503, { "retry-after": "0" }).end();
      else response.end("late");
    });
    expect(await fetched({ url: `${url}/gone` })).toMatchObject({ state: "failed", attempts: 1 });
    expect(await fetched({ url: `${url}/busy` })).toMatchObject({ state: "completed", attempts: 3, result: { text: "late" } });
  });

  it("connects only to public addresses", async () => {
    configure({ LEGWORK_ALLOWED_ADDRESSES: undefined });
    const { url, asked } = await httpServer((response) => response.end());
    expect((await fetched({ url })).error).toContain("not public (loopback)");
    expect((await fetched({ url: url.replace("127.0.0.1", "localhost") })).error).toContain("not public (loopback)");
    expect(asked).toEqual([]);
    configure({ LEGWORK_ALLOWED_ADDRESSES: "localhost" });
    expect((await fetched({ url: url.replace("127.0.0.1", "localhost") })).state).toBe("completed");
  });
});
