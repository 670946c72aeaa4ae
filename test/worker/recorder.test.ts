import { expect, it } from "vitest";
import type { Statement } from "../../src/worker/graphile/fetch-statement.ts";
import { type Query, Recorder, type Recording } from "../../src/worker/graphile/recorder.ts";
import { testLog } from "../support/database.ts";
import { until } from "../support/until.ts";

const full = Object.assign(new Error("No space left on device"), { code: "53100" });

const recording = (recorded: string[]): Recording<string> => ({
  jobId: (id) => id,
  build: (ids): Statement => ({ name: "complete_jobs/test", text: "", values: [ids] }),
  recorded: (ids) => void recorded.push(...ids),
});

it("a batch that the database rejects releases its connection at once, and is recorded later over another one", async () => {
  let isFull = true;
  const recorded: string[] = [];
  const problems: (string | undefined)[] = [];
  const onPool: Query = async () => {
    if (isFull) throw full;
    return { rowCount: 2 };
  };
  const recorder = new Recorder({
    onPool,
    log: testLog,
    signal: new AbortController().signal,
    onProblem: (problem) => problems.push(problem),
  });
  // Records one more batch than graphile-worker's pool has connections.
  for (let batch = 0; batch < 11; batch++) {
    await recorder.record(recording(recorded), [`${batch}a`, `${batch}b`], async () => {
      throw full;
    });
  }
  expect(recorder.fault).toBe(full);
  expect(recorded).toEqual([]);
  isFull = false;
  await recorder.settled();
  expect(recorder.fault).toBeUndefined();
  expect(recorded).toHaveLength(22);
  expect(problems).toEqual([expect.stringContaining("No space left on device"), undefined]);
});

it("a batch that has not been recorded when the runner closes is dropped", async () => {
  const closed = new AbortController();
  const recorded: string[] = [];
  const refuse: Query = async () => {
    throw full;
  };
  const recorder = new Recorder({ onPool: refuse, log: testLog, signal: closed.signal });
  await recorder.record(recording(recorded), ["1"], refuse);
  await until("the batch waits", () => recorder.fault === full);
  closed.abort();
  await recorder.settled();
  expect(recorded).toEqual([]);
});
