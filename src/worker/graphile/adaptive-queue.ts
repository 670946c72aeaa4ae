import type { WorkerEvents } from "graphile-worker";

/** How long the jobs that a worker fetches ahead should last (ms). Long enough that a fetch, about 1 ms, is a small part of it. */
const AHEAD_MS = 20;

/** The maximum number of jobs that are fetched ahead. */
const MOST_AHEAD = 500;

/** How long a job may wait in a worker before it returns to the queue (ms). Jobs wait that long only if the jobs before them are suddenly slower. */
export const LONGEST_WAIT_MS = 1_000;

/** The parts of graphile-worker's local queue that are used. Its types declare most of them private. */
interface LocalQueue {
  readonly mode: string;
  readonly jobQueue: readonly unknown[];
  readonly workerQueue: readonly unknown[];
  readonly fetchInProgress: boolean;
  fetchTimer: unknown;
  refetchDelayActive: boolean;
  getJob: (workerId: string, flagsToSkip: string[] | null) => unknown;
  fetch: () => void;
}

/**
 * Makes graphile-worker's local queue adapt how many jobs it fetches ahead, so that short jobs run about as fast as with a queue of the best fixed
 * size, and long jobs wait in the database, where any worker can take them.
 *
 * A fetch asks for one job for each free slot, and for as many more as were started in the last 20 ms, at most 500. With jobs that take longer than
 * that, nothing is fetched ahead: the next fetch happens when a slot is free. When fast jobs are followed by slow ones, what was fetched ahead returns
 * to the queue after a second.
 */
export function adaptLocalQueue(events: WorkerEvents): void {
  events.once("localQueue:init", ({ localQueue }) => new AdaptiveQueue(localQueue as unknown as LocalQueue, events));
}

class AdaptiveQueue {
  readonly #queue: LocalQueue;
  /** How many jobs are fetched beyond one for each free slot. */
  #ahead = 0;
  /** Whether the database may have more jobs that are due: the last fetch got as many as it asked for. */
  #mayHaveMore = true;
  /** How many jobs the last fetch asked for, and when it got them. */
  #asked = 0;
  #fetchedAt = 0;
  /** Whether the queue's size is about to be compared with the number of fetched jobs. */
  #isCompared = false;
  /** Whether a fetch waits for a slot to become free. */
  #isDeferred = false;
  #isPlanned = false;

  constructor(queue: LocalQueue, events: WorkerEvents) {
    this.#queue = queue;
    Object.defineProperty(queue, "getJobBatchSize", { get: () => this.#size() });
    const { getJob } = queue;
    queue.getJob = (workerId, flagsToSkip) => {
      const job = getJob(workerId, flagsToSkip);
      if (queue.workerQueue.length > 0) this.#onFreeSlot();
      return job;
    };
    events.on("localQueue:setMode", ({ newMode }) => {
      if (newMode === "POLLING") this.#onEmpty();
      // A queue that is released ends its timers itself.
      else this.#isDeferred = false;
    });
    events.on("localQueue:getJobs:complete", ({ jobs }) => this.#onFetched(jobs.length));
    events.on("localQueue:returnJobs", () => (this.#ahead = 0));
  }

  /** Read when jobs are fetched, and when graphile-worker decides whether to fetch again at once, which is decided here instead. */
  #size(): number {
    if (this.#isCompared) {
      this.#isCompared = false;
      return Infinity;
    }
    return (this.#asked = Math.max(1, this.#queue.workerQueue.length + Math.floor(this.#ahead)));
  }

  /** All fetched jobs have started. graphile-worker fetches again unless that is deferred. */
  #onEmpty(): void {
    if (this.#ahead < 1 && this.#queue.workerQueue.length === 0) this.#defer();
  }

  #onFetched(count: number): void {
    const now = performance.now();
    this.#mayHaveMore = count >= this.#asked;
    if (!this.#mayHaveMore) {
      // Jobs arrive more slowly than they could run.
      this.#ahead = count === 0 ? 0 : this.#ahead / 2;
    } else if (this.#fetchedAt > 0) {
      const wanted = (count * AHEAD_MS) / (now - this.#fetchedAt);
      // By a factor of two at most, because a single measurement says little.
      this.#ahead = Math.min(MOST_AHEAD, Math.max(this.#ahead / 2, Math.min(wanted, Math.max(1, this.#ahead * 2))));
    }
    this.#fetchedAt = now;
    this.#isCompared = true;
    // After graphile-worker has handed them out.
    if (this.#mayHaveMore) queueMicrotask(() => this.#fetchMore());
  }

  /** Fetches again if everything was handed out at once and more can be. */
  #fetchMore(): void {
    if (this.#ahead >= 1 || this.#queue.workerQueue.length > 0) this.#fetch();
  }

  #onFreeSlot(): void {
    if (this.#isPlanned || !(this.#isDeferred || this.#mayHaveMore)) return;
    this.#isPlanned = true;
    // Other slots may become free in this turn of the event loop.
    setImmediate(() => {
      this.#isPlanned = false;
      this.#fetch();
    });
  }

  #defer(): void {
    this.#isDeferred = true;
    this.#queue.refetchDelayActive = true;
  }

  #fetch(): void {
    const queue = this.#queue;
    if (this.#isDeferred) queue.refetchDelayActive = false;
    this.#isDeferred = false;
    if (queue.mode === "POLLING" && !queue.fetchInProgress && queue.jobQueue.length === 0) queue.fetch();
  }
}
