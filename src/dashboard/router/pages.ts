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
import { words } from "./words.ts";

export interface PageEntry {
  path: string;
  Component: LazyPage<PageProps>;
  /** The name of the page in the menu. Pages without a name here are reached from other pages. */
  label?: string;
  Icon?: LucideIcon;
  /** The page in the menu that this page belongs to. Default: the page with the first part of its path. */
  parent?: string;
  /** The role that is required to read the page. Default: viewer. */
  role?: Role;
  /** Whether the page shows data of all tenants, which tokens limited to one tenant may not read. */
  everybody?: boolean;
}

/** The code of each page is loaded when the page is first opened, which keeps the first load small. */
export const PAGES: readonly PageEntry[] = [
  { path: "/", label: words.overview, Icon: Gauge, Component: lazy(() => import("../features/overview/overview.tsx")) },
  { path: "/jobs", label: words.jobs, Icon: ListChecks, Component: lazy(() => import("../features/jobs/list/jobs.tsx")) },
  { path: "/jobs/:id", Component: lazy(() => import("../features/jobs/detail/job.tsx")) },
  { path: "/failed", label: words.failed, Icon: OctagonX, Component: lazy(() => import("../features/failed/failed.tsx")) },
  { path: "/bulk", parent: "/failed", Component: lazy(() => import("../features/bulk/bulk-list.tsx")) },
  { path: "/bulk/:id", parent: "/failed", Component: lazy(() => import("../features/bulk/bulk-action.tsx")) },
  { path: "/queues", label: words.queues, Icon: Layers, Component: lazy(() => import("../features/queues/queues.tsx")) },
  { path: "/queues/:name", Component: lazy(() => import("../features/queues/queue.tsx")) },
  { path: "/tasks", label: words.tasks, Icon: SquareFunction, Component: lazy(() => import("../features/tasks/tasks.tsx")) },
  { path: "/tasks/:name", Component: lazy(() => import("../features/tasks/task.tsx")) },
  {
    path: "/schedules",
    label: words.schedules,
    Icon: CalendarClock,
    Component: lazy(() => import("../features/schedules/schedules.tsx")),
  },
  { path: "/schedules/:name", Component: lazy(() => import("../features/schedules/schedule.tsx")) },
  {
    path: "/workflows",
    label: words.workflows,
    Icon: Network,
    Component: lazy(() => import("../features/workflows/workflows.tsx")),
  },
  { path: "/workflows/:id", Component: lazy(() => import("../features/workflows/workflow.tsx")) },
  { path: "/batches/:id", parent: "/workflows", Component: lazy(() => import("../features/workflows/batch.tsx")) },
  {
    path: "/workers",
    label: words.workers,
    Icon: Cpu,
    everybody: true,
    Component: lazy(() => import("../features/workers/workers.tsx")),
  },
  {
    path: "/alerts",
    label: words.alerts,
    Icon: Bell,
    everybody: true,
    Component: lazy(() => import("../features/alerts/alerts.tsx")),
  },
  {
    path: "/database",
    label: words.database,
    Icon: DatabaseZap,
    role: "admin",
    everybody: true,
    Component: lazy(() => import("../features/database/database.tsx")),
  },
  {
    path: "/audit",
    label: words.audit,
    Icon: ScrollText,
    role: "admin",
    Component: lazy(() => import("../features/audit/audit.tsx")),
  },
  {
    path: "/settings",
    label: words.settings,
    Icon: Settings,
    Component: lazy(() => import("../features/settings/settings.tsx")),
  },
];

/** The page in the menu that an address belongs to. */
export function menuPathOf(path: string): string {
  const folder = (of: string): string => `/${of.split("/")[1] ?? ""}`;
  return PAGES.find(({ path: known, parent }) => parent !== undefined && folder(known) === folder(path))?.parent ?? folder(path);
}
