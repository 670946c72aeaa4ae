import { useLive } from "../../api/subscribe.ts";
import type { QueueTotals } from "./queue-totals.ts";

export interface LiveQueue {
  name: string;
  pausedAt: string | null;
  pausedBy: string | null;
  pauseReason: string | null;
  running: number;
  pending: number;
  blocked: number;
  paused: number;
  later: number;
  oldest: string | null;
}

const OVERVIEW = `subscription { overview { readAt running pending blocked paused later oldest pausedQueues workers
  enqueuedPerSecond endedPerSecond failedAttemptsPerSecond } }`;
const QUEUES = `subscription { queues { readAt queues { name pausedAt pausedBy pauseReason running pending blocked paused later oldest } } }`;

export function useLiveOverview() {
  const { data, error } = useLive<{ overview: QueueTotals }>(OVERVIEW);
  return { data: data?.overview, error };
}

export function useLiveQueues() {
  const { data, error } = useLive<{ queues: { readAt: string; queues: LiveQueue[] } }>(QUEUES);
  return { data: data?.queues.queues, error };
}
