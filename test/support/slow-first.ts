import { existsSync } from "node:fs";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** The test files that take the longest, relative to test/. If they began last, the others would wait for them at the end. */
const SLOW = [
  "engine/quarantine",
  "engine/conformance",
  "engine/lease",
  "engine/chaos",
  "worker/invoke",
  "embedded",
  "up",
  "site",
  "containment/blocked-loop",
  "containment/silent-connections",
  "dashboard/monitoring",
  "dashboard/overview",
  "dashboard/every-page",
  "dashboard/job",
  "examples/assistant-month",
  "examples/projects-processing",
  "cli/cli",
  "cli/remote",
  "tasks/backup",
  "server/graphql-subscriptions",
  "worker/stop",
].map((name) => new URL(`../${name}.test.ts`, import.meta.url));

const missing = SLOW.filter((file) => !existsSync(file));
if (missing.length > 0)
  throw new Error(`These do not exist and must be removed from test/support/slow-first.ts: ${missing.join(", ")}`);

const places = new Map(SLOW.map((file, place) => [file.pathname, place]));

/**
 * Runs the slow test files first, with or without results of an earlier run. One project after the other, because a worker process runs files of one
 * project only.
 */
export class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // oxlint-disable-next-line unicorn/no-array-sort -- a sequencer's own method
    const sorted = await super.sort(files);
    const place = ({ moduleId }: TestSpecification): number => places.get(moduleId) ?? SLOW.length;
    const projects = [...new Set(sorted.map(({ project }) => project.name))].toSorted().toReversed();
    const rank = ({ project }: TestSpecification): number => projects.indexOf(project.name);
    return sorted.toSorted((one, other) => rank(one) - rank(other) || place(one) - place(other));
  }
}
