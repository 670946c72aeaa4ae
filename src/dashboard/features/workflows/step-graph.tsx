import "@xyflow/react/dist/base.css";
import {
  Background,
  Controls,
  type Edge,
  Handle,
  MiniMap,
  type Node,
  type NodeProps,
  Position,
  ReactFlow,
  type ReactFlowInstance,
} from "@xyflow/react";
import { RotateCw } from "lucide-react";
import { memo, useEffect, useMemo, useState } from "react";
import { Link } from "wouter";
import { Duration } from "../../components/time/time.tsx";
import { groupSteps, type StepGroup } from "./group-steps.ts";
import { layOut, withStepsOnly, STEP_HEIGHT, STEP_WIDTH } from "./layout-steps.ts";
import type { Step } from "../../api/workflows.ts";
import { words } from "./words.ts";

interface BoxData extends Record<string, unknown> {
  group: StepGroup;
  onRetry: ((step: string) => void) | undefined;
  onOpen: (group: string) => void;
}
type StepNode = Node<BoxData, "step">;

const NODE_TYPES = { step: memo(StepBox) };

/** Graphs with more boxes than this are not zoomed to fit at first, because the steps would be tiny. They have a map. */
const FITTED_STEPS = 150;
const MAPPED_STEPS = 20;

/** The space around a graph that is zoomed to fit. The buttons are at the left. */
const FIT_PADDING = { left: "52px", right: "16px", y: "16px" } as const;

/** The height of the graph grows with its content between these limits (px). */
const LEAST_HEIGHT = 160;
const MOST_HEIGHT = 560;

/**
 * The steps and their dependencies as a graph that can be moved and zoomed; each step links to its job. Only visible steps are rendered, and steps
 * that differ only in their payload are combined. `isFollowing` keeps the running steps in view. The list of steps contains the same data, also for
 * screen readers.
 */
export default function StepGraph({
  steps,
  isFollowing,
  onRetry,
}: {
  steps: readonly Step[];
  isFollowing: boolean;
  /** Retries from a step; undefined if that is not possible. */
  onRetry: ((step: string) => void) | undefined;
}) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const [flow, setFlow] = useState<ReactFlowInstance<StepNode>>();
  const groups = useMemo(() => {
    const dependencies = new Map(withStepsOnly(steps).map(({ name, dependsOn }) => [name, dependsOn] as const));
    return groupSteps(steps, dependencies, open);
  }, [steps, open]);
  const shape = JSON.stringify(groups.map(({ name, dependsOn }) => [name, dependsOn]));
  const placed = useMemo(
    () => layOut((JSON.parse(shape) as [string, string[]][]).map(([name, dependsOn]) => ({ name, dependsOn }))),
    [shape],
  );
  const onOpen = useMemo(() => (group: string) => setOpen((old) => new Set([...old, group])), []);
  const nodes: StepNode[] = groups.map((group) => ({
    id: group.name,
    type: "step",
    position: placed.get(group.name) ?? { x: 0, y: 0 },
    width: STEP_WIDTH,
    height: STEP_HEIGHT,
    data: { group, onRetry, onOpen },
  }));
  const edges: Edge[] = useMemo(
    () =>
      (JSON.parse(shape) as [string, string[]][]).flatMap(([name, others]) =>
        others.map((other) => ({ id: `${other} → ${name}`, source: other, target: name })),
      ),
    [shape],
  );
  const running = groups.filter(({ steps: members }) => members.some(({ state }) => state === "running")).map(({ name }) => name);
  const followed = running.slice(0, 10).join("\n");
  useEffect(() => {
    if (!isFollowing || flow === undefined || followed === "") return;
    void flow.fitView({ nodes: followed.split("\n").map((id) => ({ id })), maxZoom: 1, padding: 0.4, duration: 300 });
  }, [isFollowing, flow, followed]);
  const isSmall = groups.length <= FITTED_STEPS;
  const bottom = Math.max(...[...placed.values()].map(({ y }) => y + STEP_HEIGHT));
  return (
    <div className="step-graph" style={{ height: Math.min(MOST_HEIGHT, Math.max(LEAST_HEIGHT, bottom + 60)) }}>
      <ReactFlow
        nodes={nodes}
        edges={edges}
        nodeTypes={NODE_TYPES}
        onInit={setFlow}
        nodesDraggable={false}
        nodesConnectable={false}
        nodesFocusable={false}
        edgesFocusable={false}
        elementsSelectable={false}
        zoomOnScroll={false}
        preventScrolling={false}
        onlyRenderVisibleElements
        proOptions={{ hideAttribution: true }}
        minZoom={0.05}
        maxZoom={1.5}
        fitView={isSmall}
        fitViewOptions={{ maxZoom: 1, padding: FIT_PADDING }}
        {...(isSmall ? {} : { defaultViewport: { x: 20, y: 20, zoom: 0.7 } })}
      >
        <Background />
        <Controls showInteractive={false} fitViewOptions={{ maxZoom: 1, padding: FIT_PADDING }} />
        {groups.length > MAPPED_STEPS && (
          <MiniMap<StepNode>
            pannable
            zoomable
            ariaLabel={words.map}
            nodeColor={({ data }) => `var(--state-${stateOf(data.group)})`}
          />
        )}
      </ReactFlow>
    </div>
  );
}

/** The state that matters most among the steps of a box. */
const ORDER = ["failed", "expired", "running", "retrying", "pending", "blocked", "paused", "scheduled", "cancelled", "completed"];

function stateOf({ steps }: StepGroup): string {
  const states = new Set<string>(steps.map(({ state }) => state ?? "blocked"));
  return ORDER.find((state) => states.has(state)) ?? "blocked";
}

function StepBox({ data: { group, onRetry, onOpen } }: NodeProps<StepNode>) {
  const [step] = group.steps;
  if (step === undefined) return null;
  const state = stateOf(group);
  const isRetried = onRetry !== undefined && (state === "failed" || state === "cancelled" || state === "expired");
  return (
    <div className="step-box state nopan" data-state={state} data-many={group.steps.length > 1}>
      <Handle type="target" position={Position.Left} isConnectable={false} />
      {group.steps.length > 1 ? (
        <button type="button" className="step-link" onClick={() => onOpen(group.name)}>
          <span className="step-name">
            <span className="state-dot" aria-hidden="true" />
            <span className="truncate">{words.equalSteps(step.task, group.steps.length)}</span>
          </span>
          <span className="step-task truncate">{words.countsByState(countStates(group))}</span>
        </button>
      ) : (
        <Link className="step-link" href={`/jobs/${step.jobId}`} title={step.error ?? undefined}>
          <span className="step-name">
            <span className="state-dot" aria-hidden="true" />
            <span className="truncate">{step.name}</span>
            <span className="visually-hidden">{state}</span>
          </span>
          <span className="step-task truncate" aria-hidden="true">
            {step.startedAt !== null && (
              <>
                <Duration from={step.startedAt} to={step.finishedAt} />
                {" · "}
              </>
            )}
            {step.error ?? step.task}
          </span>
        </Link>
      )}
      {isRetried && group.steps.length === 1 && (
        <button type="button" className="step-retry" title={words.retryFrom} onClick={() => onRetry(step.name)}>
          <RotateCw aria-hidden="true" />
          <span className="visually-hidden">{words.retryFromBox(step.name)}</span>
        </button>
      )}
      <Handle type="source" position={Position.Right} isConnectable={false} />
    </div>
  );
}

/** How many steps are in each state, the most important state first. */
function countStates({ steps }: StepGroup): [string, number][] {
  const counts = Map.groupBy(steps, ({ state }) => state ?? "blocked");
  return ORDER.flatMap((state) => {
    const here = counts.get(state as Exclude<Step["state"], null>)?.length ?? 0;
    return here === 0 ? [] : [[state, here] as [string, number]];
  });
}
