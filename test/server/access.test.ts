import { describe, expect, test } from "vitest";
import { LegworkError } from "../../src/errors.ts";
import { assertRole, type Principal, type Role, ROLES, withPrincipal } from "../../src/server/principal.ts";
import { testDatabase } from "../support/database.ts";

const database = testDatabase();

function principal(role: Role, tenant: string | null = null): Principal {
  return { subject: `test:${role}`, role, tenant };
}

describe("a principal", () => {
  test("has what its role includes; an enqueuer does not read", () => {
    const refusal = (role: Role, needed: Role): unknown => {
      try {
        assertRole(principal(role), needed);
        return undefined;
      } catch (error) {
        return error;
      }
    };
    const pairs = ROLES.flatMap((role) =>
      ROLES.map((needed) => ({ text: `${role} as ${needed}`, error: refusal(role, needed) })),
    );
    const allowed = pairs.filter(({ error }) => error === undefined).map(({ text }) => text);
    expect(allowed).toEqual([
      "viewer as viewer",
      "enqueuer as enqueuer",
      "operator as viewer",
      "operator as enqueuer",
      "operator as operator",
      "admin as viewer",
      "admin as enqueuer",
      "admin as operator",
      "admin as admin",
    ]);
    expect(refusal("viewer", "operator")).toBeInstanceOf(LegworkError);
    expect(refusal("viewer", "operator")).toMatchObject({ code: "LW403", hint: expect.stringContaining("token") });
  });

  test("is told to its transaction and forgotten with it", async () => {
    const read = "select current_setting('legwork.actor', true) as actor, current_setting('legwork.confined_to', true) as tenant";
    const client = await database.pool.connect();
    client.release();
    const { rows } = await withPrincipal(database.pool, principal("viewer", "acme"), "rest", (inside) => inside.query(read));
    expect(rows).toEqual([{ actor: "test:viewer", tenant: "acme" }]);
    for (const { actor, tenant } of (await database.pool.query(read)).rows) expect([actor ?? "", tenant ?? ""]).toEqual(["", ""]);
  });

  test("whose work throws has changed nothing", async () => {
    await database.pool.query(`select legwork.register_tasks('[{"name": "a"}]')`);
    const work = withPrincipal(database.pool, principal("enqueuer"), "rest", async (client) => {
      await client.query("select legwork.enqueue('a')");
      await client.query("select legwork.enqueue('b')");
    });
    await expect(work).rejects.toMatchObject({ name: "LegworkError", code: "LW404" });
    expect((await database.pool.query("select from legwork.jobs")).rows).toHaveLength(0);
  });
});
