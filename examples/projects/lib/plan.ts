import { fromMarkdown } from "mdast-util-from-markdown";
import { gfmTaskListItemFromMarkdown } from "mdast-util-gfm-task-list-item";
import { toString } from "mdast-util-to-string";
import { gfmTaskListItem } from "micromark-extension-gfm-task-list-item";

type Root = ReturnType<typeof fromMarkdown>;
type Node = Root | Root["children"][number];
type Parent = Extract<Node, { children: unknown[] }>;

/** The most check boxes that are kept. */
const TASK_LIMIT = 10_000;

/** The longest title that is kept (characters). */
const TITLE_LIMIT = 1_000;

/** A check box of a plan file. */
export interface PlanTask {
  /** Its place in the file, counted from 1. */
  position: number;
  /** The position of the check box it stands below; null at the top. */
  parent: number | null;
  /** Its first paragraph, as plain text on one line. */
  title: string;
  done: boolean;
  /** How many check boxes it stands below. */
  depth: number;
  /** The headings it stands under, the outermost first. */
  section: string[];
  line: number;
}

/**
 * The check boxes of a Markdown text in their order. A list item without a box is no task and hands what is below it to the
 * box above. A parent counts as it is ticked: its children do not decide for it.
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

/** In percent with two decimals; 0 for a plan without tasks. */
export function progressOf(tasks: readonly PlanTask[]): number {
  const completed = tasks.filter((task) => task.done).length;
  return tasks.length === 0 ? 0 : Math.round((completed / tasks.length) * 10_000) / 100;
}

function plainText(node: Node): string {
  // NUL is the one character that Postgres's text does not hold; Markdown replaces it, a reference to it as well.
  return toString(node, { includeHtml: false }).replaceAll(/\s+/g, " ").trim().slice(0, TITLE_LIMIT).toWellFormed();
}

/** The most files that are read in search of a plan. */
const CANDIDATE_LIMIT = 50;

/** Where plans are kept, the likeliest first. Upper and lower case are the same. */
const USUAL_PLACES = [
  /^plan\.md$/i,
  /^(todo|tasks|roadmap|milestones)\.md$/i,
  /^readme\.md$/i,
  /^docs?\/(plan|todo|tasks|roadmap|milestones|readme)\.md$/i,
  /^docs?\/.*\.md$/i,
  /^[^/]+\.md$/i,
];

/** The files that may hold the plan, the likeliest first: the one that is named, then the usual ones. */
export function planCandidates(files: readonly string[], named: string | null): string[] {
  const wanted = named === null ? [] : files.filter((path) => path === named.replace(/^\.?\//, ""));
  const usual = USUAL_PLACES.flatMap((place) => files.filter((path) => place.test(path)));
  return [...new Set([...wanted, ...usual])].slice(0, CANDIDATE_LIMIT);
}
