import { counted, pluralOf } from "../../../wording.ts";

export const words = {
  title: "Queues",
  lead: "Groups of tasks with shared limits, retry policy and pause.",
  find: "Find queue",
  noMatches: (text: string) => `No queues match “${text}”`,
  table: "Queues",
  oldest: "Oldest",
  pauseOrResume: "Pause or resume",
  pauseReason: (reason: string | null) => (reason === null ? "" : `: ${reason}`),

  // One queue
  waitingForResume: (paused: string) =>
    `${counted(paused, "job")} ${pluralOf(paused, "is", "are")} waiting for it to be resumed.`,
  blockedBy: "by a limit or dependency",
  oldestJob: "Oldest waiting job",
  oldestJobDetail: "when it became due",
  limitsNote: "These limits apply to all tasks of the queue together. A task can also have its own limits.",
  tasks: "Tasks",
  tasksOf: "Tasks of the queue",
  noTasks: "No tasks",
  noTasksHint: "A task's definition names the queue that it belongs to.",
  taskLimits: "Task limits",
  active: "active",
  paused: "paused",
  firstTasks: "First 100 tasks. {all}",
  allTasks: "View all",
} as const;
