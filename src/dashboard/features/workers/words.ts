import { counted, formatNumber } from "../../../wording.ts";

function goesOn(jobs: number): string {
  return jobs === 0 ? "It has no running jobs." : `It keeps running ${counted(jobs, "job")}.`;
}

export const words = {
  title: "Workers",
  lead: "Online workers. Plain graphile-worker processes run jobs too, but are not listed here.",
  none: "No workers online",
  noneHint: "Start one: {worker}, or {up} for everything in one process.",

  // Figures
  workers: "Workers",
  hosts: (count: number) => `on ${counted(count, "host")}`,
  concurrency: "Concurrency",
  concurrencyDetail: "total capacity",
  utilization: (share: string) => `${share} of capacity`,
  unresponsive: "Unresponsive",
  unresponsiveDetail: "their jobs move to other workers",
  allResponsive: "all responsive",

  // Table
  worker: "Worker",
  lastSeen: "Last seen",
  load: "Load",
  cpu: "CPU",
  memory: "Memory",
  disk: "Disk",
  heap: "Heap",
  unresponsiveHint:
    "This worker has not sent a heartbeat for too long. If it stays unresponsive, its jobs move to other workers.",
  ofTotal: (total: string) => `of ${total}`,
  notReported: "not reported yet",
  moreJobs: (count: number) => `and ${formatNumber(count)} more`,

  // Quiet and drain
  state: "State",
  states: { active: "Active", quiet: "Quiet", draining: "Draining" },
  quietBy: (by: string) => `by ${by}`,
  verbs: { quiet: "Quiet", drain: "Drain", resume: "Resume" },
  changeOf: (verb: string, worker: string) => `${verb} ${worker}`,
  changeQuestion: (verb: string, worker: string) => `${verb} worker ${worker}?`,
  changeExplained: {
    quiet: (jobs: number) => `It takes no new jobs until you resume it. ${goesOn(jobs)}`,
    drain: (jobs: number) =>
      `It takes no new jobs, and stops when its last job has ended. ${goesOn(jobs)} Start the process again to bring it back.`,
  },
  changed: {
    quiet: (worker: string) => `Worker ${worker} takes no new jobs.`,
    drain: (worker: string) => `Worker ${worker} stops when its running jobs have ended.`,
    resume: (worker: string) => `Worker ${worker} takes jobs again.`,
  },
  lacks: (count: number) => `Lacks ${counted(count, "task")}`,
  lackedTasks: "Missing tasks",
  lackedTasksHint: "Jobs of these tasks are waiting, but this worker does not have the tasks.",
  excludedTasks: "Excluded tasks",
  excludedTasksHint: "The worker has these tasks but is configured not to run them.",
  queueSlots: "Slots by queue",
  queueSlotsHint: "How many jobs of each queue the worker runs at a time.",
  slotsOf: (queue: string, count: number) => `${queue}: ${formatNumber(count)}`,
  version: "Version",
  newVersion: "new version",

  // One worker
  workerTitle: (name: string) => `Worker ${name}`,
  gone: "This worker is offline",
  goneHint: "{id} has stopped, or it became unresponsive and its jobs moved to other workers.",
  overdue: " (overdue)",
  memoryUse: (share: string, total: string, heap: string) => `${share} of the host's ${total}; heap ${heap}`,
  diskUse: (share: string, total: string) => `${share} of ${total}`,
  tasks: "Tasks",
  noJobs: "No running jobs",
  runningJobs: "Running jobs",
  runningFor: "Running for",

  // Starts
  starts: (days: number) => `Started in the last ${counted(days, "day")}`,
  startsTable: "Starts",
  noStarts: "No workers have started.",
  host: "Host",
} as const;
