import { type Docstring, docstringBefore, markdownOf, type Module, moduleOf, signature } from "./docstrings.ts";
import { fenced } from "./markdown.ts";

/** The branches of the tree, with the files and names of their interfaces. */
const BRANCHES: readonly (readonly [branch: string, path: string, name: string])[] = [
  ["jobs", "api/jobs.ts", "Jobs"],
  ["bulkActions", "api/bulk-actions.ts", "BulkActions"],
  ["queues", "api/queues.ts", "Queues"],
  ["tasks", "api/queues.ts", "Tasks"],
  ["limits", "api/limits.ts", "Limits"],
  ["schedules", "api/schedules.ts", "Schedules"],
  ["workflows", "api/workflows.ts", "Workflows"],
  ["batches", "api/workflows.ts", "Batches"],
  ["workers", "api/queues.ts", "Workers"],
  ["alerts", "api/alerts.ts", "Alerts"],
  ["alerts.rules", "api/alerts.ts", "AlertRules"],
  ["statistics", "api/statistics.ts", "Statistics"],
  ["tokens", "api/access.ts", "Tokens"],
  ["audit", "api/access.ts", "Audit"],
];

/** Members that are separate branches. */
const NESTED = new Set(BRANCHES.map(([branch]) => `legwork.${branch}`));

/** Interfaces that the interfaces of branches extend, and that are in the same file. */
const INHERITED = new Set(["Pausable"]);

/** Describes the functions and classes of the entry points and the operations of the tree, from their docstrings. */
export async function typescript(): Promise<{ functions: string; tree: string }> {
  const functions = [
    "### From legwork",
    ...(await exportsOf("index.ts")),
    "### From legwork/testing",
    ...(await exportsOf("testing.ts")),
  ];
  const tree = [
    "### legwork",
    ...(await membersOf("embed.ts", "Legwork", "legwork")),
    ...(await membersOf("api/operations.ts", "Operations", "legwork")),
  ];
  for (const [branch, path, name] of BRANCHES)
    tree.push(`### legwork.${branch}`, ...(await membersOf(path, name, `legwork.${branch}`)));
  return { functions: functions.join("\n\n"), tree: tree.join("\n\n") };
}

/** Describes an entry point's exports that are not only types. */
async function exportsOf(entry: string): Promise<string[]> {
  const { program } = await moduleOf(entry);
  const found: string[] = [];
  for (const statement of program.body) {
    if (statement.type !== "ExportNamedDeclaration" || statement.exportKind === "type" || statement.source === null) continue;
    const path = statement.source.value.replace(/^\.\//, "");
    const module = await moduleOf(path);
    for (const { local, exported } of statement.specifiers) {
      if (local.type !== "Identifier" || exported.type !== "Identifier") continue;
      const described = declarationOf(module, local.name);
      if (described !== undefined) found.push(`#### ${exported.name}\n\n${described}`);
    }
  }
  return found;
}

function declarationOf(module: Module, name: string): string | undefined {
  for (const statement of module.program.body) {
    if (statement.type !== "ExportNamedDeclaration" || statement.declaration == null) continue;
    const { declaration } = statement;
    if (!("id" in declaration) || declaration.id?.type !== "Identifier" || declaration.id.name !== name) continue;
    const documented = docstringBefore(module, statement.start);
    if (documented === undefined) continue;
    const body = "body" in declaration && declaration.body != null ? declaration.body.start : declaration.end;
    const head = module.source.slice(declaration.start, body).replace(/\{?\s*$/, "");
    return declaration.type === "ClassDeclaration"
      ? markdownOf(documented)
      : `${fenced("ts", head)}\n\n${markdownOf(documented)}`;
  }
  return undefined;
}

/** Describes the members of an interface: signatures, docstrings and examples. Separate branches are left out. */
async function membersOf(path: string, name: string, prefix: string): Promise<string[]> {
  const module = await moduleOf(path);
  const found: string[] = [];
  for (const statement of module.program.body) {
    const declaration = statement.type === "ExportNamedDeclaration" ? statement.declaration : statement;
    if (declaration?.type !== "TSInterfaceDeclaration" || declaration.id.name !== name) continue;
    for (const { expression } of declaration.extends)
      if (expression.type === "Identifier" && INHERITED.has(expression.name))
        found.push(...(await membersOf(path, expression.name, prefix)));
    for (const member of declaration.body.body) found.push(...memberOf(module, member, prefix));
  }
  if (found.length === 0) throw new Error(`src/${path} has no interface '${name}' with docstrings.`);
  return found;
}

function memberOf(module: Module, member: { start: number; end: number; key?: unknown }, prefix: string): string[] {
  const { name } = (member.key ?? {}) as { name?: string };
  const documented = docstringBefore(module, member.start);
  if (documented === undefined || name === undefined || NESTED.has(`${prefix}.${name}`)) return [];
  return [render(`${prefix}.${name}`, signature(module.source.slice(member.start, member.end)), documented)];
}

const render = (title: string, declared: string, documented: Docstring): string =>
  `#### ${title}\n\n${fenced("ts", declared)}\n\n${markdownOf(documented)}`;
