import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, posix } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout, which is VitePress's source directory: some of its pages are outside docs/. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

interface Group {
  readonly title: string;
  /** Files relative to the checkout. A file that does not exist yet is left out. */
  readonly files: readonly string[];
}

const guides = (...names: string[]): string[] => names.map((name) => `docs/guides/${name}.md`);
const reference = (...names: string[]): string[] => names.map((name) => `docs/reference/${name}.md`);

const GROUPS: readonly Group[] = [
  { title: "Start", files: guides("start", "from-graphile-worker", "from-pg-boss", "from-bullmq", "glossary") },
  {
    title: "Build",
    files: guides(
      "tasks",
      "tasks-in-other-languages",
      "enqueueing",
      "life-of-a-job",
      "limits",
      "bulk-actions",
      "schedules",
      "workflows",
      "steps",
      "hooks",
      "typescript",
      "testing",
      "embedding",
      "frameworks",
    ),
  },
  {
    title: "Other languages",
    files: guides("languages/python", "languages/ruby", "languages/go", "languages/php", "languages/java", "languages/dotnet"),
  },
  {
    title: "Operate",
    files: guides("production", "scaling", "on-call", "logs", "alerts", "dashboard", "upgrading", "embedded", "poolers"),
  },
  { title: "Secure", files: guides("threat-model", "access", "containment", "isolation") },
  {
    title: "Reference",
    files: reference(
      "sql",
      "typescript",
      "cli",
      "rest",
      "graphql",
      "configuration",
      "errors",
      "metrics",
      "access-matrix",
      "compatibility",
      "database-footprint",
      "benchmarks",
      "dependencies",
      "stability",
    ),
  },
  {
    title: "Project",
    files: ["ARCHITECTURE.md", "docs/guides/systems.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"],
  },
];

export interface Page {
  /** The file, relative to the checkout. */
  readonly file: string;
  /** The path on the site: `guides/start.md`. */
  readonly path: string;
  readonly title: string;
  /** The first sentences of the page, as plain text. */
  readonly description: string;
}

export interface PageGroup {
  readonly title: string;
  readonly pages: readonly Page[];
}

/** Returns the path on the site for a file in the checkout: `docs/guides/start.md` is `guides/start.md`, `SECURITY.md` is `project/security.md`. */
export function pathOf(file: string): string {
  return file.startsWith("docs/") ? file.slice("docs/".length) : `project/${basename(file).toLowerCase()}`;
}

export const read = (file: string): string => readFileSync(`${ROOT}/${file}`, "utf8");

/** Every group of the sidebar with the pages that exist. */
export function pageGroups(): PageGroup[] {
  return GROUPS.map(({ title, files }) => ({
    title,
    pages: files
      .filter((file) => existsSync(`${ROOT}/${file}`))
      .map((file) => {
        const { title: pageTitle, description } = describe(read(file));
        return { file, path: pathOf(file), title: pageTitle, description };
      }),
  })).filter(({ pages }) => pages.length > 0);
}

/** The files that are pages, including the start page. */
export const PAGE_FILES: ReadonlySet<string> = new Set(["docs/index.md", ...GROUPS.flatMap(({ files }) => files)]);

function describe(markdown: string): { title: string; description: string } {
  const title = /^# (.+)$/m.exec(markdown)?.[1] ?? "";
  const paragraph = markdown
    .replace(/^---\n[\s\S]*?\n---\n/, "")
    .split(/\n{2,}/)
    .find((block) => /^[\p{L}`*[]/u.test(block) && !block.startsWith("```"));
  const text = plain(paragraph ?? "");
  const sentences = text.match(/.+?[.!?:](?=\s|$)/g) ?? [text];
  const [first = "", second = ""] = sentences.map((each) => each.trim());
  const description = (first.length < 60 ? `${first} ${second}` : first).trim().replace(/:$/, ".");
  return { title: plain(title), description };
}

const plain = (markdown: string): string =>
  markdown
    .replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replaceAll(/[`*]/g, "")
    .replaceAll(/\s+/g, " ")
    .trim();

/**
 * Returns the target on the site of a link in a file: relative to the page if the target is a page, otherwise in the repository.
 * Throws if the target does not exist.
 */
export function resolveLink(file: string, href: string, repository: string): string {
  const [path = "", ...rest] = href.split("#");
  const hash = rest.length === 0 ? "" : `#${rest.join("#")}`;
  const target = posix.normalize(posix.join(dirname(file), decodeURI(path)));
  if (!existsSync(`${ROOT}/${target}`)) throw new Error(`${file} links to ${href}, which does not exist.`);
  if (target === "README.md" && hash === "") return relativePath(file, "index.md");
  if (PAGE_FILES.has(target)) return relativePath(file, pathOf(target)) + hash;
  return `${repository}/blob/main/${target}${hash}`;
}

function relativePath(file: string, path: string): string {
  const relative = posix.relative(posix.dirname(pathOf(file)), path);
  return relative.startsWith(".") ? relative : `./${relative}`;
}
