/** Counts of jobs in all queues together; only those of the token's tenant if it has one. */
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
