import type { Preferences } from "../../components/preferences.ts";

export const words = {
  title: "Settings",

  // Account
  account: "Account",
  role: "Role",
  roles: {
    viewer: "Can read everything, but change nothing.",
    enqueuer: "Can enqueue jobs, but read nothing.",
    operator: "Can read, enqueue jobs, and act on jobs, queues, schedules and workflows.",
    admin: "Can do everything, including managing tokens and settings.",
  },
  allTenants: "All tenants",
  validUntil: "Valid until",
  neverExpires: "Never expires",
  server: "Server",
  version: (version: string) => `Legwork ${version}`,

  // Browser
  browser: "This browser",
  theme: "Theme",
  themes: { system: "System", light: "Light", dark: "Dark" } satisfies Record<Preferences["theme"], string>,
  density: "Tables",
  densities: { compact: "Compact rows", comfortable: "Comfortable rows" } satisfies Record<Preferences["density"], string>,
  times: "Times",
  zones: { local: "Local time", utc: "UTC" } satisfies Record<Preferences["zone"], string>,
  now: (time: string) => `Current time: ${time}`,

  // Tokens
  tokens: "Tokens",
  newToken: "New token",
  noTokens: "No tokens yet",
  noTokensHint: "The token in the server's own configuration is not listed here.",
  lastUsed: "Last used",
  allOf: "all",
  createdBy: (by: string) => `by ${by}`,
  noEnd: "never expires",
  revoked: "revoked {at}",
  expired: "expired",
  revoke: "Revoke",
  revokeOf: (name: string) => `Revoke ${name}`,
  revokeQuestion: (name: string) => `Revoke ${name}?`,
  revokedNow: (name: string) => `Token ${name} revoked.`,
  revokeExplained:
    "Clients with this token are rejected immediately; their live views end within 30 seconds. This cannot be undone.",
  lastUsedAt: "Last used: {at}",

  // New token
  createToken: "Create token",
  nameHint: "What the token is for. The audit log shows this name.",
  roleChoices: {
    viewer: "viewer: read only",
    enqueuer: "enqueuer: enqueue only",
    operator: "operator: read, enqueue, act on jobs",
    admin: "admin: everything",
  },
  tenant: "Tenant (optional)",
  tenantHint: "Limits the token to one tenant. Default: all tenants.",
  validFor: "Valid for",
  validForHint: "For example 12h, 30d or 1y.",
  tokenTitle: (name: string) => `Token ${name}`,
  shownOnce: "This token is shown only once.",
  shownOnceHint: "Store it in a safe place: the server keeps only its hash.",
  token: "Token",
  copyToken: "Copy token",
  done: "Done",
} as const;
