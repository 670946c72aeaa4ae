// Tests Legwork in transactions of each library: a commit creates the job, a rollback leaves no job, payloads arrive unchanged, and errors keep
// their codes.
import "reflect-metadata";
import assert from "node:assert/strict";
import { EntitySchema, MikroORM } from "@mikro-orm/postgresql";
import { PrismaPg } from "@prisma/adapter-pg";
import { drizzle } from "drizzle-orm/node-postgres";
import { drizzle as drizzleOnPostgresJs } from "drizzle-orm/postgres-js";
import knex from "knex";
import { CamelCasePlugin, Kysely, PostgresDialect } from "kysely";
import { createLegwork, enqueue, enqueueMany, LegworkError, type TransactionClient } from "legwork";
import pg from "pg";
import postgres from "postgres";
import { Sequelize } from "sequelize";
import { DataSource } from "typeorm";
import { PrismaClient } from "./prisma/client.ts";

const url = process.env.DATABASE_URL ?? "";
const pool = new pg.Pool({ connectionString: url });
const legwork = await createLegwork({ databaseUrl: url });

type Work = (transaction: TransactionClient) => Promise<void>;

const source = async (): Promise<DataSource> => await new DataSource({ type: "postgres", url }).initialize();

/** Runs `work` in a transaction of each library, in the way that the library's documentation shows. */
const libraries: Record<string, (work: Work) => Promise<void>> = {
  async pg(work) {
    const client = await pool.connect();
    try {
      await client.query("begin");
      await work(client);
      await client.query("commit");
    } catch (error) {
      await client.query("rollback");
      throw error;
    } finally {
      client.release();
    }
  },
  async kysely(work) {
    const db = new Kysely<object>({
      dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url }) }),
      plugins: [new CamelCasePlugin()],
    });
    await db
      .transaction()
      .execute(async (trx) => await work(trx))
      .finally(() => db.destroy());
  },
  async "drizzle on pg"(work) {
    const own = new pg.Pool({ connectionString: url });
    await drizzle(own)
      .transaction(async (tx) => await work(tx))
      .finally(() => own.end());
  },
  async "drizzle on postgres.js"(work) {
    const sql = postgres(url);
    await drizzleOnPostgresJs(sql)
      .transaction(async (tx) => await work(tx))
      .finally(() => sql.end());
  },
  async "postgres.js"(work) {
    const sql = postgres(url);
    await sql.begin(async (transaction) => await work(transaction)).finally(() => sql.end());
  },
  async knex(work) {
    const db = knex({ client: "pg", connection: url });
    await db.transaction(async (trx) => await work(trx)).finally(() => db.destroy());
  },
  async sequelize(work) {
    const sequelize = new Sequelize(url, { dialect: "postgres", logging: false });
    await sequelize.transaction(async (transaction) => await work(transaction)).finally(() => sequelize.close());
  },
  async "typeorm's manager"(work) {
    const typeorm = await source();
    await typeorm.transaction(async (manager) => await work(manager)).finally(() => typeorm.destroy());
  },
  async "typeorm's query runner"(work) {
    const typeorm = await source();
    const runner = typeorm.createQueryRunner();
    await runner.startTransaction();
    try {
      await work(runner);
      await runner.commitTransaction();
    } catch (error) {
      await runner.rollbackTransaction();
      throw error;
    } finally {
      await runner.release();
      await typeorm.destroy();
    }
  },
  async mikroorm(work) {
    const Thing = new EntitySchema({ name: "Thing", properties: { id: { type: "number", primary: true } } });
    const orm = await MikroORM.init({ clientUrl: url, entities: [Thing] });
    await orm.em.transactional(async (em) => await work(em)).finally(() => orm.close());
  },
  async prisma(work) {
    const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: url }) });
    await prisma.$transaction(async (tx) => await work(tx)).finally(() => prisma.$disconnect());
  },
};

class RolledBack extends Error {}

const payload = { text: `a "quoted" 'text' \\ $1 ? ü €`, list: [1, null, { deep: true }], large: "9007199254740993", empty: {} };

async function countJobs(): Promise<number> {
  const { rows } = await pool.query("select count(*)::int as jobs from legwork.jobs");
  return rows[0].jobs;
}

async function tryLibrary(inTransaction: (work: Work) => Promise<void>): Promise<void> {
  const before = await countJobs();
  const rolledBack = inTransaction(async (transaction) => {
    await enqueue(transaction, "mail", payload);
    throw new RolledBack();
  });
  await assert.rejects(rolledBack, RolledBack);
  assert.equal(await countJobs(), before, "a rollback leaves no job");

  const ids: string[] = [];
  await inTransaction(async (transaction) => {
    ids.push(await enqueue(transaction, "mail", payload, { runAt: new Date("2099-01-01"), priority: 3, tenant: "acme" }));
    ids.push(
      ...(await enqueueMany(transaction, [
        { task: "mail", payload },
        { task: "mail", payload, dependsOn: ids.slice(0, 1) },
      ])),
    );
    const here = legwork.with(transaction);
    ids.push(await here.jobs.enqueue("mail", payload, { uniqueFor: "1h", uniqueKey: String(ids[0]) }));
    const listed = await here.jobs.list({ tenant: "acme", limit: 1 });
    assert.deepEqual([listed[0]?.id, listed[0]?.payload], [ids[0], payload], "the transaction sees its own jobs");
    assert.equal(await here.jobs.cancel(ids[0] ?? "", "no longer needed"), "cancelled");
  });
  assert.equal(await countJobs(), before + 4, "a commit creates the jobs");
  const { rows } = await pool.query("select payload from legwork.jobs where id = any($1)", [ids]);
  for (const row of rows) assert.deepEqual(row.payload, payload, "the payload arrives unchanged");

  const refused = inTransaction(async (transaction) => void (await enqueue(transaction, "mial")));
  await assert.rejects(
    refused,
    (error) => error instanceof LegworkError && error.code === "LW404" && /^There is no task named 'mial'/.test(error.message),
  );
}

await pool.query(`select legwork_private.register_tasks('[{"name": "mail"}]')`);
for (const [name, inTransaction] of Object.entries(libraries)) {
  await tryLibrary(inTransaction);
  console.log(`✓ ${name}`);
}
const misfit = enqueue(new Sequelize(url, { dialect: "postgres", logging: false }) as unknown as TransactionClient, "mail");
await assert.rejects(misfit, (error) => error instanceof LegworkError && /Pass Sequelize's transaction/.test(error.hint ?? ""));
await legwork.stop();
await pool.end();
