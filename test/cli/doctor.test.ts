import { expect, it } from "vitest";
import type { Finding } from "../../src/health/doctor.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";

const database = testDatabase();

const doctor = (...flags: string[]) => legwork(["doctor", ...flags], { DATABASE_URL: database.url, NO_COLOR: "1" });

/** A test server may run without fsync, which the doctor rightly reports as critical. */
const ofTheJobSystem = (findings: Finding[]): Finding[] => findings.filter(({ check }) => check !== "settings");

it("legwork doctor prints findings with their fixes, the worst first, and exits with 1 if one is critical", async () => {
  await database.pool.query("select legwork_private.worker_beat('w', 'host', 1, 4, array['known'], '{}')");
  await database.pool.query("select graphile_worker.add_job('unknown', run_at => now() - interval '1 day')");
  await database.pool.query("update legwork_private.worker_processes set seen_at = now() + interval '1 hour'");
  const result = await doctor();
  expect(result).toMatchObject({ code: 1, stderr: "" });
  expect(result.stdout).toMatch(
    /^critical {2}tasks +1 job for task 'unknown' has been waiting for .*\n +→ .*Start a worker that runs the task/m,
  );
  expect(result.stdout).toMatch(/^ok +waiting +No job that a worker could run is waiting\.$/m);
  const severities = [...result.stdout.matchAll(/^(critical|warning|ok) {2}/gm)].map(([, severity]) => severity);
  expect(severities).toEqual(["critical", "warning", "ok"].flatMap((severity) => severities.filter((each) => each === severity)));
  expect(result.stdout).toMatch(/\n\n\d+ critical, \d+ warnings?, \d+ ok\.\n$/);
});

it("legwork doctor exits with 0 if no finding is critical, and prints all checks with --json", async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  const result = await doctor("--json");
  const findings: Finding[] = JSON.parse(result.stdout);
  expect(ofTheJobSystem(findings).map(({ severity }) => severity)).not.toContain("critical");
  expect(result.code).toBe(findings.some(({ severity }) => severity === "critical") ? 1 : 0);
  expect(findings).toContainEqual(expect.objectContaining({ check: "migrations", severity: "ok", fix: null }));
});

it("legwork doctor shows a user without rights which role to ask for", async () => {
  const { rows } = await database.pool.query("select 'legwork_cli_' || substr(md5(current_database()), 1, 8) as name");
  await database.pool.query(`create role ${rows[0].name} login password 'reader'`);
  const url = new URL(database.url);
  url.username = rows[0].name;
  url.password = "reader";
  const result = await legwork(["doctor"], { DATABASE_URL: url.href });
  await database.pool.query(`drop role ${rows[0].name}`);
  expect(result).toMatchObject({
    code: 0,
    stderr: "",
    stdout: expect.stringContaining("→ Grant this login a Legwork role"),
  });
});
