import { splitSql } from "./split-sql.ts";
import type { PoolClient } from "./pool.ts";

/** Statements that create an object; the groups are its name and, for a trigger or an index, its table. */
const MADE: readonly [kind: string, statement: RegExp][] = [
  ["function", /^create (?:or replace )?(?:function|aggregate|procedure) ([\w.]+)/i],
  ["view", /^create (?:or replace )?view ([\w.]+)/i],
  ["table", /^create table (?:if not exists )?([\w.]+)/i],
  ["trigger", /^create (?:or replace )?(?:constraint )?trigger (\w+)\s[\s\S]*?\son ([\w.]+)/i],
  ["index", /^create (?:unique )?index (?:if not exists )?(\w+) on ([\w.]+)/i],
];

const DROPPED = /^drop (function|aggregate|procedure|view|table|trigger|index) (?:if exists )?([\s\S]+)/i;
const RENAMED = /^alter (view|table|function|index) ([\w.]+)(?:\s*\([^)]*\))? rename to (\w+)/i;

/** Returns the objects that SQL files create, named like `view legwork.jobs`. */
export function objectsOf(files: readonly string[]): Set<string> {
  /** Each object, with its table if it is dropped together with the table. */
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
  // Ignore the parameters of functions.
  return names
    .replaceAll(/\([^)]*\)/g, "")
    .split(",")
    .map((name) => {
      const [first = "", on, table] = name.trim().split(/\s+/);
      return describe(kind.toLowerCase(), first, on?.toLowerCase() === "on" ? table : undefined);
    });
}

/** Names an object. An index is in the schema of its table; a trigger is named with its table. */
function describe(kind: string, name: string, table?: string): string {
  if (kind === "trigger") return `trigger ${name} on ${table}`;
  if (kind === "index") return `index ${table === undefined ? name : `${table.split(".")[0]}.${name}`}`;
  return `${kind === "aggregate" || kind === "procedure" ? "function" : kind} ${name}`;
}

/** Statements that change rows instead of objects. They are not repeated. */
const ABOUT_ROWS = /^(?:insert|update|delete|with|select)\b/i;

/**
 * Recreates the objects that a database lacks, for example after `drop schema graphile_worker cascade`, with the statements that created them.
 * Existing objects and their rows stay.
 */
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
      // The object exists, or a later statement changed it. The caller checks afterward which objects are still missing.
      if (!/^(?:42(?!501)|2BP)/.test(String((error as { code?: unknown }).code))) throw error;
      await client.query("rollback to savepoint again");
    }
  }
}
