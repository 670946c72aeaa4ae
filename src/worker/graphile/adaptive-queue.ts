import type { WorkerEvents } from "graphile-worker";

/** How long the jobs that a worker fetches ahead should keep it busy (ms). A fetch takes about 1 ms, which is a small fraction of this. */
const AHEAD_MS = 20;

/** The maximum number of jobs that are fetched ahead. */
const MOST_AHEAD = 500;

/**
 * How long a fetched job may wait in a worker before it returns to the queue (ms). Jobs wait that long only if the jobs before them suddenly take
 * longer.
 */
export const LONGEST_WAIT_MS = 1_000;

/** The parts of graphile-worker's local queue that this file uses. Its types declare most of them private. */
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
 * Makes graphile-worker's local queue adapt how many jobs it fetches ahead. Short jobs run about as fast as with the best fixed queue size, and long
 * jobs wait in the database, where any worker can take them.
 *
 * A fetch requests one job for each free slot, plus as many as were started in the last 20 ms, at most 500. If jobs take longer than that, none are
 * fetched ahead: the next fetch happens when a slot is free. If slow jobs follow fast ones, jobs that were fetched ahead return to the queue after a
 * second.
 */
export function adaptLocalQueue(events: WorkerEvents): void {
  events.once("localQueue:init", ({ localQueue }) => new AdaptiveQueue(localQueue as unknown as LocalQueue, events));
}

class AdaptiveQueue {
  readonly #queue: LocalQueue;
  /** How many jobs are fetched in addition to one for each free slot. */
  #ahead = 0;
  /** Whether the database may have more due jobs, because the last fetch returned as many as it requested. */
  #mayHaveMore = true;
  /** How many jobs the last fetch requested, and when they arrived. */
  #asked = 0;
  #fetchedAt = 0;
  /** Whether graphile-worker is about to compare the queue's size with the number of fetched jobs. */
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
      // A queue that is released clears its own timers.
      else this.#isDeferred = false;
    });
    events.on("localQueue:getJobs:complete", ({ jobs }) => this.#onFetched(jobs.length));
    events.on("localQueue:returnJobs", () => (this.#ahead = 0));
  }

  /**
   * Returns the number of jobs to fetch. graphile-worker also reads it to decide whether to fetch again immediately. It then gets infinity, because
   * this class makes that decision.
   */
  #size(): number {
    if (this.#isCompared) {
      this.#isCompared = false;
      return Infinity;
    }
    return (this.#asked = Math.max(1, this.#queue.workerQueue.length + Math.floor(this.#ahead)));
  }

  /** All fetched jobs have started. graphile-worker fetches again unless the fetch is deferred. */
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
      // Change it at most by a factor of two, because a single measurement is not reliable.
      this.#ahead = Math.min(MOST_AHEAD, Math.max(this.#ahead / 2, Math.min(wanted, Math.max(1, this.#ahead * 2))));
    }
    this.#fetchedAt = now;
    this.#isCompared = true;
    // Run after graphile-worker has handed out the jobs.
    if (this.#mayHaveMore) queueMicrotask(() => this.#fetchMore());
  }

  /** Fetches again if all fetched jobs were handed out immediately and more can be. */
  #fetchMore(): void {
    if (this.#ahead >= 1 || this.#queue.workerQueue.length > 0) this.#fetch();
  }

  #onFreeSlot(): void {
    if (this.#isPlanned || !(this.#isDeferred || this.#mayHaveMore)) return;
    this.#isPlanned = true;
    // Wait, because other slots may become free in this turn of the event loop.
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
