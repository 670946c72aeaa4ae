// Finds words and patterns in prose that docs/guides/glossary.md and CONTRIBUTING.md rule out: in comments, strings, JSX text, SQL comments and
// messages, and Markdown.
//
//   node scripts/check-words.ts                  every file of the repository
//   node scripts/check-words.ts sql/definitions  one folder or file
//   node scripts/check-words.ts --count          how often each pattern occurs
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { extname } from "node:path";
import { pathToFileURL } from "node:url";
import { parseSync, Visitor } from "oxc-parser";

interface Pattern {
  readonly name: string;
  readonly matches: RegExp;
  readonly better: string;
}

const PATTERNS: readonly Pattern[] = [
  {
    name: "whoever",
    matches: /\bwho(?:ever|mever|sever|ms?oever)\b/gi,
    better: "name the actor: the caller, client, worker, user or session that …",
  },
  { name: "nobody", matches: /\bnobody\b/gi, better: "name what is missing: no worker, no user, no one" },
  {
    name: "somebody",
    matches: /\b(?:somebody|someone else)\b/gi,
    better: "name the actor: another session, a user, another request",
  },
  { name: "everybody", matches: /\beverybody\b/gi, better: "name the group: all users, every worker" },
  { name: "anybody", matches: /\banybody\b/gi, better: "name the group: any user, any client" },
  {
    name: "is no",
    matches:
      /(?<!there )\b(?:is|are|was|were|be) no (?!longer\b|more\b|less\b|fewer\b|later\b|earlier\b|larger\b|smaller\b|older\b|newer\b|worse\b|better\b|different\b|need\b)[a-z]/gi,
    better: "'is not a …', 'does not exist'",
  },
  { name: "is none", matches: /\b(?:is|are|was|were) none\b/gi, better: "'does not exist', 'there are no …', 'is not one'" },
  { name: "knows no", matches: /\b(?:know|knows|knew|has heard of) no\b/gi, better: "'does not know …', 'unknown …'" },
  { name: "since when", matches: /\bsince when\b/gi, better: "'when it was paused', 'when it began to …', 'for how long'" },
  { name: "of yours", matches: /\bof (?:yours|ours|theirs|hers|mine)\b/gi, better: "a possessive: your …, our …" },
  { name: "he", matches: /\b(?:he|him|his|himself|she|herself)\b/gi, better: "they, or the role: the user, the operator" },
  { name: "(s)", matches: /[a-z]\(s\)(?![\w(])/g, better: 'counted(n, "job") writes the plural' },
  { name: "tell of", matches: /\b(?:tell|tells|told|telling) of\b/gi, better: "report, list, announce" },
  { name: "anew", matches: /\banew\b/gi, better: "again; 'make anew' is recreate" },
  { name: "be had", matches: /\b(?:can|cannot|could|may|to) be had\b/gi, better: "obtained, fetched, available" },
  { name: "cure", matches: /\b(?:cures?|cured|remedy|remedies)\b/gi, better: "fix (docs/guides/glossary.md)" },
  { name: "lane", matches: /\blanes?\b/gi, better: "line (docs/guides/glossary.md)" },
  {
    name: "fronted verb",
    matches: /(?:^|[.:;]\s+)(?:Measured|Refused|Meant|Asked|Told|Shown|Kept|Tried|Said) (?:is|are|was|were)\b/g,
    better: "normal word order: '… is refused'",
  },
  { name: "as one says", matches: /\bas one (?:says|knows|would|has)\b/gi, better: "say it directly" },
  { name: "so many", matches: /\band so many (?:do|are|live|run)\b/gi, better: "'has reached its limit of …'" },
  { name: "go on", matches: /\b(?:go|goes|went) on\b/gi, better: "continue, keep running" },
  { name: "the most", matches: /\bThe most (?!that\b|urgent\b|memory\b)[a-z]/g, better: "the maximum number of …" },
  { name: "belong into", matches: /\bbelongs? into\b/gi, better: "belongs in" },
  { name: "of who", matches: /\bof who\b/gi, better: "of the user who …" },
  {
    name: "keeps no",
    matches: /\bkeeps? no (?:others?|jobs?)\b/gi,
    better: "does not prevent … from …",
  },
  { name: "has the focus", matches: /\bhas the focus\b/gi, better: "has focus" },
  { name: "all the same", matches: /\ball the same\b/gi, better: "anyway, still" },
];

export interface Found {
  readonly file: string;
  readonly line: number;
  readonly name: string;
  readonly text: string;
  readonly better: string;
}

/** Returns the text of a file with all code replaced by blanks, so that positions stay the same. */
export function proseOf(file: string, source: string): string {
  const extension = extname(file);
  if ([".ts", ".tsx", ".js", ".mjs", ".cjs", ".mts", ".cts"].includes(extension)) return proseOfTypeScript(file, source);
  if (extension === ".sql") return proseOfSql(source);
  if (extension === ".md") return proseOfMarkdown(source);
  return source;
}

const blank = (text: string): string => text.replaceAll(/[^\n]/g, " ");

function keep(source: string, spans: readonly (readonly [start: number, end: number])[]): string {
  let kept = "";
  let at = 0;
  for (const [start, end] of spans.toSorted(([one], [other]) => one - other)) {
    if (start < at) continue;
    kept += blank(source.slice(at, start)) + source.slice(start, end);
    at = end;
  }
  return kept + blank(source.slice(at));
}

function proseOfTypeScript(file: string, source: string): string {
  const { program, comments } = parseSync(file, source);
  const spans: [number, number][] = comments.map(({ start, end }) => [start, end]);
  const add = ({ start, end }: { start: number; end: number }): void => void spans.push([start, end]);
  new Visitor({
    Literal: (node) => {
      if (typeof node.value === "string") add(node);
    },
    TemplateElement: add,
    JSXText: add,
  }).visit(program);
  return keep(source, spans);
}

function proseOfSql(source: string): string {
  const spans: [number, number][] = [];
  for (const { index, 0: text } of source.matchAll(/--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'/g))
    spans.push([index, index + text.length]);
  return keep(source, spans);
}

function proseOfMarkdown(source: string): string {
  return source.replaceAll(/^(?<fence>`{3,}|~{3,})[\s\S]*?^\k<fence>[ \t]*$|`[^`\n]+`|\]\([^)\n]+\)/gm, blank);
}

/** Returns every match of a pattern in the prose of a file. */
export function check(file: string, source: string): Found[] {
  const lines = proseOf(file, source).split("\n");
  return lines.flatMap((text, index) =>
    PATTERNS.flatMap(({ name, matches, better }) =>
      Array.from(text.matchAll(matches), () => ({ file, line: index + 1, name, text: text.trim(), better })),
    ),
  );
}

// Leaves out the patterns themselves, generated files and drawings.
const SKIPPED =
  /^(?:scripts\/check-words\.ts|test\/check-words\.test\.ts|test\/snapshots\/|test\/upgrade\/releases\/|package-lock\.json|LICENSE)|\.(?:png|svg|gz|json|ico|woff2?)$/;

function filesIn(paths: readonly string[]): string[] {
  const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "--", ...paths], {
    encoding: "utf8",
  });
  return listed.split("\n").filter((file) => file !== "" && !SKIPPED.test(file));
}

function main(): void {
  const paths = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
  const found = filesIn(paths).flatMap((file) => check(file, readFileSync(file, "utf8")));
  if (process.argv.includes("--count")) {
    for (const { name } of PATTERNS)
      console.log(`${String(found.filter((each) => each.name === name).length).padStart(5)}  ${name}`);
    return;
  }
  for (const { file, line, name, text, better } of found)
    console.log(`${file}:${line}: "${name}": ${better}\n    ${text.slice(0, 160)}`);
  if (found.length > 0) {
    console.log(`\n${found.length} found.`);
    process.exitCode = 1;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) main();
