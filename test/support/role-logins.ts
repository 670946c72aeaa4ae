import pg from "pg";
import { afterAll, beforeAll, inject } from "vitest";
import type { TestDatabase } from "./database.ts";

export const DATABASE_ROLES = [
  "legwork_reader",
  "legwork_enqueuer",
  "legwork_operator",
  "legwork_worker",
  "legwork_admin",
] as const;
export type DatabaseRole = (typeof DATABASE_ROLES)[number];

export interface RoleLogin {
  readonly role: DatabaseRole;
  readonly kind: "plain" | "confined";
  /** Roles belong to the server, and other test files run at the same time. */
  readonly name: string;
  /** Both are set once the file's tests run. */
  url: string;
  client: pg.Client;
}

/**
 * A login in each database role, plain and confined to the tenant acme, each with a connection. A worker's login reads graphile-worker's tables
 * directly, so it cannot be confined.
 */
export function roleLogins(database: TestDatabase): RoleLogin[] {
  const suffix = Math.random().toString(36).slice(2, 8);
  const logins = DATABASE_ROLES.flatMap((role) =>
    (["plain", "confined"] as const)
      .filter((kind) => role !== "legwork_worker" || kind === "plain")
      .map((kind) => ({ role, kind, name: `${role}_${kind}_${suffix}` }) as RoleLogin),
  );
  beforeAll(async () => {
    await database.pool.query("select legwork.create_roles()");
    for (const login of logins) {
      await database.pool.query(`create role ${login.name} login password 'of the test' in role ${login.role}`);
      if (login.kind === "confined") await database.pool.query("select legwork.confine_login($1, 'acme')", [login.name]);
      const url = new URL(database.url);
      url.username = login.name;
      url.password = "of the test";
      login.url = url.href;
      login.client = new pg.Client({ connectionString: login.url });
      await login.client.connect();
    }
  });
  afterAll(async () => {
    if (inject("serverUrl") === "") return;
    for (const { name, client } of logins) {
      await client.end();
      await database.pool.query(`drop role ${name}`);
    }
  });
  return logins;
}
