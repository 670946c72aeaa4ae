/** What waits and runs in all queues together: of one tenant for whoever is confined to it. */
export interface QueueTotals {
  readAt: string;
  running: number;
  pending: number;
  blocked: number;
  paused: number;
  later: number;
  oldest: string | null;
  pausedQueues: number;
  workers: number;
  enqueuedPerSecond: number | null;
  endedPerSecond: number | null;
  failedAttemptsPerSecond: number | null;
}
