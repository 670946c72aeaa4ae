import { afterAll, beforeAll, beforeEach, expect, inject, it } from "vitest";
import type pg from "pg";
import { testDatabase } from "../support/database.ts";

const database = testDatabase();
const suffix = Math.random().toString(36).slice(2, 8);
const login = `legwork_test_login_${suffix}`;
const group = `legwork_test_group_${suffix}`;
const renamed = `legwork_test_renamed_${suffix}`;
const run = async (text: string, values: unknown[] = []): Promise<pg.QueryResult["rows"]> =>
  (await database.pool.query(text, values)).rows;
const confine = (tenant: string | null): Promise<unknown> => run("select legwork.confine_login($1, $2)", [login, tenant]);

beforeAll(async () => {
  if (inject("serverUrl") === "") return;
  await run(`select legwork.create_roles(); create role ${group}`);
});
beforeEach(async () => {
  await run("delete from legwork_private.confined_logins");
  await run(`drop role if exists ${login}; create role ${login} login in role legwork_admin`);
});
afterAll(async () => {
  if (inject("serverUrl") === "") return;
  await run(`drop role ${login}, ${group}`);
});

it.each<[why: string, first: string, undo: string]>([
  ["is a superuser", `alter role ${login} superuser`, `alter role ${login} nosuperuser`],
  ["bypasses row security", `alter role ${login} bypassrls`, `alter role ${login} nobypassrls`],
  ["may replicate, which reads every table", `alter role ${login} replication`, `alter role ${login} noreplication`],
  ["may create roles and grant them", `alter role ${login} createrole`, `alter role ${login} nocreaterole`],
  ["cannot log in, and confinement applies to logins", `alter role ${login} nologin`, `alter role ${login} login`],
  [
    "may act as legwork_worker, which runs every tenant's jobs",
    `grant legwork_worker to ${login}`,
    `revoke legwork_worker from ${login}`,
  ],
  [
    "may act as legwork_worker, which runs every tenant's jobs",
    `alter role ${login} noinherit; grant ${group} to ${login}; grant legwork_worker to ${group}`,
    `revoke legwork_worker from ${group}`,
  ],
  [
    `may act as ${group}, which bypasses row security`,
    `alter role ${group} bypassrls; grant ${group} to ${login}`,
    `alter role ${group} nobypassrls`,
  ],
  [
    "may act as pg_read_all_data, which reads or writes more than its own tables",
    `grant pg_read_all_data to ${login}`,
    `revoke pg_read_all_data from ${login}`,
  ],
  [
    "may act as pg_read_all_stats, which reads the statements of every session",
    `grant pg_monitor to ${login}`,
    `revoke pg_monitor from ${login}`,
  ],
  [
    `may act as ${group}, which owns legwork_private.limits`,
    `grant ${group} to ${login}; alter table legwork_private.limits owner to ${group}`,
    "alter table legwork_private.limits owner to session_user",
  ],
  [
    "may read or change graphile_worker.jobs, which has every tenant's rows",
    `grant select on graphile_worker.jobs to ${login}`,
    `revoke all on graphile_worker.jobs from ${login}`,
  ],
  [
    "may read or change graphile_worker._private_jobs, which has every tenant's rows",
    "grant insert on graphile_worker._private_jobs to public",
    "revoke all on graphile_worker._private_jobs from public",
  ],
])("a login that %s is rejected, and can be confined once that is undone", async (why, first, undo) => {
  await run(first);
  try {
    await expect(confine("acme")).rejects.toMatchObject({
      code: "LW409",
      message: expect.stringContaining(why),
      hint: expect.stringMatching(/^(Use a login|Remove it|Confine each|Revoke it first: revoke all on)/),
    });
    expect(await run("select from legwork_private.confined_logins")).toEqual([]);
  } finally {
    await run(undo);
  }
  await confine("acme");
  expect(await run("select login, tenant from legwork_private.confined_logins")).toEqual([{ login, tenant: "acme" }]);
});

it("the doctor reports a confined login that was granted more rights later, and one that was renamed", async () => {
  const finding = async (): Promise<unknown> =>
    (await run(`select severity, finding, fix from legwork.doctor() where "check" = 'confined_logins'`))[0];
  await confine("acme");
  expect(await finding()).toMatchObject({ severity: "ok" });
  await run(`grant legwork_worker to ${login}`);
  expect(await finding()).toEqual({
    severity: "critical",
    finding: `The login ${login} is no longer confined to the tenant acme: it may act as legwork_worker, which runs every tenant's jobs.`,
    fix: "Remove it from that role first, and from the groups through which it is a member.",
  });
  await run(`revoke legwork_worker from ${login}; alter role ${login} rename to ${renamed}`);
  expect(await finding()).toMatchObject({ severity: "warning", finding: expect.stringContaining("does not exist") });
  // Applies the finding's fix.
  await confine(null);
  expect(await finding()).toMatchObject({ severity: "ok" });
  await run(`drop role ${renamed}`);
});

it("a login can be released even if it has since become a superuser", async () => {
  await confine("acme");
  await run(`alter role ${login} superuser`);
  await confine(null);
  expect(await run("select from legwork_private.confined_logins")).toEqual([]);
});

it("a caller that acts for one tenant and names another one is advised to omit the tenant", async () => {
  const client = await database.pool.connect();
  try {
    await client.query("set legwork.confined_to = 'acme'");
    for (const call of ["create_token('t', 'viewer', 'globex')", "enqueue('t', tenant => 'globex')"]) {
      await expect(client.query(`select legwork.${call}`)).rejects.toMatchObject({
        code: "LW403",
        hint: "Omit tenant: everything that the session creates belongs to its own tenant.",
      });
    }
  } finally {
    client.release(true);
  }
});
