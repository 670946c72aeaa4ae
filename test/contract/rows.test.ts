import { describe, expect, it } from "vitest";
import { jobSchema, jobWithAttemptsSchema, logLineSchema } from "../../src/contract/jobs.ts";
import { page } from "../../src/contract/page.ts";
import { queueSchema } from "../../src/contract/queues.ts";
import { fromRow, parseAnswer, toColumns } from "../../src/contract/rows.ts";
import { UnboundedTime } from "../../src/contract/unbounded-time.ts";
import { toStepRows } from "../../src/contract/workflows.ts";

const at = new Date("2030-01-01T00:00:00Z");

describe("a response", () => {
  it("has a row's columns in camelCase, with unchanged values", () => {
    const row = { id: "1", max_attempts: 3, run_at: at, payload: { user_id: 1, run_at: "x" }, result: [{ a_b: null }] };
    expect(fromRow(jobSchema, row as never)).toEqual({
      id: "1",
      maxAttempts: 3,
      runAt: at,
      payload: { user_id: 1, run_at: "x" },
      result: [{ a_b: null }],
    });
  });

  it("has nested rows in camelCase too", () => {
    const row = { id: "1", attempt_list: [{ attempt: 1, error_message: "broke", retry_at: null }] };
    expect(fromRow(jobWithAttemptsSchema, row as never)).toEqual({
      id: "1",
      attemptList: [{ attempt: 1, errorMessage: "broke", retryAt: null }],
    });
    expect(fromRow(queueSchema, { name: "q", retry: { max_delay: "01:00:00", retry_on: ["E"] } } as never)).toEqual({
      name: "q",
      retry: { maxDelay: "01:00:00", on: ["E"] },
    });
  });

  it("omits columns that the schema does not name", () => {
    expect(fromRow(jobSchema, { id: "1", secret_column: 1 } as never)).toEqual({ id: "1" });
  });
});

describe("a response parsed from JSON", () => {
  it("has Dates where the schema says so, and nowhere else", () => {
    const line = { id: "1", loggedAt: "2030-01-01T00:00:00.000Z", fields: { loggedAt: "2030-01-01T00:00:00.000Z" } };
    expect(parseAnswer(page(logLineSchema, "A page."), { items: [line], nextCursor: null })).toEqual({
      items: [{ ...line, loggedAt: at }],
      nextCursor: null,
    });
  });

  it("keeps times that a Date cannot hold", () => {
    const job = parseAnswer(jobSchema, { runAt: null, createdAt: "290000-01-01T00:00:00+00", startedAt: null });
    expect(job.runAt).toBeInstanceOf(UnboundedTime);
    expect(job.runAt.toISOString()).toBe("infinity");
    expect(job.createdAt.toISOString()).toBe("290000-01-01T00:00:00+00");
    expect(job.startedAt).toBeNull();
  });
});

describe("JSON for SQL", () => {
  it("has the listed fields in snake_case", () => {
    expect(toColumns(["runAt"], { runAt: 1, payload: { runAt: 2 }, other: 3 })).toEqual({
      run_at: 1,
      payload: { runAt: 2 },
      other: 3,
    });
  });

  it("is rejected if a field is already in snake_case", () => {
    expect(() => toColumns(["runAt"], { run_at: 1 })).toThrow("Unknown field 'run_at'.");
  });

  it("converts steps by name and as an array, including nested steps", () => {
    const rows = { a: { steps: { b: { task: "t", depends_on: ["c"], payload: { dependsOn: 1 } } } } };
    expect(toStepRows({ a: { steps: { b: { task: "t", dependsOn: ["c"], payload: { dependsOn: 1 } } } } })).toEqual(rows);
    expect(toStepRows([{ name: "a", maxAttempts: 2 }])).toEqual([{ name: "a", max_attempts: 2 }]);
    expect(toStepRows("none")).toBe("none");
  });
});
