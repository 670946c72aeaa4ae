import type { Step } from "../../api/workflows.ts";

/** Steps that are drawn as one box: all of them have the same task, depend on the same steps, and are dependencies of the same steps. */
export interface StepGroup {
  /** The name of its first step, which identifies it. */
  name: string;
  dependsOn: readonly string[];
  steps: readonly Step[];
}

/** If there are more steps than this that differ only in their payload, they are drawn as one box. */
const MOST_EQUAL = 50;

/**
 * Combines steps that differ only in their payload, such as the thousand parts of a large import: their boxes would all look the same and hide the
 * rest of the graph. The steps of groups in `open` are drawn individually. `steps` must be in the server's order, in which each step comes after its
 * dependencies, and may only depend on other steps.
 */
export function groupSteps(
  steps: readonly Step[],
  dependencies: ReadonlyMap<string, readonly string[]>,
  open: ReadonlySet<string>,
): StepGroup[] {
  const dependents = new Map<string, string[]>();
  for (const [name, others] of dependencies) {
    for (const other of others) {
      const known = dependents.get(other);
      if (known === undefined) dependents.set(other, [name]);
      else known.push(name);
    }
  }
  const groups = Map.groupBy(steps, ({ name, task }) =>
    JSON.stringify([task, dependencies.get(name)?.toSorted(), dependents.get(name)?.toSorted()]),
  );
  const groupOf = new Map<string, string>();
  const found: { name: string; steps: readonly Step[] }[] = [];
  for (const members of groups.values()) {
    const [first] = members;
    if (first === undefined) continue;
    if (members.length > MOST_EQUAL && !open.has(first.name)) {
      found.push({ name: first.name, steps: members });
      for (const { name } of members) groupOf.set(name, first.name);
    } else {
      for (const step of members) found.push({ name: step.name, steps: [step] });
    }
  }
  const position = new Map(steps.map(({ name }, index) => [name, index] as const));
  return found
    .toSorted((a, b) => position.get(a.name)! - position.get(b.name)!)
    .map(({ name, steps: members }) => ({
      name,
      steps: members,
      dependsOn: [...new Set((dependencies.get(name) ?? []).map((other) => groupOf.get(other) ?? other))],
    }));
}
