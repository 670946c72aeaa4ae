import type { LucideIcon } from "lucide-react";
import type { ReactNode } from "react";

/** What the palette can do. */
export interface Entry {
  id: string;
  group: Group;
  label: string;
  /** Shown after the label: where it leads, or its keys. */
  detail?: string | undefined;
  keys?: readonly string[] | undefined;
  /** Further words by which it is found. */
  also?: readonly string[];
  Icon: LucideIcon;
  /** Opens a page… */
  path?: string;
  /** …does something at once… */
  run?: () => unknown;
  /** …or opens the dialog that asks before it is done. */
  dialog?: (onClose: () => void) => ReactNode;
  /** Whether it is listed before anything is typed. */
  isFirst?: boolean;
}

export type Group = "found" | "pages" | "actions" | "queues" | "tasks" | "schedules" | "workflows";

/** The groups in the order in which they are listed. */
export const GROUPS: readonly Group[] = ["found", "pages", "actions", "queues", "tasks", "schedules", "workflows"];
