import { existsSync } from "node:fs";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * The test files that take the longest, relative to test/. If they began last, the run would have to wait for them at the end. Files that mostly wait
 * are next to files that mostly compute.
 */
const SLOW = [
  "engine/quarantine",
  "examples/projects-processing",
  "examples/assistant-month",
  "containment/blocked-loop",
  "embedded",
  "engine/lease",
  "dashboard/job",
  "containment/silent-connections",
  "upgrade/upgrade",
  "up",
  "examples/calendar",
  "dashboard/on-call-tasks",
  "cli/dev",
  "site",
  "dashboard/shell",
  "worker/stop",
  "dashboard/monitoring",
  "worker/invoke",
  "dashboard/every-page",
  "containment/matrix",
  "dashboard/jobs",
  "containment/isolate",
  "dashboard/overview",
  "containment/isolate-children",
  "sql/migrate",
  "server/graphql-subscriptions",
  "engine/conformance",
  "dashboard/workflows",
  "tasks/backup",
  "examples/demo",
  "engine/chaos",
  "worker/steps",
  "dashboard/job-actions",
  "tasks/git-clone-and-scan",
  "examples/chat",
  "readme",
  "access/roles-surfaces",
  "server/rest-fuzz",
  "dashboard/proxies",
  "sql/doctor",
  "sql/schedules",
  "sql/uninstall",
].map((name) => new URL(`../${name}.test.ts`, import.meta.url));

const missing = SLOW.filter((file) => !existsSync(file));
if (missing.length > 0)
  throw new Error(`These do not exist and must be removed from test/support/slow-first.ts: ${missing.join(", ")}`);

const places = new Map(SLOW.map((file, place) => [file.pathname, place]));

/**
 * Runs the slow test files first, with or without results of an earlier run. Projects run one after another, because a worker process runs files of
 * only one project.
 */
export class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // oxlint-disable-next-line unicorn/no-array-sort -- this is the method of the sequencer, not of an array
    const sorted = await super.sort(files);
    const place = ({ moduleId }: TestSpecification): number => places.get(moduleId) ?? SLOW.length;
    const projects = [...new Set(sorted.map(({ project }) => project.name))].toSorted().toReversed();
    const rank = ({ project }: TestSpecification): number => projects.indexOf(project.name);
    return sorted.toSorted((one, other) => rank(one) - rank(other) || place(one) - place(other));
  }
}
