import { type Alert, byUrgency, type FailedGroup } from "../../api/monitoring.ts";
import { KINDS } from "../alerts/kinds.ts";

/** The alerts about a task together with its failed jobs, or an alert about anything else. */
export interface Problem {
  key: string;
  /** The affected task, if there is one. */
  task: string | undefined;
  /** Alerts, the most urgent first. */
  alerts: readonly Alert[];
  /** Failed jobs by error, the largest group first. */
  groups: readonly FailedGroup[];
}

/** Merges open alerts and failed jobs into one list, the most urgent first: unacknowledged alerts, critical ones first, then failed jobs. */
export function findProblems(alerts: readonly Alert[], groups: readonly FailedGroup[]): Problem[] {
  const found = new Map<string, Problem & { alerts: Alert[]; groups: FailedGroup[] }>();
  const at = (key: string, task: string | undefined): { alerts: Alert[]; groups: FailedGroup[] } => {
    const known = found.get(key) ?? { key, task, alerts: [], groups: [] };
    found.set(key, known);
    return known;
  };
  for (const alert of alerts.toSorted(byUrgency)) {
    const isTask = KINDS[alert.kind]?.of === "task" && alert.target !== "";
    at(isTask ? `task ${alert.target}` : `alert ${alert.id}`, isTask ? alert.target : undefined).alerts.push(alert);
  }
  for (const group of groups) at(`task ${group.task}`, group.task).groups.push(group);
  // Problems with an alert come first, in the order in which they were found; the others follow, as the server orders them.
  return [...found.values()];
}
