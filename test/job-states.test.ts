import { readFile } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { draw, FILE, TRANSITIONS } from "../scripts/draw-job-states.ts";
import { JOB_STATES } from "../src/contract/states.ts";
import { defineTask, Snooze } from "../src/index.ts";
import { cancelJob, pauseQueue, resumeQueue, retryJob } from "../src/operations.ts";
import { openTestKit, type TestKit } from "../src/testing.ts";
import { testDatabase } from "./support/database.ts";

const database = testDatabase();
const page = await readFile(new URL("../docs/guides/life-of-a-job.md", import.meta.url), "utf8");

let kit: TestKit;
/** The state of the job as its task saw it. */
let duringRun = "";

const work = defineTask({
  payload: z.object({ how: z.string() }),
  retry: { attempts: 2, backoff: "fixed", delay: "1h" },
  async run({ how }, { job, step }) {
    duringRun = await stateOf(job.id);
    if (how === "snooze") throw new Snooze("1h");
    if (how === "wait") await step.waitFor("approval");
    if (how === "cancel") await cancelJob(kit.pool, job.id);
    if (how !== "return") throw new Error("The attempt failed.");
  },
});

beforeAll(async () => {
  kit = await openTestKit({ databaseUrl: database.url, tasks: { work } });
});
afterEach(() => kit.clear());
afterAll(() => kit.close());

async function stateOf(id: string): Promise<string> {
  return (await kit.job(id)).state;
}

const add = (how: string, options = {}): Promise<string> => kit.enqueue("work", { how }, options);
const later = (): { runAt: Date } => ({ runAt: new Date(Date.now() + 3_600_000) });

/** The states of a job before and after something happens to it. */
async function change(id: string, act: () => Promise<unknown>): Promise<string> {
  const before = await stateOf(id);
  await act();
  return `${before} → ${await stateOf(id)}`;
}

/** The states of a job during and after an attempt. */
async function attempt(how: string, options = {}): Promise<string> {
  const id = await add(how, options);
  await kit.runJob(id);
  return `${duringRun} → ${await stateOf(id)}`;
}

async function ready(state: "blocked" | "paused" | "retrying" | "scheduled"): Promise<string> {
  if (state === "scheduled") return await add("return", later());
  if (state === "blocked") return await add("return", { dependsOn: [await add("return", later())] });
  if (state === "paused") {
    await pauseQueue(kit.pool, "default");
    return await add("return");
  }
  const id = await add("fail");
  await kit.runJob(id);
  return id;
}

/** The scenario that causes each transition of the picture, in the order of the picture. */
const SCENARIOS: Readonly<Record<string, () => Promise<string>>> = {
  "enqueued → waiting": async () => {
    const states = [await stateOf(await add("return"))];
    for (const state of ["scheduled", "blocked", "paused"] as const) states.push(await stateOf(await ready(state)));
    expect(states).toEqual(["pending", "scheduled", "blocked", "paused"]);
    return "enqueued → waiting";
  },
  "scheduled → pending": async () => await change(await ready("scheduled"), () => kit.advance("2h")),
  "blocked → pending": async () => {
    const first = await add("return");
    return await change(await add("return", { dependsOn: [first] }), () => kit.runJob(first));
  },
  "paused → pending": async () => await change(await ready("paused"), () => resumeQueue(kit.pool, "default")),
  "retrying → pending": async () => await change(await ready("retrying"), () => kit.advance("2h")),
  "pending → paused": async () => await change(await add("return"), () => pauseQueue(kit.pool, "default")),
  "pending → running": async () => {
    const id = await add("return");
    const before = await stateOf(id);
    await kit.runJob(id);
    return `${before} → ${duringRun}`;
  },
  "running → pending": async () => {
    const id = await add("return");
    await kit.pool.query(
      "update graphile_worker._private_jobs set locked_at = now(), locked_by = 'gone', attempts = attempts + 1 where id = $1",
      [id],
    );
    return await change(id, () => kit.pool.query("select legwork_private.give_back_jobs('gone')"));
  },
  "running → scheduled": () => attempt("snooze"),
  "running → blocked": () => attempt("wait"),
  "running → retrying": () => attempt("fail"),
  "running → completed": () => attempt("return"),
  "running → failed": () => attempt("fail", { maxAttempts: 1 }),
  "running → cancelled": () => attempt("cancel"),
  "waiting → cancelled": async () => {
    const before: string[] = [];
    for (const state of ["scheduled", "blocked", "retrying", "paused"] as const) {
      const id = await ready(state);
      before.push(await change(id, () => cancelJob(kit.pool, id)));
    }
    expect(before).toEqual(["scheduled", "blocked", "retrying", "paused"].map((state) => `${state} → cancelled`));
    return "waiting → cancelled";
  },
  "waiting → expired": async () => {
    const id = await add("return", { expiresAt: new Date(Date.now() + 3_600_000) });
    expect(
      await change(id, async () => {
        await kit.advance("2h");
        await kit.pool.query("select legwork.tick()");
      }),
    ).toBe("pending → expired");
    return "waiting → expired";
  },
  "failed → pending": async () => {
    const id = await add("fail", { maxAttempts: 1 });
    await kit.runJob(id);
    return await change(id, () => retryJob(kit.pool, id));
  },
};

it("the picture has every state of the contract", () => {
  const picture = draw();
  expect([...picture.matchAll(/<text class="name (\w+)"/g)].map(([, state]) => state)).toEqual([...JOB_STATES]);
  const reached = new Set<string>(TRANSITIONS.map(({ to }) => to));
  expect(JOB_STATES.filter((state) => !reached.has(state))).toEqual([]);
});

it("docs/guides/job-states.svg is up to date; node scripts/draw-job-states.ts writes it", async () => {
  expect(await readFile(FILE, "utf8")).toBe(draw());
});

it("docs/guides/life-of-a-job.md has a heading for every state and a row for every transition", () => {
  expect([...page.matchAll(/^### (\w+)$/gm)].map(([, state]) => state)).toEqual([...JOB_STATES]);
  const rows = [...page.matchAll(/^\| ([\w `]+) \| `?(\w+)`? \|/gm)].map(
    ([, from = "", to]) => `${from.replaceAll("`", "")} → ${to}`,
  );
  expect(rows.filter((row) => row !== "from → to").toSorted()).toEqual(
    TRANSITIONS.map(({ from, to }) => `${from} → ${to}`).toSorted(),
  );
});

it.each(TRANSITIONS.map(({ from, to, label }) => [`${from} → ${to}`, label]))("%s: %s", async (transition) => {
  expect(await SCENARIOS[transition]?.()).toBe(transition);
});
