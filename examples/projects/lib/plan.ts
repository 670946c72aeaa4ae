import { fromMarkdown } from "mdast-util-from-markdown";
import { gfmTaskListItemFromMarkdown } from "mdast-util-gfm-task-list-item";
import { toString } from "mdast-util-to-string";
import { gfmTaskListItem } from "micromark-extension-gfm-task-list-item";

type Root = ReturnType<typeof fromMarkdown>;
type Node = Root | Root["children"][number];
type Parent = Extract<Node, { children: unknown[] }>;

/** The maximum number of check boxes that are kept. */
const TASK_LIMIT = 10_000;

/** The longest title that is kept (characters). */
const TITLE_LIMIT = 1_000;

/** A check box of a plan file. */
export interface PlanTask {
  /** The position in the file, from 1. */
  position: number;
  /** The position of the parent check box; null at the top level. */
  parent: number | null;
  /** The first paragraph, as plain text on one line. */
  title: string;
  done: boolean;
  /** The number of check boxes above it in the hierarchy. */
  depth: number;
  /** The headings above it, outermost first. */
  section: string[];
  line: number;
}

/**
 * Returns the check boxes of a Markdown text, in order. A list item without a box is not a task; boxes below it belong to the
 * box above it. Whether a parent is done depends only on its own box, not on those of its children.
 */
export function parsePlan(markdown: string): PlanTask[] {
  const tree = fromMarkdown(markdown, { extensions: [gfmTaskListItem()], mdastExtensions: [gfmTaskListItemFromMarkdown()] });
  const tasks: PlanTask[] = [];
  const headings: { depth: number; text: string }[] = [];
  const visit = (nodes: Parent, above: PlanTask | undefined): void => {
    for (const node of nodes.children) {
      if (tasks.length >= TASK_LIMIT) return;
      if (node.type === "heading") {
        while ((headings.at(-1)?.depth ?? 0) >= node.depth) headings.pop();
        headings.push({ depth: node.depth, text: plainText(node) });
      } else if (node.type === "listItem" && typeof node.checked === "boolean") {
        const task: PlanTask = {
          position: tasks.length + 1,
          parent: above?.position ?? null,
          title: plainText(node.children[0] ?? node),
          done: node.checked,
          depth: above === undefined ? 0 : above.depth + 1,
          section: headings.map((heading) => heading.text),
          line: node.position?.start.line ?? 1,
        };
        tasks.push(task);
        visit(node, task);
      } else if ("children" in node) {
        visit(node, above);
      }
    }
  };
  visit(tree, undefined);
  return tasks;
}

/** Returns the progress in percent with two decimals; 0 for a plan without tasks. */
export function progressOf(tasks: readonly PlanTask[]): number {
  const completed = tasks.filter((task) => task.done).length;
  return tasks.length === 0 ? 0 : Math.round((completed / tasks.length) * 10_000) / 100;
}

function plainText(node: Node): string {
  // NUL is the only character that Postgres's type text cannot store. Markdown parsers replace it, and character references to it, too.
  return toString(node, { includeHtml: false }).replaceAll(/\s+/g, " ").trim().slice(0, TITLE_LIMIT).toWellFormed();
}

/** The maximum number of files that are searched for a plan. */
const CANDIDATE_LIMIT = 50;

/** The usual places of plans, most likely first. Case-insensitive. */
const USUAL_PLACES = [
  /^plan\.md$/i,
  /^(todo|tasks|roadmap|milestones)\.md$/i,
  /^readme\.md$/i,
  /^docs?\/(plan|todo|tasks|roadmap|milestones|readme)\.md$/i,
  /^docs?\/.*\.md$/i,
  /^[^/]+\.md$/i,
];

/** Returns the files that may contain the plan, most likely first: the named file, then the usual ones. */
export function planCandidates(files: readonly string[], named: string | null): string[] {
  const wanted = named === null ? [] : files.filter((path) => path === named.replace(/^\.?\//, ""));
  const usual = USUAL_PLACES.flatMap((place) => files.filter((path) => place.test(path)));
  return [...new Set([...wanted, ...usual])].slice(0, CANDIDATE_LIMIT);
}
