import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, extname, posix } from "node:path";
import { parseSync, Visitor } from "oxc-parser";

/** The base path with which the site is built: a text that occurs nowhere else, so that every use of it can be found afterward. */
export const BASE = "/__legwork_base__/";

/**
 * Runs first in every page. Stores the path of the site's folder, which is known only when the page is opened. Modules do not load from
 * a file system, so the dark mode switch has to work without them there.
 */
export const BASE_SCRIPT = `
globalThis.__LEGWORK_BASE__ = new URL("${BASE}", location.href).pathname;
if (location.protocol === "file:") {
  document.documentElement.classList.add("from-file");
  addEventListener("click", (event) => {
    if (!event.target.closest(".VPSwitchAppearance")) return;
    const dark = document.documentElement.classList.toggle("dark");
    localStorage.setItem("vitepress-theme-appearance", dark ? "dark" : "light");
  });
}
`;

/**
 * Runs last in every page that comes from a server, before the page's modules. Following a link within the page changes the URL, so
 * links and pictures that remain on the page must not be relative to it.
 */
const LOADER = (modules: readonly string[]): string => `
if (location.protocol !== "file:") {
  for (const [name, selector] of [["href", "a[href^='.'], link[rel=icon]"], ["src", "img[src^='.']"]])
    for (const element of document.querySelectorAll(selector))
      element.setAttribute(name, new URL(element.getAttribute(name), location.href).href.slice(location.origin.length));
  for (const source of ${JSON.stringify(modules)})
    document.head.append(Object.assign(document.createElement("script"), { type: "module", src: source }));
}`;

/**
 * Makes a built site independent of its URL: it works under any path of any static server, and its pages can be read from a folder.
 * References in HTML and CSS become relative to their file; in scripts, the base becomes the path that `BASE_SCRIPT` has stored. Throws
 * when a page links to a page or a heading that does not exist.
 */
export function workUnderAnyBase(outDir: string): void {
  const files = readdirSync(outDir, { recursive: true, encoding: "utf8" });
  const pages = new Map<string, string>();
  for (const file of files) {
    const rewrite = REWRITES[extname(file)];
    if (rewrite === undefined) continue;
    const text = rewrite(readFileSync(`${outDir}/${file}`, "utf8"), file);
    writeFileSync(`${outDir}/${file}`, text);
    if (file.endsWith(".html") && file !== "404.html") pages.set(file, text);
  }
  const dead = deadLinks(pages, new Set(files));
  if (dead.length > 0) throw new Error(`The site has dead links:\n  ${dead.join("\n  ")}`);
}

const REWRITES: Readonly<Record<string, (text: string, file: string) => string>> = {
  ".html": rewritePage,
  ".css": (text, file) => text.replaceAll(BASE, rootOf(file)),
  ".js": rewriteScript,
};

/** The relative path from a file to the site's folder: `../` for a page in `guides/`. */
const rootOf = (file: string): string => posix.relative(dirname(file), ".").replace(/$/, "/").replace(/^\/$/, "./");

function rewritePage(html: string, file: string): string {
  const modules: string[] = [];
  const withoutModules = html
    .replaceAll(/<link rel="modulepreload" href="[^"]*">\s*/g, "")
    .replaceAll(/<script type="module" src="([^"]*)"><\/script>/g, (_tag, source: string) => {
      modules.push(source);
      return "";
    });
  // Scripts read the base in the site's data, and need the path from the server's root.
  const base = JSON.stringify(JSON.stringify({ base: BASE }).slice(1, -1)).slice(1, -1);
  if (!withoutModules.includes(base)) throw new Error(`${file} does not name its base.`);
  return (
    withoutModules
      .replace("</body>", () => `<script>${LOADER(modules)}</script></body>`)
      .replace(
        /(window\.__VP_SITE_DATA__=JSON\.parse\([^\n]*?\));?(?=<\/script>)/,
        "$1;window.__VP_SITE_DATA__.base=__LEGWORK_BASE__;",
      )
      .replaceAll(BASE, rootOf(file))
      // Opening a folder in a file system shows no page.
      .replaceAll(/href="((?:\.\.?\/)+)"/g, 'href="$1index.html"')
  );
}

/** Replaces the base in strings and templates of a script by the path that the page has stored. */
function rewriteScript(code: string, file: string): string {
  if (!code.includes(BASE)) return code;
  const { program, errors } = parseSync(file, code);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
  const edits: { start: number; end: number; text: string }[] = [];
  new Visitor({
    Literal: ({ start, end, value }) => {
      if (typeof value !== "string" || !value.includes(BASE)) return;
      const source = code.slice(start, end);
      // Literals may follow a keyword without a space.
      const text =
        value === BASE
          ? "(globalThis.__LEGWORK_BASE__)"
          : `(${source}.replaceAll(${JSON.stringify(BASE)},globalThis.__LEGWORK_BASE__))`;
      edits.push({ start, end, text: text.replaceAll(`"${BASE}"`, `"/"+"${BASE.slice(1)}"`) });
    },
    TemplateElement: ({ start, end }) => {
      const source = code.slice(start, end);
      if (source.includes(BASE)) edits.push({ start, end, text: source.replaceAll(BASE, "${globalThis.__LEGWORK_BASE__}") });
    },
  }).visit(program);
  return edits
    .toSorted((one, other) => other.start - one.start)
    .reduce((text, edit) => text.slice(0, edit.start) + edit.text + text.slice(edit.end), code);
}

/** Links and pictures whose target file or heading does not exist. */
function deadLinks(pages: ReadonlyMap<string, string>, files: ReadonlySet<string>): string[] {
  const ids = new Map(
    [...pages].map(([file, html]) => [file, new Set([...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id))]),
  );
  const dead: string[] = [];
  for (const [file, html] of pages) {
    for (const [, href = ""] of html.matchAll(/ (?:href|src)="((?![a-z]+:)[^"]*)"/g)) {
      const [path = "", hash = ""] = href.split("#");
      const target = path === "" ? file : posix.normalize(posix.join(dirname(file), decodeURI(path)));
      const heading = decodeURIComponent(hash);
      if (!files.has(target)) dead.push(`${file}: ${href}`);
      else if (heading !== "" && ids.get(target)?.has(heading) !== true) dead.push(`${file}: ${href} (no such heading)`);
    }
  }
  return [...new Set(dead)];
}
