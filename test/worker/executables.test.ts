import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { getJob } from "../../src/jobs/read-jobs.ts";
import { testDatabase } from "../support/database.ts";
import { plainJobs } from "../support/plain-jobs.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver } from "../support/worker.ts";

const database = testDatabase();
const { add, ended, state } = plainJobs(database);

const TALLY = `#!/usr/bin/env bash
payload=$(cat)
echo "job $GRAPHILE_WORKER_JOB_ID of $GRAPHILE_WORKER_TASK_IDENTIFIER"
echo "careful" >&2
echo '::legwork {"progress": 40, "message": "counting"}'
echo '::legwork {"log": "nearly", "level": "warn"}'
echo '::legwork {"progress": 140}'
echo '::legwork {"result'
printf '::legwork {"result": {"given": %s}}' "$payload"
`;

const CHARGE = `#!/usr/bin/env python3
import json, sys

payload = json.load(sys.stdin)["payload"]

def report(**what):
    print("::legwork", json.dumps(what), flush=True)

if payload["account"] == 7:
    report(error="The account 7 does not exist.", discard=True)
    sys.exit(1)
if payload["account"] == 8:
    report(error="The bank is closed.", retryAfter="2h")
    sys.exit(1)
print("x" * 20_000)
report(progress=50)
report(result={"charged": payload["account"], "text": "y" * 200_000})
`;

// The inner process ignores SIGTERM, and outlives its parent unless the whole process group is killed.
const LINGER = `#!/usr/bin/env bash
trap 'exit 0' TERM
bash -c 'trap "" TERM; sleep 1000 & wait; wait' > /dev/null 2>&1 < /dev/null &
echo "::legwork {\\"message\\": \\"$! started\\"}"
wait
`;

async function logOf(id: string): Promise<string[]> {
  const { rows } = await database.pool.query(
    "select level || ' ' || message as line from legwork.logs where job_id = $1 order by id",
    [id],
  );
  return rows.map(({ line }) => line);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

it("executables in Bash and Python report progress, log lines, results and failures, and are killed when their job is cancelled", async () => {
  const directory = await directoryOf({ "tally.sh": TALLY, "bank/charge.py": CHARGE, linger: LINGER });
  for (const file of ["tally.sh", "bank/charge.py", "linger"]) await chmod(join(directory, file), 0o755);
  await workerOver(database.url, [directory], { concurrency: 6 });

  const [tally, fine, unknown] = [
    await add("tally", { n: 1 }),
    await add("bank/charge", { account: 1 }),
    await add("bank/charge", { account: 7 }, ", max_attempts => 5"),
  ];
  const closed = await add("bank/charge", { account: 8 }, ", max_attempts => 5");
  const lingering = await add("linger");
  expect(await ended(tally)).toMatchObject({ state: "completed", result: { given: { payload: { n: 1 } } } });
  await until("the progress is stored", async () => {
    const { rows } = await database.pool.query("select progress, progress_message from legwork.jobs where id = $1", [tally]);
    return rows[0]?.progress === 40 && rows[0].progress_message === "counting";
  });
  const lines = await until("the log is stored", async () => {
    const found = await logOf(tally);
    return found.length >= 5 ? found : undefined;
  });
  expect(lines.toSorted()).toEqual([
    "error careful",
    `info job ${tally} of tally`,
    expect.stringMatching(/^warn ::legwork .* cannot be used: progress: Too big/),
    'warn ::legwork {"result is not ::legwork followed by JSON.',
    "warn nearly",
  ]);
  expect(await ended(fine)).toMatchObject({ state: "completed", result: { charged: 1 } });
  expect(await ended(unknown)).toMatchObject({ state: "failed", attempts: 1, error: "The account 7 does not exist." });
  await until("the job is to be retried", async () => (await state(closed)) === "retrying");
  const retried = await getJob(database.pool, closed);
  expect(retried.attempt_list).toMatchObject([{ error_message: "The bank is closed." }]);
  expect(retried.run_at.getTime() - Date.now()).toBeGreaterThan(7_000_000);

  const pid = await until("the inner process has started", async () => {
    const { rows: found } = await database.pool.query("select progress_message from legwork.jobs where id = $1", [lingering]);
    return Number(found[0].progress_message?.split(" ")[0]);
  });
  expect(isAlive(pid)).toBe(true);
  await database.pool.query("select legwork.cancel_job($1)", [lingering]);
  expect(await ended(lingering)).toMatchObject({ state: "cancelled" });
  await until("the whole process group has been killed", () => !isAlive(pid));
});
