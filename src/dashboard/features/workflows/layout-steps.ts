import dagre from "@dagrejs/dagre";
import type { Step } from "../../api/workflows.ts";

export const STEP_WIDTH = 200;
export const STEP_HEIGHT = 58;

/** With more steps than this, a simpler layout algorithm is used, because the finer one takes seconds. */
const FINE_LAYOUT_STEPS = 300;

export interface Placed {
  x: number;
  y: number;
}

/**
 * The steps with their dependencies on other steps: a dependency on a sub-workflow is replaced by dependencies on its last steps. The server does not
 * report the dependencies of the sub-workflow itself, so its first steps have none.
 */
export function withStepsOnly(steps: readonly Pick<Step, "name" | "dependsOn">[]): { name: string; dependsOn: string[] }[] {
  const names = new Set(steps.map(({ name }) => name));
  const needed = new Set(steps.flatMap(({ dependsOn }) => dependsOn));
  return steps.map(({ name, dependsOn }) => ({
    name,
    dependsOn: dependsOn.flatMap((other) =>
      names.has(other)
        ? [other]
        : steps.map((step) => step.name).filter((inner) => inner.startsWith(`${other}/`) && !needed.has(inner)),
    ),
  }));
}

/**
 * The position of each step, with its dependencies to the left. It depends only on names and dependencies, so that the graph does not move when
 * states change.
 */
export function layOut(steps: readonly Pick<Step, "name" | "dependsOn">[]): Map<string, Placed> {
  return steps.length > FINE_LAYOUT_STEPS ? byRank(steps) : finely(steps);
}

function finely(steps: readonly Pick<Step, "name" | "dependsOn">[]): Map<string, Placed> {
  const graph = new dagre.graphlib.Graph().setGraph({ rankdir: "LR", nodesep: 18, ranksep: 70 }).setDefaultEdgeLabel(() => ({}));
  for (const { name } of steps) graph.setNode(name, { width: STEP_WIDTH, height: STEP_HEIGHT });
  for (const { name, dependsOn } of steps) for (const other of dependsOn) graph.setEdge(other, name);
  dagre.layout(graph);
  return new Map(
    steps.map(({ name }) => {
      const { x, y } = graph.node(name);
      return [name, { x: x - STEP_WIDTH / 2, y: y - STEP_HEIGHT / 2 }];
    }),
  );
}

/** Lays out one column for each rank, with at most 50 steps per column. The rank of a step is one more than the largest rank of its dependencies. */
function byRank(steps: readonly Pick<Step, "name" | "dependsOn">[]): Map<string, Placed> {
  const ranks = new Map<string, number>();
  // The server lists each step after its dependencies.
  for (const { name, dependsOn } of steps) {
    ranks.set(name, Math.max(-1, ...dependsOn.map((other) => ranks.get(other) ?? 0)) + 1);
  }
  const byColumn = Map.groupBy(steps, ({ name }) => ranks.get(name) ?? 0);
  const placed = new Map<string, Placed>();
  let column = 0;
  for (const [, members] of [...byColumn].toSorted(([left], [right]) => left - right)) {
    for (const [index, { name }] of members.entries()) {
      placed.set(name, {
        x: (column + Math.floor(index / 50)) * (STEP_WIDTH + 70),
        y: (index % 50) * (STEP_HEIGHT + 18),
      });
    }
    column += Math.ceil(members.length / 50);
  }
  return placed;
}
