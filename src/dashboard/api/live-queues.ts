import { useLive } from "./subscribe.ts";

const QUEUES = /* GraphQL */ `
  subscription {
    queues {
      queues {
        name
        pausedAt
        pausedBy
        pauseReason
        running
        pending
        blocked
        paused
        later
        oldest
      }
    }
  }
`;

/** The fields of a queue that can change every second: its job counts and its pause. */
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

/** All queues, updated whenever one of them changes; undefined before the first message. */
export function useLiveQueues(): { queues: readonly LiveQueue[] | undefined; error: Error | undefined } {
  const { data, error } = useLive<{ queues: { queues: LiveQueue[] } }>(QUEUES);
  return { queues: data?.queues.queues, error };
}
