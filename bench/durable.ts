import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { migrate } from "../src/db/migrate.ts";
import { createPool } from "../src/db/pool.ts";
import { PEERS, startLegwork, startPeer, TUNED, vacuum, writeNoop } from "./command.ts";
import { reportRates, withRates } from "./rates.ts";
import { saveSection } from "./results.ts";
import { benchLog, freshDatabase, withServer } from "./server.ts";
import { writeBenchmarks } from "./write-benchmarks.ts";

/** The measured tasks in addition to `noop`. Each records its end, so that a rate counts jobs whose last step is done. */
const TASKS: Readonly<Record<string, string>> = {
  "one-step": `await step.run("only", () => 1);`,
  "ten-steps": `for (let n = 0; n < 10; n += 1) await step.run("step " + n, () => n);`,
  signal: `await step.waitFor("go");`,
  invoke: `await step.invoke("child", "child", {});`,
};

interface Side {
  readonly name: string;
  readonly program?: "dbos";
  /** The number of calls of the measured tasks. */
  readonly calls: number;
  /** The statement that enqueues all jobs. */
  readonly sql: string;
  readonly besides?: string;
  readonly least?: number;
}

function sidesFor(count: number): Side[] {
  const n = count.toLocaleString("en-US");
  const many = (task: string, howMany = count): string =>
    `select count(*) from legwork.enqueue_many((select jsonb_agg('{"task": "${task}"}'::jsonb) from generate_series(1, ${howMany})))`;
  const chain = (length: number): string => `(select jsonb_agg(jsonb_build_object('name', 's' || n, 'task', 'noop')
    || case when n > 1 then jsonb_build_object('depends_on', jsonb_build_array('s' || n - 1)) else '{}' end) from generate_series(1, ${length}) n)`;
  const fan = (width: number): string => `(select jsonb_agg(step) from (
    select jsonb_build_object('name', 'first', 'task', 'noop') as step
    union all select jsonb_build_object('name', 's' || n, 'task', 'noop', 'depends_on', '["first"]'::jsonb) from generate_series(1, ${width - 2}) n
    union all select jsonb_build_object('name', 'last', 'task', 'noop', 'depends_on', (select jsonb_agg('s' || n) from generate_series(1, ${width - 2}) n))) x)`;
  const jobs = `${n} jobs without steps`;
  const side = (name: string, task: string, besides = jobs): Side => ({ name, calls: count, sql: many(task), besides });
  const bySignal = many("signal");
  return [
    { name: jobs, calls: count, sql: many("noop") },
    side("a job with one step", "one-step"),
    { name: "a workflow of 10 steps in DBOS", program: "dbos", calls: count, sql: "" },
    side("a job with 10 steps", "ten-steps", "a workflow of 10 steps in DBOS"),
    {
      ...side("a job that gets a signal sent before it started", "signal"),
      sql: `${bySignal}; select count(legwork.send_signal(id, 'go', '{}')) from legwork.jobs`,
    },
    side("a job that runs another and waits for it", "invoke"),
    {
      name: "a job of a batch with a callback",
      calls: count + 1,
      sql: `select legwork.enqueue_batch((select jsonb_agg('{"task": "noop"}'::jsonb) from generate_series(1, ${count})), callback => '{"task": "noop"}')`,
      besides: jobs,
    },
    {
      name: "a job of workflows of 10, one after the other",
      calls: count,
      sql: `select count(legwork.start_workflow('chain', ${chain(10)})) from generate_series(1, ${count / 10})`,
      besides: jobs,
    },
    {
      name: "a job of workflows of 1,000, all at once after the first",
      calls: Math.max(1, Math.floor(count / 1_000)) * 1_000,
      sql: `select count(legwork.start_workflow('fan', ${fan(1_000)})) from generate_series(1, ${Math.max(1, Math.floor(count / 1_000))})`,
      besides: jobs,
      least: 0.5,
    },
  ];
}

/**
 * Measures durable steps, signals, invoked jobs, batches and workflows: the tuned `legwork worker` command runs them. They are compared with the same
 * number of jobs without steps, and a job of ten steps also with DBOS. Ratios are computed within a round. Writes the section `durable` of
 * bench/results.json.
 */
export async function run({ short, parameters }: { short: boolean; parameters: readonly string[] }): Promise<void> {
  execFileSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: PEERS,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const rounds = Number(parameters[0] ?? (short ? 1 : 5));
  const sides = sidesFor(short ? 1_000 : 10_000);
  const directory = await mkdtemp(join(tmpdir(), "legwork-durable-"));
  const rates = new Map<string, number[]>();
  try {
    await writeNoop(directory);
    await writeTasks(join(directory, "defined"));
    await withServer(async (serverUrl) => {
      const pool = createPool(await freshDatabase(serverUrl, "legwork_durable_legwork"), { log: benchLog });
      await migrate(pool, benchLog);
      const names = ["noop", "child", ...Object.keys(TASKS)];
      await pool.query("select legwork_private.register_tasks($1)", [JSON.stringify(names.map((name) => ({ name })))]);
      await pool.end();
      dbos("prepare", await freshDatabase(serverUrl, "legwork_durable_dbos"));
      for (let round = short ? 1 : 0; round <= rounds; round++) {
        for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
          const rate = await measure(side, serverUrl, directory);
          console.error(`round ${round}: ${side.name}: ${Math.round(rate)} a second`);
          // The first round warms caches and is not counted.
          if (round > 0) rates.set(side.name, [...(rates.get(side.name) ?? []), rate]);
        }
      }
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  reportRates(sides, rates, short);
  if (short) return;
  saveSection("durable", { sides: withRates(sides, rates) });
  writeBenchmarks();
}

async function measure(side: Side, serverUrl: string, directory: string): Promise<number> {
  const url = await freshDatabase(serverUrl, "legwork_durable", `legwork_durable_${side.program ?? "legwork"}`);
  if (side.program === "dbos") dbos("fill", url, String(side.calls));
  else {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      await client.query(side.sql);
    } finally {
      await client.end();
    }
  }
  await vacuum(url);
  const options = { url, jobs: side.calls, directory };
  const worker =
    side.program === "dbos"
      ? startPeer("dbos", { ...options, work: "tuned" })
      : startLegwork({ ...options, tasks: join(directory, "defined"), settings: TUNED });
  try {
    const { seconds } = await worker.measured();
    return side.calls / seconds;
  } finally {
    await worker.stop();
  }
}

function dbos(...parameters: readonly string[]): void {
  execFileSync(process.execPath, [join(PEERS, "dbos.mjs"), ...parameters], { stdio: ["ignore", "ignore", "inherit"] });
}

async function writeTasks(folder: string): Promise<void> {
  const from = JSON.stringify(join(PEERS, "measure.mjs"));
  for (const [name, body] of Object.entries(TASKS)) {
    await writeFile(
      join(folder, `${name}.mjs`),
      `import { defineTask } from "legwork";\nimport { note } from ${from};\nexport default defineTask({ run: async (payload, { step }) => { ${body} note(payload); } });\n`,
    );
  }
  await writeFile(join(folder, "child.mjs"), `export default async () => ({ ok: true });\n`);
}
