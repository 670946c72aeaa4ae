import { useQuery } from "@tanstack/react-query";
import { type LiveQueue, useLiveQueues } from "../../api/live-queues.ts";
import { rest } from "../../api/request.ts";
import type { Queue } from "../limits/limits.ts";

/** The fields of a queue that can change every second: its counts and its pause. */
export type QueueCounts = Pick<
  Queue,
  "pausedAt" | "pausedBy" | "pauseReason" | "running" | "pending" | "blocked" | "paused" | "later" | "oldest"
>;

/** The counts of all queues by name, updated live; undefined before the first message. Counts are text, as in REST responses. */
export function useQueueCounts(): ReadonlyMap<string, QueueCounts> | undefined {
  const { queues } = useLiveQueues();
  return queues && new Map(queues.map((queue) => [queue.name, toCounts(queue)]));
}

function toCounts({ pausedAt, pausedBy, pauseReason, oldest, ...counts }: LiveQueue): QueueCounts {
  return {
    pausedAt,
    pausedBy,
    pauseReason,
    oldest,
    running: String(counts.running),
    pending: String(counts.pending),
    blocked: String(counts.blocked),
    paused: String(counts.paused),
    later: String(counts.later),
  };
}

/** All queues with their settings, which rarely change; live counts come from useQueueCounts. */
export function useQueues() {
  return useQuery({
    queryKey: ["queues"],
    queryFn: async ({ signal }) => (await rest<{ items: Queue[] }>("GET", "/queues", undefined, signal)).items,
    refetchInterval: 30_000,
  });
}
