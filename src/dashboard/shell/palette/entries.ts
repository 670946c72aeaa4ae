import type { LucideIcon } from "lucide-react";
import type { ReactNode } from "react";

/** An entry of the palette: it has a path, an action or a dialog. */
export interface Entry {
  id: string;
  group: Group;
  label: string;
  /** Shown after the label: the destination, or the keys. */
  detail?: string | undefined;
  keys?: readonly string[] | undefined;
  /** Additional words by which the entry can be found. */
  also?: readonly string[];
  Icon: LucideIcon;
  /** The page that the entry opens. */
  path?: string;
  /** The action that runs immediately. */
  run?: () => unknown;
  /** The dialog that asks for confirmation before anything is done. */
  dialog?: (onClose: () => void) => ReactNode;
  /** Whether the entry is listed before anything is typed. */
  isFirst?: boolean;
}

export type Group = "found" | "pages" | "actions" | "queues" | "tasks" | "schedules" | "workflows";

/** The groups in the order in which they are listed. */
export const GROUPS: readonly Group[] = ["found", "pages", "actions", "queues", "tasks", "schedules", "workflows"];
