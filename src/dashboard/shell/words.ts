import type { Preferences } from "../components/preferences.ts";

const themes: Readonly<Record<Preferences["theme"], string>> = { system: "system", light: "light", dark: "dark" };

const isMac = /Mac|iPhone|iPad/.test(navigator.platform);

export const words = {
  product: "Legwork",

  // Frame
  skip: "Skip to content",
  pages: "Pages",
  openMenu: "Open menu",
  closeMenu: "Close menu",
  roleOf: (role: string, tenant: string | null) => (tenant === null ? role : `${role} of ${tenant}`),
  signOut: "Sign out",
  findJob: "Find a job",
  searchExample: "Job id, task:…, error text   /",
  connections: {
    connecting: "Connecting",
    open: "Live",
    lost: "Reconnecting",
    barred: "No live updates",
    paused: "Paused",
  },
  barred:
    "The live connection cannot be opened, although the server responds. A proxy may not forward WebSockets, or may change their path. Reload the page to see changes.",
  pauseUpdates: (state: string) => `${state}. Pause live updates`,
  resumeUpdates: "Paused. Resume live updates",
  away: (time: string) => `Can't reach the server. Retrying… (data from ${time})`,
  back: "The server is back.",
  loadingPage: "Loading page",
  pageNotLoaded: "This page has not been loaded yet. It opens as soon as the server is back.",
  utc: "UTC",
  local: "Local",
  showLocal: "Times are in UTC. Switch to local time.",
  showUtc: "Times are local. Switch to UTC.",
  theme: (theme: Preferences["theme"]) => `Theme: ${themes[theme]}`,
  changeTheme: (theme: Preferences["theme"], next: Preferences["theme"]) => `Theme: ${themes[theme]}. Change to ${themes[next]}.`,

  // Keyboard shortcuts
  shortcuts: "Keyboard shortcuts",
  anyPage: "On every page",
  thisPage: "On this page",
  inLists: "In the list of jobs",
  inList: "Down, up, select, show, open page",
  onJob: "Retry, cancel, rerun with changes",
  states: "States of jobs",
  paletteKeys: [isMac ? "⌘" : "Ctrl", "K"],

  // Command palette
  palette: {
    title: "Command palette",
    placeholder: "Page, queue, task, schedule, job id, action…",
    results: "Results",
    nothing: "Nothing found.",
    groups: {
      found: "Jobs",
      pages: "Pages",
      actions: "Actions",
      queues: "Queues",
      tasks: "Tasks",
      schedules: "Schedules",
      workflows: "Workflows",
    },
    openJob: (id: string) => `Open job ${id}`,
    jobsWithKey: (key: string) => `Jobs with the key ${key}`,
    findJobs: (text: string) => `Search jobs for ${text}`,
    actions: {
      enqueue: "Enqueue job",
      newSchedule: "New schedule",
      retryFailed: (task: string) => `Retry failed jobs of ${task}`,
      pause: (scope: "queue" | "task", name: string) => `Pause ${scope} ${name}`,
      resume: (scope: "queue" | "task", name: string) => `Resume ${scope} ${name}`,
      resumeAll: "Resume all jobs",
      pauseUpdates: "Pause live updates",
      resumeUpdates: "Resume live updates",
      density: { compact: "Tables: compact rows", comfortable: "Tables: comfortable rows" },
    },
  },

  // Emergency stop
  stop: "Emergency stop",
  stopShort: "Stop",
  stopQuestion: "Stop all jobs?",
  stopAll: "Stop all jobs",
  /** The word that the user has to type, which prevents stopping all jobs by accident. */
  stopWord: "stop",
  stopExplained:
    "No more jobs will start, in any queue or for any tenant. Running jobs finish; all other jobs wait until an operator resumes them.",
  typeToConfirm: (word: string) => `Type ${word} to confirm`,
  resumeQuestion: "Resume all jobs?",
  resumeAll: "Resume all jobs",
  resumeExplained: "Waiting jobs can start again. Limits and pauses still apply.",
  allStopped: "All jobs are stopped.",
  stopped: "All jobs stopped",
  stoppedBy: (by: string | null, reason: string | null) =>
    `${by === null ? "" : ` by ${by}`}${reason === null ? "." : `: ${reason}`}`,

  // Sign-in
  signIn: "Sign in",
  signInExplained: "Sign in with a token. {dashboard} prints a link that signs you in; {create} creates tokens for other users.",
  token: "Token",
  remember: "Stay signed in on this browser",
  signedOut: "You were signed out: your token has expired, was revoked, or does not allow reading. Sign in with another token.",
  invalidToken: "This token is not valid.",
  invalidTokenHint: "Check that you copied the whole token. It may also have expired or been revoked.",

  // Pages that cannot be shown
  notAllowed: "Not allowed",
  tenantConfined: (subject: string, tenant: string | null) =>
    `This page shows data of all tenants, and ${subject} is limited to the tenant ${tenant}.`,
  roleNeeded: (needed: string, subject: string, role: string) =>
    `This page requires the role ${needed}; ${subject} has the role ${role}.`,
  askAdmin: "Ask an admin for a token with access.",
  pageFailed: (message: string) => `Something went wrong on this page: ${message}`,
  newVersion: "The server has a newer version of the dashboard. Try again to load it.",
  notFound: "Page not found",
  notFoundAt: "There is no page at {path}.",
  toOverview: "Go to the overview",
} as const;
