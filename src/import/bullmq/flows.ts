import type { BullmqJob } from "./map-job.ts";

/** Larger flows are left to BullMQ. */
const MOST_JOBS = 1_000;

/** The jobs of a flow, children before their parents. */
export interface Flow {
  readonly jobs: readonly { readonly job: BullmqJob; readonly dependsOn: readonly BullmqJob[] }[];
  /** The reason why it cannot be imported as a whole; undefined if it can. */
  readonly obstacle: string | undefined;
}

interface Found {
  /** Jobs that wait for their children. */
  readonly parents: readonly BullmqJob[];
  /** Jobs with a parent that wait for a worker, by their keys. */
  readonly children: ReadonlyMap<string, BullmqJob>;
  keyOf(job: BullmqJob): string;
  /** Returns the keys of the children that have not ended, and the number of those that have. */
  childrenOf(job: BullmqJob): Promise<{ open: readonly string[]; ended: number }>;
  exists(key: string): Promise<boolean>;
}

/** Combines waiting parents and their children into flows. A flow is moved as a whole, because jobs cannot depend on jobs of another system. */
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
        if (ended > 0)
          obstacle ??= "Some children of its flow have ended, and their results are in BullMQ. Let BullMQ finish the flow.";
        for (const key of open) {
          const child = parents.get(key) ?? found.children.get(key);
          if (child === undefined) obstacle ??= `A child of its flow (${key}) is running, or is in a queue that is not imported.`;
          else if (!seen.has(key)) {
            dependsOn.push(child);
            if (size++ > MOST_JOBS) obstacle ??= "Its flow has more than 1,000 jobs. Let BullMQ finish the flow.";
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
  // A job whose parent no longer exists is imported on its own. A job with an existing parent belongs to a flow that is not imported.
  for (const [key, job] of [...parents, ...found.children]) {
    if (seen.has(key)) continue;
    const obstacle = (await isRoot(job))
      ? undefined
      : "The parent of its flow is in a queue that is not imported, or is no longer waiting.";
    seen.add(key);
    flows.push({ jobs: [{ job, dependsOn: [] }], obstacle });
  }
  return flows;
}
