import { copyFileSync } from "node:fs";
import { relative } from "node:path";
import { defineConfig, type MarkdownRenderer } from "vitepress";
import { BASE, BASE_SCRIPT, workUnderAnyBase } from "./any-base.ts";
import { writeLlmsFiles } from "./llms.ts";
import { PAGE_FILES, pageGroups, pathOf, read, resolveLink, ROOT } from "./pages.ts";

const { description, repository } = JSON.parse(read("package.json")) as { description: string; repository: { url: string } };
const REPOSITORY = repository.url.replace(/^git\+/, "").replace(/\.git$/, "");
const groups = pageGroups();

/** The ids of headings as on GitHub, so that a link with a hash works in both places. */
const slugify = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");

/** Links are written for the files of the repository; this rewrites them for the site. A target that does not exist fails the build. */
function rewriteLinks(markdown: MarkdownRenderer): void {
  markdown.core.ruler.push("legwork_links", ({ tokens, env }) => {
    const { realPath } = env as { realPath?: string };
    if (realPath === undefined) return;
    const file = relative(ROOT, realPath);
    for (const token of tokens.flatMap(({ children }) => children ?? [])) {
      const href = token.type === "link_open" ? token.attrGet("href") : null;
      if (href === null || href.startsWith("#") || /^[a-z]+:/.test(href)) continue;
      token.attrSet("href", resolveLink(file, href, REPOSITORY));
    }
  });
}

const CODE_OF_VITEPRESS = "/vitepress/dist/client/app/utils.js";

export default defineConfig({
  title: "Legwork",
  description: `${description}.`,
  lang: "en-US",
  base: BASE,
  srcDir: ROOT,
  srcExclude: ["{.ci,bench,dist,examples,scripts,sql,src,tasks,test}/**", "README.md", "PLAN.md", "docs/.vitepress/**"],
  rewrites: (file) => (PAGE_FILES.has(file) ? pathOf(file) : file),
  outDir: `${ROOT}/docs/.vitepress/dist`,
  cacheDir: `${ROOT}/node_modules/.cache/vitepress`,
  head: [
    ["script", {}, BASE_SCRIPT],
    ["link", { rel: "icon", type: "image/svg+xml", href: `${BASE}icon.svg` }],
  ],
  markdown: { anchor: { slugify }, config: rewriteLinks },
  themeConfig: {
    logo: "/icon.svg",
    nav: [
      { text: "Start", link: "/guides/start", activeMatch: "/guides/start" },
      { text: "Guides", link: "/guides/tasks", activeMatch: "/guides/(?!start)" },
      { text: "Reference", link: "/reference/sql", activeMatch: "/reference/" },
    ].filter(({ link }) => PAGE_FILES.has(`docs${link}.md`)),
    sidebar: groups.map(({ title, pages }) => ({
      text: title,
      items: pages.map(({ title: text, path }) => ({ text, link: `/${path.replace(/\.md$/, "")}` })),
    })),
    outline: [2, 3],
    search: { provider: "local" },
    socialLinks: [{ icon: "github", link: REPOSITORY }],
    editLink: { pattern: `${REPOSITORY}/edit/main/:path`, text: "Edit this page" },
    footer: { message: "Released under the MIT license." },
  },
  vite: {
    publicDir: false,
    // The search index, which is loaded when the search is opened.
    build: { chunkSizeWarningLimit: 2_000 },
    plugins: [
      {
        // The client reads the base from a build constant, but here the base is known only when a page is opened.
        name: "legwork:base-at-run-time",
        enforce: "pre",
        transform: (code, id) =>
          id.includes(CODE_OF_VITEPRESS) ? code.replaceAll("import.meta.env.BASE_URL", "globalThis.__LEGWORK_BASE__") : undefined,
      },
    ],
  },
  buildEnd: ({ outDir }) => {
    copyFileSync(`${ROOT}/src/dashboard/icon.svg`, `${outDir}/icon.svg`);
    writeLlmsFiles(outDir, groups, REPOSITORY);
    workUnderAnyBase(outDir);
  },
});
