/** The names of the pages in the menu and in the list of shortcuts. */
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
