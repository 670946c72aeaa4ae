import type { Preferences } from "../components/preferences.ts";

const themes: Readonly<Record<Preferences["theme"], string>> = { system: "system", light: "light", dark: "dark" };

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
    idle: "No live updates on this page",
    connecting: "Connecting",
    open: "Live",
    lost: "Reconnecting",
  },
  utc: "UTC",
  local: "Local",
  showLocal: "Times are in UTC. Switch to local time.",
  showUtc: "Times are local. Switch to UTC.",
  theme: (theme: Preferences["theme"]) => `Theme: ${themes[theme]}`,
  changeTheme: (theme: Preferences["theme"], next: Preferences["theme"]) => `Theme: ${themes[theme]}. Change to ${themes[next]}.`,

  // Keyboard shortcuts
  shortcuts: "Keyboard shortcuts",
  inList: "In the list of jobs: down, up, select, show, open page",
  onJob: "There: retry, cancel, edit and run again",

  // Emergency stop
  stop: "Emergency stop",
  stopQuestion: "Stop all jobs?",
  stopAll: "Stop all jobs",
  /** What has to be typed, so that the button is not pressed by accident. */
  stopWord: "stop",
  stopExplained:
    "No new jobs will start, in any queue and for any tenant. Running jobs finish; new ones wait until an operator resumes.",
  typeToConfirm: (word: string) => `Type ${word} to confirm`,
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
  notFound: "Page not found",
  notFoundAt: "There is no page at {path}.",
} as const;
