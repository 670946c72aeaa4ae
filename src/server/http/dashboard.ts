import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fastifyStatic from "@fastify/static";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { clientStatus } from "../plain-errors.ts";

/** Everything is the server's own: no other origin is loaded, asked or may frame it. Styles are files, too. */
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; " +
  "base-uri 'self'; form-action 'none'; frame-ancestors 'none'";

/** Paths below which there are no pages: what is not there is an error for programs. */
const NO_PAGES = /^\/(api|graphql|docs|assets|health|ready|metrics)(\/|$)/;

const NOT_BUILT = `<!doctype html><html lang="en"><title>Legwork</title><h1>The dashboard has not been built</h1>
<p>Run <code>npm run dashboard</code> in the folder of Legwork and load this page again. <a href="docs">The API</a> is there.</p></html>`;

/** The pages of the dashboard: files that need no token, which they ask for themselves. */
export interface Dashboard {
  /** Whether the request is a browser's for a page, and not a program's for data. */
  wantsPage(request: FastifyRequest): boolean;
  sendPage(reply: FastifyReply): FastifyReply;
}

/** Serves the built files at `/assets`; `prefix` is where another server has mounted this one. */
export async function addDashboard(app: FastifyInstance, prefix: string): Promise<Dashboard> {
  const folder = findFolder();
  // Relative addresses in the page start where it is mounted, however deep the page's own address is.
  const page =
    folder === undefined
      ? NOT_BUILT
      : readFileSync(`${folder}/index.html`, "utf8").replace('<base href="/"', `<base href="${prefix}/"`);
  if (folder !== undefined) {
    await app.register(async (files) => {
      // What may not be read, such as what is outside of the folder, is as little there as anything else.
      files.setErrorHandler((error: FastifyError, request, reply) => {
        if (clientStatus(error) === undefined) throw error;
        reply.callNotFound();
      });
      await files.register(fastifyStatic, {
        root: `${folder}/assets`,
        prefix: "/assets/",
        // Their names change with what is in them.
        immutable: true,
        maxAge: "365d",
        preCompressed: true,
        index: false,
        decorateReply: false,
      });
    });
  }
  return {
    wantsPage: ({ method, url, headers }) =>
      (method === "GET" || method === "HEAD") &&
      (headers.accept ?? "").includes("text/html") &&
      !NO_PAGES.test(url.split("?")[0] ?? ""),
    sendPage: (reply) =>
      reply
        .header("content-security-policy", CSP)
        .header("cache-control", "no-cache")
        .type("text/html; charset=utf-8")
        .send(page),
  };
}

/** Beside the sources, or in the published package; undefined where it was not built. */
function findFolder(): string | undefined {
  return ["../../../dist/dashboard", "../../../dashboard"]
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(`${path}/index.html`));
}
