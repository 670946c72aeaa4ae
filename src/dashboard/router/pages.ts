import {
  Bell,
  CalendarClock,
  Cpu,
  DatabaseZap,
  Gauge,
  Layers,
  ListChecks,
  type LucideIcon,
  Network,
  OctagonX,
  ScrollText,
  Settings,
  SquareFunction,
} from "lucide-react";
import type { Role } from "../../contract/roles.ts";
import { type LazyPage, lazyPage as lazy } from "./lazy-page.ts";
import type { PageProps } from "./page-props.ts";

export interface PageEntry {
  path: string;
  Component: LazyPage<PageProps>;
  /** How the menu names it; what has none is reached from other pages. */
  label?: string;
  Icon?: LucideIcon;
  /** Who may read it. Default: viewers. */
  role?: Role;
  /** Whether it tells of every tenant, and so is not for a token of one. */
  everybody?: boolean;
}

/** Each page is loaded when it is first opened, so that the first one is there at once. */
export const PAGES: readonly PageEntry[] = [
  { path: "/", label: "Overview", Icon: Gauge, Component: lazy(() => import("../features/overview/overview.tsx")) },
  { path: "/jobs", label: "Jobs", Icon: ListChecks, Component: lazy(() => import("../features/jobs/list/jobs.tsx")) },
  { path: "/jobs/:id", Component: lazy(() => import("../features/jobs/detail/job.tsx")) },
  { path: "/failed", label: "Failed", Icon: OctagonX, Component: lazy(() => import("../features/failed/failed.tsx")) },
  { path: "/queues", label: "Queues", Icon: Layers, Component: lazy(() => import("../features/queues/queues.tsx")) },
  { path: "/queues/:name", Component: lazy(() => import("../features/queues/queue.tsx")) },
  { path: "/tasks", label: "Tasks", Icon: SquareFunction, Component: lazy(() => import("../features/tasks/tasks.tsx")) },
  { path: "/tasks/:name", Component: lazy(() => import("../features/tasks/task.tsx")) },
  {
    path: "/schedules",
    label: "Schedules",
    Icon: CalendarClock,
    Component: lazy(() => import("../features/schedules/schedules.tsx")),
  },
  { path: "/schedules/:name", Component: lazy(() => import("../features/schedules/schedule.tsx")) },
  { path: "/workflows", label: "Workflows", Icon: Network, Component: lazy(() => import("../features/workflows/workflows.tsx")) },
  { path: "/workflows/:id", Component: lazy(() => import("../features/workflows/workflow.tsx")) },
  { path: "/batches/:id", Component: lazy(() => import("../features/workflows/batch.tsx")) },
  {
    path: "/workers",
    label: "Workers",
    Icon: Cpu,
    everybody: true,
    Component: lazy(() => import("../features/workers/workers.tsx")),
  },
  {
    path: "/alerts",
    label: "Alerts",
    Icon: Bell,
    everybody: true,
    Component: lazy(() => import("../features/alerts/alerts.tsx")),
  },
  {
    path: "/database",
    label: "Database",
    Icon: DatabaseZap,
    role: "admin",
    everybody: true,
    Component: lazy(() => import("../features/database/database.tsx")),
  },
  {
    path: "/audit",
    label: "Audit log",
    Icon: ScrollText,
    role: "admin",
    Component: lazy(() => import("../features/audit/audit.tsx")),
  },
  { path: "/settings", label: "Settings", Icon: Settings, Component: lazy(() => import("../features/settings/settings.tsx")) },
];
