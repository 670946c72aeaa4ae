import { createHash } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { PublicPath } from "../http/public-path.ts";

/** The path of the IDE's files. */
const FILES = "/graphql/ide/";

/**
 * Sends the token that the dashboard stores in this browser, unless a header overrides it. Without a stored token, the headers contain a placeholder.
 */
const BEGIN = `
RURU_CONFIG.isHeadersEditorEnabled = true;
RURU_CONFIG.defaultQuery = "{\\n  jobs(first: 10) {\\n    nodes { id task state }\\n  }\\n}\\n";
const kept = localStorage.getItem("legwork.token") ?? sessionStorage.getItem("legwork.token");
if (kept === null) RURU_CONFIG.initialHeaders = JSON.stringify({ authorization: "Bearer <token>" }, null, 2);
else {
  const ask = globalThis.fetch;
  globalThis.fetch = (address, options = {}) => {
    const headers = new Headers(options.headers);
    if (!headers.has("authorization")) headers.set("authorization", "Bearer " + kept);
    return ask(address, { ...options, headers });
  };
}
`;

export interface GraphQlIde {
  /** Whether a browser requests the page. */
  wantsPage(request: FastifyRequest): boolean;
  sendPage(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply>;
}

/** Adds Ruru, a version of GraphiQL, at `GET /graphql`, and serves all its files. The package is loaded on the first request. */
export function addGraphQlIde(app: FastifyInstance, publicPath: PublicPath): GraphQlIde {
  app.get(`${FILES}*`, async (request, reply) => {
    const { getStaticFile } = await import("ruru/static");
    const file = await getStaticFile({
      staticPath: FILES,
      urlPath: request.url.split("?")[0] ?? "",
      acceptEncoding: request.headers["accept-encoding"],
      disallowDevAssets: true,
    });
    if (file === null) return reply.callNotFound();
    return reply.headers(file.headers).header("cache-control", "private, max-age=3600").send(file.content);
  });
  return {
    wantsPage: ({ headers }) => (headers.accept ?? "").includes("text/html"),
    async sendPage({ raw }, reply) {
      const { html, policy } = await makePage(publicPath.of(raw));
      return reply
        .header("content-security-policy", policy)
        .header("cache-control", "no-cache")
        .type("text/html; charset=utf-8")
        .send(html);
    },
  };
}

async function makePage(prefix: string): Promise<{ html: string; policy: string }> {
  const { makeHTMLParts, ruruHTML } = await import("ruru/server");
  const config = {
    endpoint: `${prefix}/graphql`,
    subscriptionEndpoint: `${prefix}/graphql`,
    staticPath: `${prefix}${FILES}`,
  };
  const { configScript } = makeHTMLParts(config);
  const html = ruruHTML({
    ...config,
    htmlParts: { configScript: configScript.replace("</script>", `${BEGIN}</script>`) },
  });
  // Allow only this page's inline scripts and this server's files. The editor creates styles while it runs.
  const scripts = [...html.matchAll(/<script[^>]*>([\s\S]*?)<\/script>/g)].map(
    ([, text = ""]) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`,
  );
  const policy =
    `default-src 'none'; script-src 'self' ${scripts.join(" ")}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; ` +
    "connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  return { html, policy };
}
