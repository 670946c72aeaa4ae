import { existsSync } from "node:fs";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** The test files that take the longest, below test/. Those that begin last are what the others wait for at the end. */
const SLOW = [
  "engine/quarantine",
  "engine/conformance",
  "engine/lease",
  "engine/chaos",
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
if (missing.length > 0) throw new Error(`Not there, and to be taken out of test/support/slow-first.ts: ${missing.join(", ")}`);

const places = new Map(SLOW.map((file, place) => [file.pathname, place]));

/**
 * Begins with the slow test files, whether or not there are results of an earlier run to go by. One project after the other, because a process
 * that runs files runs those of one project only.
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
