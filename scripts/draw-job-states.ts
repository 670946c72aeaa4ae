// Draws docs/guides/job-states.svg: the states of a job and the transitions between them.
//
//   node scripts/draw-job-states.ts    redraws the diagram
//
// test/job-states.test.ts compares the diagram with this table, the states with src/contract, and each transition with a job's actual behavior.
import { writeFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { JOB_STATES, type JobState } from "../src/contract/states.ts";

export const FILE = fileURLToPath(new URL("../docs/guides/job-states.svg", import.meta.url));

/** `enqueued` is the start. `waiting` represents each of the five states in which a job waits. */
type From = JobState | "enqueued" | "waiting";

interface Transition {
  readonly from: From;
  readonly to: JobState | "waiting";
  /** The cause, in a few words. */
  readonly label: string;
  readonly path: string;
  /** The position of the label. */
  readonly at: readonly [x: number, y: number];
  readonly anchor?: "end" | "middle";
}

const WIDTH = 1128;
const HEIGHT = 470;
const BOX = { width: 140, height: 44 };

/** The upper left corner of each state. */
const POSITIONS: Readonly<Record<JobState, readonly [x: number, y: number]>> = {
  scheduled: [50, 80],
  blocked: [50, 160],
  paused: [50, 240],
  retrying: [50, 320],
  pending: [350, 200],
  running: [620, 200],
  completed: [944, 80],
  failed: [944, 160],
  cancelled: [944, 240],
  expired: [944, 320],
};

const GROUPS = [
  { name: "waiting", x: 20, y: 44, width: 490, height: 372 },
  { name: "ended", x: 928, y: 44, width: 172, height: 372 },
];

/** The colors of each state in the light and the dark theme. */
const COLORS: Readonly<Record<JobState, readonly [string, string]>> = {
  scheduled: ["#5a5595", "#b3aef0"],
  pending: ["#4c5a6b", "#a9b8ca"],
  blocked: ["#855300", "#f0b45c"],
  paused: ["#7a4b74", "#dba6d3"],
  running: ["#0057b8", "#7fb5ff"],
  retrying: ["#a3430f", "#ff9f6b"],
  completed: ["#216e39", "#6cc886"],
  failed: ["#b3261e", "#ff8a80"],
  cancelled: ["#5b5c60", "#a4a9b0"],
  expired: ["#6c5a45", "#c9b395"],
};

/** Draws a line from the right side of a waiting state to the left side of `pending`. */
const toPending = (y: number): string => `M190,${y} C290,${y} 270,222 350,222`;

export const TRANSITIONS: readonly Transition[] = [
  { from: "enqueued", to: "waiting", label: "enqueue", path: "M120,12 V44", at: [128, 26] },
  { from: "scheduled", to: "pending", label: "run_at is reached", path: toPending(110), at: [196, 106] },
  { from: "blocked", to: "pending", label: "unblocked", path: toPending(182), at: [196, 176] },
  { from: "paused", to: "pending", label: "resume", path: toPending(252), at: [196, 243] },
  { from: "retrying", to: "pending", label: "retry is due", path: toPending(342), at: [196, 361] },
  { from: "pending", to: "paused", label: "pause", path: "M400,244 C400,296 300,272 190,272", at: [330, 300] },
  { from: "pending", to: "running", label: "a worker fetches", path: "M490,232 H620", at: [555, 250], anchor: "middle" },
  { from: "running", to: "pending", label: "worker lost", path: "M620,212 H490", at: [562, 204], anchor: "middle" },
  { from: "running", to: "scheduled", label: "snooze", path: "M650,200 V90 H190", at: [520, 84] },
  { from: "running", to: "blocked", label: "waits for a signal or sleeps", path: "M700,200 V60 H34 V182 H50", at: [520, 54] },
  { from: "running", to: "retrying", label: "attempt fails, retries are left", path: "M680,244 V396 H120 V364", at: [520, 413] },
  { from: "running", to: "completed", label: "task returns", path: "M760,222 H796 V102 H944", at: [802, 96] },
  { from: "running", to: "failed", label: "last attempt fails", path: "M760,222 H796 V182 H944", at: [802, 176] },
  { from: "running", to: "cancelled", label: "cancel", path: "M760,222 H796 V258 H944", at: [802, 252] },
  { from: "waiting", to: "cancelled", label: "cancel, or a dependency fails", path: "M510,306 H908 V274 H944", at: [688, 300] },
  { from: "waiting", to: "expired", label: "expires_at passes", path: "M510,342 H944", at: [694, 336] },
  { from: "failed", to: "pending", label: "retry_job", path: "M1084,182 H1112 V26 H420 V200", at: [694, 20] },
];

function stateBox(state: JobState): string {
  const [x, y] = POSITIONS[state];
  return [
    `<rect class="state ${state}" x="${x}" y="${y}" width="${BOX.width}" height="${BOX.height}" rx="8"/>`,
    `<text class="name ${state}" x="${x + BOX.width / 2}" y="${y + BOX.height / 2 + 6}" text-anchor="middle">${state}</text>`,
  ].join("\n");
}

function style(theme: 0 | 1): string {
  const [ground, group, line, text] = (
    [
      ["#ffffff", "#f3f3f0", "#7b7c80", "#3a3b3f"],
      ["#1b1d20", "#24272b", "#8d949c", "#d5d8dc"],
    ] as const
  )[theme];
  return [
    `.ground{fill:${ground}}.group{fill:${group}}.line{stroke:${line}}.head{fill:${line}}.label,.title{fill:${text}}`,
    `.state{fill:${ground}}`,
    ...JOB_STATES.map((state) => `.state.${state}{stroke:${COLORS[state][theme]}}.name.${state}{fill:${COLORS[state][theme]}}`),
  ].join("");
}

export function draw(): string {
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-labelledby="title">`,
    `<title id="title">The states of a job and the transitions between them</title>`,
    `<style>text{font-family:system-ui,sans-serif}.name{font-size:18px;font-weight:600}.label{font-size:14px}.title{font-size:15px;font-weight:600}`,
    `.line{fill:none;stroke-width:1.5}.state{stroke-width:2}${style(0)}@media (prefers-color-scheme:dark){${style(1)}}</style>`,
    `<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto-start-reverse"><path class="head" d="M0,0 L8,4 L0,8 Z"/></marker></defs>`,
    `<rect class="ground" width="${WIDTH}" height="${HEIGHT}" rx="12"/>`,
    ...GROUPS.flatMap(({ name, x, y, width, height }) => [
      `<rect class="group" x="${x}" y="${y}" width="${width}" height="${height}" rx="12"/>`,
      `<text class="title" x="${x + width / 2}" y="${y + height + 22}" text-anchor="middle">${name}</text>`,
    ]),
    ...TRANSITIONS.map(({ path }) => `<path class="line" d="${path}" marker-end="url(#head)"/>`),
    ...JOB_STATES.map(stateBox),
    ...TRANSITIONS.map(
      ({ label, at: [x, y], anchor }) =>
        `<text class="label" x="${x}" y="${y}"${anchor === undefined ? "" : ` text-anchor="${anchor}"`}>${label}</text>`,
    ),
    "</svg>",
  ].join("\n")}\n`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) writeFileSync(FILE, draw());
