/** How the menu and the list of shortcuts name the pages. */
export const words = {
  overview: "Overview",
  jobs: "Jobs",
  failed: "Failed",
  queues: "Queues",
  tasks: "Tasks",
  schedules: "Schedules",
  workflows: "Workflows",
  workers: "Workers",
  alerts: "Alerts",
  database: "Database",
  audit: "Audit log",
  settings: "Settings",
} as const;
