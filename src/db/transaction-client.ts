import { LegworkError } from "../errors.ts";
import type { Queryable } from "./pool.ts";

/**
 * A connection or transaction that Legwork can run its statements on: a `pg` client or pool, or the transaction of Kysely, Drizzle, Knex, TypeORM,
 * Sequelize, MikroORM, Prisma or postgres.js. Legwork's changes commit and roll back together with it.
 *
 * @example
 * await db.transaction().execute(async (trx) => {
 *   await trx.insertInto("users").values(user).execute();
 *   await enqueue(trx, "notify/welcome", { userId: user.id });
 * });
 */
export type TransactionClient = Queryable | OtherClient;

/** The parts of other libraries' clients that identify them. */
type OtherClient =
  /** Kysely. */
  | { executeQuery: (query: never) => Promise<unknown>; withoutPlugins: () => unknown }
  /** Drizzle, with any Postgres driver. */
  | { execute: (query: never) => PromiseLike<unknown>; _: object }
  /** MikroORM's entity manager. */
  | { execute: (query: never) => Promise<unknown>; getTransactionContext: () => unknown }
  /** Knex. */
  | { raw: (sql: string, bindings: never) => PromiseLike<unknown>; client: object }
  /** TypeORM: an entity manager or a query runner. */
  | { query: (sql: string, parameters?: never) => Promise<unknown>; connection: object }
  /** Sequelize's transaction. */
  | { afterCommit: (hook: never) => unknown; commit: () => unknown }
  /** Prisma. */
  | { $queryRawUnsafe: (query: string, ...values: never) => PromiseLike<unknown> }
  /** postgres.js. */
  | { unsafe: (query: string, parameters?: never) => PromiseLike<unknown>; typed: (value: never, type: number) => unknown };

type Run = (text: string, values: unknown[]) => PromiseLike<unknown>;
// oxlint-disable-next-line typescript/no-explicit-any -- the client of any library, recognized by its methods
type Client = any;

const is = (value: unknown): boolean => typeof value === "function";

/** How each library runs a statement in its transaction. The first match is used, so specific shapes come before general ones. */
const LIBRARIES: readonly { readonly fits: (client: Client) => boolean; readonly run: (client: Client) => Run }[] = [
  {
    // MikroORM 7 has a Kysely instance bound to its transaction. In earlier versions, `execute` interpolates the values into the text.
    fits: (client) => is(client.getTransactionContext) && is(client.execute),
    run: (client) =>
      is(client.getKysely)
        ? runOnKysely(client.getKysely())
        : (text, values) => client.execute(...withQuestionMarks(text, values)),
  },
  { fits: (client) => is(client.executeQuery) && is(client.withoutPlugins), run: runOnKysely },
  {
    // Drizzle calls these methods of a query to get its text and values.
    fits: (client) => is(client.execute) && is(client.dialect?.sqlToQuery),
    run: (client) => (text, values) => {
      const query = { getSQL: () => query, toQuery: () => ({ sql: text, params: values }) };
      return client.execute(query);
    },
  },
  {
    fits: (client) => is(client.raw) && typeof client.client === "object",
    run: (client) => (text, values) => client.raw(...withQuestionMarks(text, values)),
  },
  {
    fits: (client) => is(client.$queryRawUnsafe),
    run: (client) => async (text, values) => withTextNumbers(await client.$queryRawUnsafe(text, ...values)),
  },
  {
    // 705 is the type `unknown`: Postgres infers the parameter's type, and postgres.js sends the text unchanged. With another type, it would
    // serialize JSON twice.
    fits: (client) => is(client.unsafe) && is(client.typed),
    run: (client) => (text, values) =>
      client.unsafe(
        text,
        values.map((value) => (typeof value === "string" ? client.typed(value, 705) : value)),
      ),
  },
  {
    fits: (client) => is(client.sequelize?.query) && is(client.commit),
    run: (client) => (text, values) =>
      client.sequelize.query(text, { bind: values, transaction: client, type: "SELECT", raw: true }),
  },
  // TypeORM returns the rows directly.
  {
    fits: (client) => is(client.query) && (is(client.getRepository) || is(client.startTransaction)),
    run: (client) => (text, values) => client.query(text, values),
  },
];

/**
 * Converts a client to the interface that Legwork uses. A `pg` client is returned unchanged. Throws LW400 for anything that cannot run a statement.
 */
export function toQueryable(client: TransactionClient): Queryable {
  if (!isObject(client) || isSequelize(client)) throw unusable(client);
  const run = LIBRARIES.find(({ fits }) => fits(client))?.run(client);
  if (run === undefined) {
    if (is((client as Client).query)) return client as Queryable;
    throw unusable(client);
  }
  return {
    query: async (text, values = []) => {
      try {
        return { rows: rowsOf(await run(text, values)) };
      } catch (thrown) {
        throw databaseErrorIn(thrown, text);
      }
    },
  };
}

/** Returns the original database error. Drizzle, Sequelize, TypeORM and Prisma wrap it, and Knex puts the statement before its message. */
function databaseErrorIn(thrown: unknown, text: string): unknown {
  let found: Client;
  let error = thrown as Client;
  for (let depth = 0; depth < 5 && isObject(error); depth++) {
    if (isSqlState((error as Client).code)) found = error;
    const { meta, cause, original, driverError }: Client = error;
    error = meta?.driverAdapterError?.cause ?? cause ?? original ?? driverError;
  }
  if (found === undefined) return thrown;
  const message = String(found.message);
  const plain = message.startsWith(`${text} - `) ? message.slice(text.length + 3) : message;
  if (found instanceof Error && plain === message) return found;
  return Object.assign(new Error(plain, { cause: thrown }), { ...found, message: plain });
}

const isSqlState = (code: unknown): boolean => typeof code === "string" && /^[0-9A-Z]{5}$/.test(code);

function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

function runOnKysely(kysely: Client): Run {
  // A plugin such as CamelCasePlugin would rename the columns.
  const plain = kysely.withoutPlugins();
  return (text, values) =>
    plain.executeQuery({
      sql: text,
      parameters: values,
      query: { kind: "RawNode", sqlFragments: [text], parameters: [] },
      queryId: { queryId: "legwork" },
    });
}

/** Returns the statement with `?` instead of `$1`, `$2` …, and the values in that order. A `?` in the statement is escaped. */
function withQuestionMarks(text: string, values: unknown[]): [text: string, values: unknown[]] {
  const inOrder: unknown[] = [];
  const marked = text.replaceAll("?", String.raw`\?`).replaceAll(/\$(\d+)/g, (_, number) => {
    inOrder.push(values[Number(number) - 1]);
    return "?";
  });
  return [marked, inOrder];
}

/** Prisma returns int8 as a bigint and numeric as its own Decimal, where `pg` returns text. */
function withTextNumbers(rows: Record<string, unknown>[]): Record<string, unknown>[] {
  const isNumber = (value: unknown): boolean => typeof value === "bigint" || is((value as Client)?.toFixed);
  return rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]) => [name, typeof value !== "number" && isNumber(value) ? String(value) : value]),
    ),
  );
}

function rowsOf(result: unknown): Record<string, unknown>[] {
  const rows = Array.isArray(result) ? result : (result as { rows?: unknown } | undefined)?.rows;
  if (Array.isArray(rows)) return rows as Record<string, unknown>[];
  throw unusable(result);
}

/** Sequelize itself also has a method `query`, which would ignore the transaction. */
const isSequelize = (client: unknown): boolean => is((client as Client)?.define) && is((client as Client).transaction);

function unusable(client: unknown): LegworkError {
  return new LegworkError("LW400", "This client cannot run Legwork's statements.", {
    hint: isSequelize(client)
      ? "Pass Sequelize's transaction: sequelize.transaction((transaction) => enqueue(transaction, …))."
      : "Pass a pg client or pool, or the transaction of Kysely, Drizzle, Knex, TypeORM, Sequelize, MikroORM, Prisma or postgres.js. For another library, pass { query: async (text, values) => ({ rows }) }.",
  });
}
