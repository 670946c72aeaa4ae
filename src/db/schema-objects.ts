import { splitSql } from "./split-sql.ts";
import type { PoolClient } from "./pool.ts";

/** How a statement makes or takes away an object that this is about; the last group is the object, behind its kind. */
const MADE: readonly [kind: string, statement: RegExp][] = [
  ["function", /^create (?:or replace )?(?:function|aggregate|procedure) ([\w.]+)/i],
  ["view", /^create (?:or replace )?view ([\w.]+)/i],
  ["table", /^create table (?:if not exists )?([\w.]+)/i],
  ["trigger", /^create (?:or replace )?(?:constraint )?trigger (\w+)\s[\s\S]*?\son ([\w.]+)/i],
  ["index", /^create (?:unique )?index (?:if not exists )?(\w+) on ([\w.]+)/i],
];

const DROPPED = /^drop (function|aggregate|procedure|view|table|trigger|index) (?:if exists )?([\s\S]+)/i;
const RENAMED = /^alter (view|table|function|index) ([\w.]+)(?:\s*\([^)]*\))? rename to (\w+)/i;

/** The objects that these files of SQL make, in words such as `view legwork.jobs`. */
export function objectsOf(files: readonly string[]): Set<string> {
  /** Each with its table, where it goes with one. */
  const objects = new Map<string, string | undefined>();
  for (const statement of files.flatMap(splitSql)) {
    const renamed = RENAMED.exec(statement);
    if (renamed !== null) {
      const [, kind = "", name = "", to = ""] = renamed;
      const old = describe(kind.toLowerCase(), name);
      objects.set(describe(kind.toLowerCase(), `${name.split(".")[0]}.${to}`), objects.get(old));
      objects.delete(old);
    }
    for (const dropped of droppedBy(statement)) {
      objects.delete(dropped);
      for (const [object, table] of objects) if (dropped === `table ${table}`) objects.delete(object);
    }
    for (const [kind, pattern] of MADE) {
      const [, name, table] = pattern.exec(statement) ?? [];
      if (name !== undefined) objects.set(describe(kind, name, table), table);
    }
  }
  return new Set(objects.keys());
}

function droppedBy(statement: string): string[] {
  const [, kind = "", names = ""] = DROPPED.exec(statement) ?? [];
  if (kind === "") return [];
  // Without the parameters of functions.
  return names
    .replaceAll(/\([^)]*\)/g, "")
    .split(",")
    .map((name) => {
      const [first = "", on, table] = name.trim().split(/\s+/);
      return describe(kind.toLowerCase(), first, on?.toLowerCase() === "on" ? table : undefined);
    });
}

/** An index is in the schema of its table; a trigger is on it. */
function describe(kind: string, name: string, table?: string): string {
  if (kind === "trigger") return `trigger ${name} on ${table}`;
  if (kind === "index") return `index ${table === undefined ? name : `${table.split(".")[0]}.${name}`}`;
  return `${kind === "aggregate" || kind === "procedure" ? "function" : kind} ${name}`;
}

/** Statements that are about rows and not about objects, and are not done a second time. */
const ABOUT_ROWS = /^(?:insert|update|delete|with|select)\b/i;

/** Makes the objects again that a database lacks, such as after `drop schema graphile_worker cascade`, by the statements that made them; what is there stays, rows included. */
export async function makeObjectsAgain(
  client: PoolClient,
  files: readonly string[],
  run: (statement: string) => Promise<void>,
): Promise<void> {
  for (const statement of files.flatMap(splitSql)) {
    if (ABOUT_ROWS.test(statement)) continue;
    await client.query("savepoint again");
    try {
      await run(statement);
      await client.query("release savepoint again");
    } catch (error) {
      // It is there, or was changed by a later statement: what lacks in the end is looked for afterwards.
      if (!/^(?:42(?!501)|2BP)/.test(String((error as { code?: unknown }).code))) throw error;
      await client.query("rollback to savepoint again");
    }
  }
}
