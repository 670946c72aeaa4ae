import { useLive } from "../../api/subscribe.ts";
import type { QueueTotals } from "./queue-totals.ts";

const OVERVIEW = `subscription { overview { readAt running pending blocked paused later oldest pausedQueues workers
  enqueuedPerSecond endedPerSecond failedAttemptsPerSecond } }`;
export function useLiveOverview() {
  const { data, error } = useLive<{ overview: QueueTotals }>(OVERVIEW);
  return { data: data?.overview, error };
}
