import { useQuery } from "@tanstack/react-query";
import { useLive } from "../../api/subscribe.ts";
import { rest } from "../../api/request.ts";
import type { Queue } from "../limits/limits.ts";

const LIVE = `subscription {
  queues {
    queues { name pausedAt pausedBy pauseReason running pending blocked paused later oldest }
  }
}`;

interface LiveQueue {
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

/** What changes by the second: counts and pauses, as they were told last. */
export interface QueueCounts {
  paused_at: string | null;
  paused_by: string | null;
  pause_reason: string | null;
  running: string;
  pending: string;
  blocked: string;
  paused: string;
  later: string;
  oldest: string | null;
}

function toCounts(live: LiveQueue): QueueCounts {
  return {
    paused_at: live.pausedAt,
    paused_by: live.pausedBy,
    pause_reason: live.pauseReason,
    running: String(live.running),
    pending: String(live.pending),
    blocked: String(live.blocked),
    paused: String(live.paused),
    later: String(live.later),
    oldest: live.oldest,
  };
}

/** The counts of all queues by name, whenever they change; undefined before the first message. */
export function useLiveQueues(): { counts: ReadonlyMap<string, QueueCounts> | undefined; error: Error | undefined } {
  const { data, error } = useLive<{ queues: { queues: LiveQueue[] } }>(LIVE);
  return { counts: data && new Map(data.queues.queues.map((queue) => [queue.name, toCounts(queue)])), error };
}

/** All queues with their rules, which change seldom; counts come with useLiveQueues. */
export function useQueues() {
  return useQuery({
    queryKey: ["queues"],
    queryFn: async ({ signal }) => (await rest<{ items: Queue[] }>("GET", "/queues", undefined, signal)).items,
    refetchInterval: 30_000,
  });
}
