import "@xyflow/react/dist/base.css";
import { Background, Controls, type Edge, Handle, type Node, type NodeProps, Position, ReactFlow } from "@xyflow/react";
import { memo, useMemo } from "react";
import { Link } from "wouter";
import { layOut, withStepsOnly, STEP_HEIGHT, STEP_WIDTH } from "./layout-steps.ts";
import type { Step } from "../../api/workflows.ts";

type StepNode = Node<{ name: string; task: string; state: string; jobId: string }, "step">;

const NODE_TYPES = { step: memo(StepBox) };

/** Graphs with more steps than this are not zoomed to fit at first: steps would be dots. */
const FITTED_STEPS = 150;

/**
 * The steps and their dependencies as a graph to move and zoom; each step links to its job. Only visible steps are rendered. The table below has the
 * same data, for screen readers too.
 */
export default function StepGraph({ steps }: { steps: readonly Step[] }) {
  const shape = JSON.stringify(withStepsOnly(steps).map(({ name, dependsOn }) => [name, dependsOn]));
  const placed = useMemo(
    () => layOut((JSON.parse(shape) as [string, string[]][]).map(([name, dependsOn]) => ({ name, dependsOn }))),
    [shape],
  );
  const nodes: StepNode[] = steps.map(({ name, task, state, jobId }) => ({
    id: name,
    type: "step",
    position: placed.get(name) ?? { x: 0, y: 0 },
    width: STEP_WIDTH,
    height: STEP_HEIGHT,
    data: { name, task, state: state ?? "blocked", jobId },
  }));
  const edges: Edge[] = useMemo(
    () =>
      (JSON.parse(shape) as [string, string[]][]).flatMap(([name, others]) =>
        others.map((other) => ({ id: `${other} → ${name}`, source: other, target: name })),
      ),
    [shape],
  );
  const isSmall = steps.length <= FITTED_STEPS;
  return (
    <div className="step-graph">
      <ReactFlow
        nodes={nodes}
        edges={edges}
        nodeTypes={NODE_TYPES}
        nodesDraggable={false}
        nodesConnectable={false}
        nodesFocusable={false}
        edgesFocusable={false}
        elementsSelectable={false}
        zoomOnScroll={false}
        preventScrolling={false}
        onlyRenderVisibleElements
        minZoom={0.05}
        maxZoom={1.5}
        proOptions={{ hideAttribution: false }}
        fitView={isSmall}
        fitViewOptions={{ maxZoom: 1, padding: 0.1 }}
        {...(isSmall ? {} : { defaultViewport: { x: 20, y: 20, zoom: 0.7 } })}
      >
        <Background />
        <Controls showInteractive={false} />
      </ReactFlow>
    </div>
  );
}

function StepBox({ data: { name, task, state, jobId } }: NodeProps<StepNode>) {
  return (
    <Link className="step-box state nopan" data-state={state} href={`/jobs/${jobId}`}>
      <Handle type="target" position={Position.Left} isConnectable={false} />
      <span className="step-name">
        <span className="state-dot" aria-hidden="true" />
        <span className="truncate">{name}</span>
        <span className="visually-hidden">{state}</span>
      </span>
      <span className="step-task truncate">{task}</span>
      <Handle type="source" position={Position.Right} isConnectable={false} />
    </Link>
  );
}
