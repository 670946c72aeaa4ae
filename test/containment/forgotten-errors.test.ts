import { expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerProcess } from "../support/worker.ts";

const database = testDatabase();

/** Throws where no caller can catch it. */
const THROWN = [
  "undefined",
  "null",
  "Object.create(null)",
  "Proxy.revocable({}, {}).proxy",
  "Object.defineProperty({}, 'code', { get() { throw 1; } })",
  "(() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy; })()",
  "Symbol('s')",
  "new Error('one\\0two')",
];

const FORGETFUL = `
  const throws = (what) => { switch (what) { ${THROWN.map((value, index) => `case ${index}: throw ${value};`).join(" ")} } };
  export default async ({ what }) => {
    setTimeout(() => throws(what), 1);
    void Promise.resolve().then(() => throws(what));
    await new Promise((wake) => setTimeout(wake, 50));
  };`;

it("a worker survives whatever a task throws in a callback or in a promise that it does not await", async () => {
  const worker = await workerProcess(database, await directoryOf({ "forgetful.mjs": FORGETFUL }), {}, { stderr: "pipe" });
  let log = "";
  worker.stderr?.on("data", (data) => (log += data));
  await database.pool.query(
    "select graphile_worker.add_job('forgetful', json_build_object('what', n)) from generate_series(0, $1) n",
    [THROWN.length - 1],
  );
  const jobs = await until("every job has ended", async () => {
    const { rows } = await database.pool.query("select state, attempts from legwork_private.finished_jobs");
    return rows.length === THROWN.length && rows;
  });
  expect(jobs).toEqual(THROWN.map(() => ({ state: "completed", attempts: 1 })));
  for (const event of ["uncaught_exception", "unhandled_rejection"]) {
    await until(`each ${event} is in the log`, () => log.split(`"event":"${event}"`).length - 1 === THROWN.length);
  }
  worker.kill("SIGTERM");
  await until("the worker has stopped", () => worker.exitCode === 0);
});
