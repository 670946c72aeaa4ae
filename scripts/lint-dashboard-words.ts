import { basename } from "node:path";

/** The part of oxlint's plugin API that this file uses. Its package exports no types for plugins. */
interface Node {
  readonly type: string;
  readonly name?: Node | string;
  readonly value?: unknown;
  readonly children?: readonly Node[];
  readonly openingElement?: Node;
  readonly expression?: Node;
  readonly consequent?: Node;
  readonly alternate?: Node;
  readonly left?: Node;
  readonly right?: Node;
  readonly operator?: string;
  readonly body?: Node;
  readonly quasis?: readonly Node[];
  readonly callee?: Node;
  readonly arguments?: readonly Node[];
  readonly key?: Node;
  readonly parent?: Node;
}
interface Context {
  readonly filename: string;
  report(problem: { node: Node; message: string }): void;
}

const MESSAGE = "The dashboard's texts belong in the words.ts file of their feature. Move this text there.";

/** Elements for commands, statements and keys, which are not prose. */
const CODE_ELEMENTS = new Set(["code", "kbd"]);

/** Attributes and properties that contain text for users. */
const TEXTS = new Set([
  "absent",
  "alt",
  "any",
  "aria-description",
  "aria-label",
  "aria-roledescription",
  "aria-valuetext",
  "data-label",
  "detail",
  "dismiss",
  "done",
  "explains",
  "hint",
  "label",
  "lead",
  "legend",
  "note",
  "placeholder",
  "problem",
  "sentence",
  "submit",
  "text",
  "title",
  "waiting",
  "words",
]);

/** Functions and classes whose first argument is a message. */
const SPEAKERS = new Set(["tell", "announce", "Error", "Problem"]);

const hasLetters = (text: unknown): boolean => typeof text === "string" && /\p{L}/u.test(text);

/** Whether a text reads like a sentence or a label: "Something went", or three words such as "waiting for dependencies". */
const isPhrase = (text: unknown): boolean =>
  typeof text === "string" && /^\s*(?:\p{Lu}[\p{Ll}’']* \p{L}|\p{L}{2,}(?:,? \p{L}[\p{L}’']*){2})/u.test(text);

/** Whether a text is a capitalized word, as in a table of labels: { open: "Live" }. */
const isLabel = (text: unknown): boolean => typeof text === "string" && /^\p{Lu}\p{Ll}/u.test(text);

const isClassName = ({ parent }: Node): boolean => parent?.type === "JSXAttribute" && nameOf(parent.name) === "className";

const nameOf = (node: Node | string | undefined): string | undefined =>
  typeof node === "string" || node === undefined
    ? node
    : typeof node.name === "string"
      ? node.name
      : (node.value as string | undefined);

const rawOf = (quasi: Node): string => (quasi.value as { raw: string }).raw;

/** Yields the literals that an expression may evaluate to, or that its text may contain. */
function* literalsOf(node: Node | undefined): Generator<Node> {
  switch (node?.type) {
    case "Literal":
      if (hasLetters(node.value)) yield node;
      break;
    case "TemplateLiteral":
      if (node.quasis?.some((quasi) => hasLetters(rawOf(quasi).replaceAll(/\\u[0-9a-f]{4}/gi, ""))) === true) yield node;
      break;
    case "ConditionalExpression":
      yield* literalsOf(node.consequent);
      yield* literalsOf(node.alternate);
      break;
    case "LogicalExpression":
      if (node.operator !== "&&") yield* literalsOf(node.left);
      yield* literalsOf(node.right);
      break;
    case "BinaryExpression":
      if (node.operator === "+") {
        yield* literalsOf(node.left);
        yield* literalsOf(node.right);
      }
      break;
    case "ArrowFunctionExpression":
      if (node.body?.type !== "BlockStatement") yield* literalsOf(node.body);
      break;
    case "JSXExpressionContainer":
    case "ParenthesizedExpression":
    case "TSAsExpression":
    case "TSSatisfiesExpression":
    case "TSNonNullExpression":
      yield* literalsOf(node.expression);
      break;
    default:
  }
}

/**
 * The rule `legwork-dashboard/words`: reports texts for users outside words.ts: JSX text, text attributes and properties, messages, and every
 * string that reads like a phrase. Separators and single glyphs are allowed.
 */
function createWordsRule(context: Context): Record<string, (node: Node) => void> {
  if (basename(context.filename) === "words.ts") return {};
  const reported = new Set<Node>();
  const report = (node: Node): void => {
    if (reported.has(node)) return;
    reported.add(node);
    context.report({ node, message: MESSAGE });
  };
  const check = (node: Node | undefined): void => {
    for (const literal of literalsOf(node)) report(literal);
  };
  const checkChildren = (node: Node): void => {
    if (CODE_ELEMENTS.has(nameOf(node.openingElement?.name) ?? "")) return;
    for (const child of node.children ?? []) {
      if (child.type === "JSXText" && hasLetters(child.value)) report(child);
      if (child.type === "JSXExpressionContainer") check(child);
    }
  };
  const checkCall = (node: Node): void => {
    if (SPEAKERS.has(nameOf(node.callee) ?? "")) check(node.arguments?.[0]);
  };
  return {
    JSXElement: checkChildren,
    JSXFragment: checkChildren,
    JSXAttribute: (node) => {
      if (TEXTS.has(nameOf(node.name) ?? "")) check(node.value as Node | undefined);
    },
    Property: (node) => {
      const value = node.value as Node | undefined;
      if (TEXTS.has(nameOf(node.key) ?? "")) check(value);
      else for (const literal of literalsOf(value)) if (isLabel(literal.value)) report(literal);
    },
    CallExpression: checkCall,
    NewExpression: checkCall,
    Literal: (node) => {
      if (isPhrase(node.value) && !isClassName(node)) report(node);
    },
    TemplateLiteral: (node) => {
      if (node.quasis?.some((quasi) => isPhrase(rawOf(quasi))) === true) report(node);
    },
  };
}

export default { meta: { name: "legwork-dashboard" }, rules: { words: { create: createWordsRule } } };
