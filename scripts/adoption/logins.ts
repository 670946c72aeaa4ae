import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { pgBouncer } from "../../test/support/pgbouncer.ts";
import { tryAddresses } from "./addresses.ts";
import { BIN, environment, type Result, root, run, runTasks, succeed } from "./fresh-project.ts";
import { type Check, NotTried } from "./matrix.ts";

/** Tries logins, poolers and URLs on a server. */
export async function tryLogins(check: Check, area: string, adminUrl: string): Promise<void> {
  const admin = new pg.Client(adminUrl);
  await admin.connect();
  const as = (user: string, database = "owned"): string => {
    const url = new URL(adminUrl);
    [url.username, url.password, url.pathname] = [user, "secret", `/${database}`];
    return url.href;
  };
  const esm = join(root, "esm");
  const legwork = (user: string, ...parameters: string[]): Promise<Result> =>
    run(process.execPath, [BIN, ...parameters], esm, { DATABASE_URL: as(user) });
  try {
    await admin.query("create role plain_owner login password 'secret'");
    await admin.query("create database owned owner plain_owner");
    await check(area, "an owner without superuser migrates, enqueues and runs jobs", async () => {
      await runTasks(process.execPath, esm, as("plain_owner"), ["mts"]);
      const inside = new pg.Client(adminUrl.replace(/\/[^/?]*(\?|$)/, "/owned$1"));
      await inside.connect();
      await inside.query("select legwork.create_roles()");
      for (const role of ["viewer", "enqueuer", "operator", "admin", "worker"]) {
        await inside.query(
          `create role a_${role} login password 'secret' in role ${role === "viewer" ? "legwork_reader" : `legwork_${role}`}`,
        );
      }
      await inside.end();
    });
    await check(area, "a login in legwork_worker runs jobs with `legwork worker`, and stops when requested", () =>
      runWorker(as("a_worker"), as("plain_owner")),
    );
    await check(area, "a login in legwork_enqueuer enqueues with createLegwork's defaults", async () =>
      assert.equal(
        await succeed(process.execPath, ["enqueue.mjs"], esm, { DATABASE_URL: as("a_enqueuer") }).catch((error: Error) => {
          // This login may not read jobs, but the job exists.
          if (/LW403/.test(error.message)) return "1\n";
          throw error;
        }),
        "1\n",
      ),
    );
    for (const role of ["viewer", "operator", "admin", "worker", "enqueuer"]) {
      await check(area, `legwork_${role}: migrate is up to date, and a missing right is LW403`, async () => {
        const migrated = await legwork(`a_${role}`, "migrate");
        assert.match(migrated.stdout + migrated.stderr, /up to date|LW403/);
        const listed = await legwork(`a_${role}`, "token", "list");
        if (listed.code !== 0) assert.match(listed.stderr, /LW403/);
        assert.doesNotMatch(listed.stderr + migrated.stderr, /bug in Legwork/);
      });
    }
    for (const mode of ["session", "transaction"] as const) {
      await check(area, `PgBouncer in ${mode} mode`, async () => {
        if (!existsSync("/usr/sbin/pgbouncer")) throw new NotTried("pgbouncer is missing");
        const bouncer = await pgBouncer(as("plain_owner"), { mode });
        try {
          if (mode === "session") return await runTasks(process.execPath, esm, bouncer.url, ["mts"]);
          const refused = await run(process.execPath, [BIN, "worker", "--once"], esm, { DATABASE_URL: bouncer.url });
          assert.match(refused.stderr, /LW516/);
          assert.equal(await succeed(process.execPath, ["enqueue.mjs"], esm, { DATABASE_URL: bouncer.url }), "1\n");
        } finally {
          await bouncer.stop();
        }
      });
    }
    await check(area, "any user, password and database name, percent-encoded", () => tryAddresses(admin, as));
  } finally {
    await admin.end();
  }
}

/** Starts a worker as one login and expects it to complete a job that another login enqueues. */
async function runWorker(workerUrl: string, ownerUrl: string): Promise<void> {
  const owner = new pg.Client(ownerUrl);
  await owner.connect();
  const worker = spawn(process.execPath, [BIN, "worker", "--tasks", "tasks"], {
    cwd: join(root, "esm"),
    env: environment({ DATABASE_URL: workerUrl, LEGWORK_LOG_LEVEL: "warn" }),
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = once(worker, "exit");
  let printed = "";
  worker.stderr.on("data", (text: Buffer) => (printed += text.toString()));
  try {
    const { rows } = await owner.query<{ id: string }>(`select legwork.enqueue('mts', '{"n": 4}') as id`);
    let state;
    for (const deadline = Date.now() + 60_000; state !== "completed" && Date.now() < deadline; await delay(50)) {
      assert.equal(worker.exitCode, null, printed);
      ({
        rows: [{ state }],
      } = await owner.query("select state from legwork.jobs where id = $1", [rows[0]?.id]));
    }
    assert.equal(state, "completed", printed);
    worker.kill("SIGTERM");
    assert.deepEqual([...(await ended), printed], [0, null, ""]);
  } finally {
    worker.kill("SIGKILL");
    await owner.end();
  }
}
