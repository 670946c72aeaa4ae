import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fastifyStatic from "@fastify/static";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { clientStatus } from "../plain-errors.ts";
import type { PublicPath } from "./public-path.ts";

/** Allows only this server's own scripts, styles, images, fonts and requests, and no framing. */
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; " +
  "base-uri 'self'; form-action 'none'; frame-ancestors 'none'";

/** Paths without pages below them. Unknown URLs below them are reported as errors for programs. */
const NO_PAGES = /^\/(api|graphql|docs|assets|health|ready|metrics)(\/|$)/;

const NOT_BUILT = `<!doctype html><html lang="en"><title>Legwork</title><h1>The dashboard has not been built</h1>
<p>Run <code>npm run dashboard</code> in Legwork's folder and reload this page. The <a href="docs">API documentation</a> is available.</p></html>`;

/** The dashboard's pages. They are served without a token; the pages themselves ask the user for it. */
export interface Dashboard {
  /** Whether the request is from a browser that loads a page, not from a program that reads data. */
  wantsPage(request: FastifyRequest): boolean;
  sendPage(request: FastifyRequest, reply: FastifyReply): FastifyReply;
}

/** Serves the built files at `/assets`. */
export async function addDashboard(app: FastifyInstance, publicPath: PublicPath): Promise<Dashboard> {
  const folder = findFolder();
  const page = folder === undefined ? NOT_BUILT : readFileSync(`${folder}/index.html`, "utf8");
  if (folder !== undefined) {
    await app.register(async (files) => {
      // A file that may not be read, such as one outside the folder, is reported as not found.
      files.setErrorHandler((error: FastifyError, request, reply) => {
        if (clientStatus(error) === undefined) throw error;
        reply.callNotFound();
      });
      await files.register(fastifyStatic, {
        root: `${folder}/assets`,
        prefix: "/assets/",
        // The files' names change with their content.
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
    sendPage: ({ raw }, reply) =>
      reply
        .header("content-security-policy", CSP)
        .header("cache-control", "no-cache")
        .type("text/html; charset=utf-8")
        // Relative URLs in the page start at the server's public path, however deep the page's own URL is.
        .send(page.replace('<base href="/"', `<base href="${publicPath.of(raw)}/"`)),
  };
}

/** Finds the built dashboard next to the sources or in the published package; undefined if it has not been built. */
function findFolder(): string | undefined {
  return ["../../../dist/dashboard", "../../../dashboard"]
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(`${path}/index.html`));
}
