import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type PageGroup, read, resolveLink } from "./pages.ts";

const SUMMARY = `# Legwork

> Background jobs that live in your Postgres: retries, limits, schedules, workflows, history, alerts and a dashboard on top of graphile-worker, without a broker or a second database.
`;

/**
 * Writes llms.txt (https://llmstxt.org: a line per page with its link and description), llms-full.txt (every page in one file), and the
 * Markdown of each page next to its HTML.
 */
export function writeLlmsFiles(outDir: string, groups: readonly PageGroup[], repository: string): void {
  const list: string[] = [SUMMARY];
  const full: string[] = [SUMMARY];
  for (const { title, pages } of groups) {
    list.push(`## ${title}\n\n${pages.map((page) => `- [${page.title}](${page.path}): ${page.description}`).join("\n")}\n`);
    for (const { file, path } of pages) {
      const markdown = withLinksOfSite(file, repository);
      const target = `${outDir}/${path}`;
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, markdown);
      full.push(`<!-- ${path} -->\n\n${markdown}`);
    }
  }
  writeFileSync(`${outDir}/llms.txt`, list.join("\n"));
  writeFileSync(`${outDir}/llms-full.txt`, full.join("\n"));
}

/** The Markdown of a page, with links that work on the site. Code and pictures are unchanged. */
function withLinksOfSite(file: string, repository: string): string {
  return read(file).replaceAll(
    /(?<code>^```[\s\S]*?^```|`[^`\n]+`)|(?<!!)(?<=\]\()(?!#|[a-z]+:)(?<href>[^)\s]+)(?=\))/gm,
    (text: string, ...rest: unknown[]) => {
      const { href } = rest.at(-1) as { href?: string };
      return href === undefined || /\.(?:png|svg)$/.test(href) ? text : resolveLink(file, href, repository);
    },
  );
}
