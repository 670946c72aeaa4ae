import type { BullmqJob } from "./map-job.ts";

/** Larger flows are left to BullMQ. */
const MOST_JOBS = 1_000;

/** The jobs of a flow, children before their parents. */
export interface Flow {
  readonly jobs: readonly { readonly job: BullmqJob; readonly dependsOn: readonly BullmqJob[] }[];
  /** Why it cannot be taken over as a whole. */
  readonly obstacle: string | undefined;
}

interface Found {
  /** Jobs that wait for their children. */
  readonly parents: readonly BullmqJob[];
  /** Jobs with a parent that wait for a worker, by their keys. */
  readonly children: ReadonlyMap<string, BullmqJob>;
  keyOf(job: BullmqJob): string;
  /** The keys of the children that have not ended, and how many have. */
  childrenOf(job: BullmqJob): Promise<{ open: readonly string[]; ended: number }>;
  exists(key: string): Promise<boolean>;
}

/** Puts waiting parents and children together. A flow is moved as a whole, because each system knows only its own jobs. */
export async function findFlows(found: Found): Promise<Flow[]> {
  const parents = new Map(found.parents.map((job) => [found.keyOf(job), job]));
  const seen = new Set<string>();
  const flows: Flow[] = [];
  const isRoot = async ({ parentKey }: BullmqJob): Promise<boolean> =>
    parentKey === undefined || !(await found.exists(parentKey));

  const collect = async (root: BullmqJob): Promise<Flow> => {
    const jobs: { job: BullmqJob; dependsOn: BullmqJob[] }[] = [];
    let obstacle: string | undefined;
    let size = 1;
    const visit = async (job: BullmqJob): Promise<void> => {
      seen.add(found.keyOf(job));
      const dependsOn: BullmqJob[] = [];
      if (job.place === "waiting-children") {
        const { open, ended } = await found.childrenOf(job);
        if (ended > 0) obstacle ??= "Children of its flow have ended, and their results are in BullMQ. Let it end there.";
        for (const key of open) {
          const child = parents.get(key) ?? found.children.get(key);
          if (child === undefined) obstacle ??= `A child of its flow (${key}) is running, or in a queue that is not imported.`;
          else if (!seen.has(key)) {
            dependsOn.push(child);
            if (size++ > MOST_JOBS) obstacle ??= "Its flow has more than 1,000 jobs. Let it end in BullMQ.";
            else await visit(child);
          }
        }
      }
      jobs.push({ job, dependsOn });
    };
    await visit(root);
    return { jobs, obstacle };
  };

  for (const job of parents.values()) {
    if (!seen.has(found.keyOf(job)) && (await isRoot(job))) flows.push(await collect(job));
  }
  // A job without its parent is a job of its own. One whose parent is elsewhere belongs to a flow that is not imported.
  for (const [key, job] of [...parents, ...found.children]) {
    if (seen.has(key)) continue;
    const obstacle = (await isRoot(job))
      ? undefined
      : "Its flow's parent is in a queue that is not imported, or no longer waits.";
    seen.add(key);
    flows.push({ jobs: [{ job, dependsOn: [] }], obstacle });
  }
  return flows;
}
