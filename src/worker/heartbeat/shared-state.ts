const OFFSET = Number(process.hrtime.bigint() / 1_000n) / 1_000 - performance.now();

/**
 * Returns the milliseconds of the host's monotonic clock, which are the same in every thread. `performance.now()` counts from the start of each
 * thread.
 */
export function machineClock(): number {
  return performance.now() + OFFSET;
}

/** Converts a time of this thread's `performance.now()` to the host's clock. */
export function toMachineClock(moment: number): number {
  return moment + OFFSET;
}

/** Converts a time of the host's clock to this thread's `performance.now()`. */
export function fromMachineClock(moment: number): number {
  return moment - OFFSET;
}

/** The index of each number in the memory. Times are milliseconds of the host's clock, modulo 2^32. */
const PLACES = { turnedAt: 0, repliedAt: 1, beatAt: 2, silences: 3, calling: 4, polledAt: 5 } as const;
type Time = "turnedAt" | "repliedAt" | "beatAt" | "polledAt";

/**
 * The memory that the main thread and the heartbeat thread share, because one of them may be blocked and unable to receive messages. It contains when
 * the event loop last turned, when the database last responded to the main thread, when the last successful heartbeat began, when the last one from
 * the main thread began, and the last gap between heartbeats.
 */
export class SharedState {
  readonly buffer: SharedArrayBuffer;
  readonly #numbers: Int32Array;
  readonly #doubtUntil: Float64Array;

  constructor(buffer = new SharedArrayBuffer(64)) {
    this.buffer = buffer;
    this.#numbers = new Int32Array(buffer, 0, 8);
    this.#doubtUntil = new Float64Array(buffer, 32, 1);
  }

  /** Records that something happened now, or at a time of the host's clock. */
  note(time: Time, at = machineClock()): void {
    Atomics.store(this.#numbers, PLACES[time], Math.trunc(at) | 0);
  }

  /** Returns how long ago the recorded time was (ms). */
  since(time: Time): number {
    return ((Math.trunc(machineClock()) | 0) - Atomics.load(this.#numbers, PLACES[time])) | 0;
  }

  /**
   * Records the end of a gap between heartbeats, by the database's clock (ms since 1970): jobs that were fetched before this time may have been given
   * to other workers.
   */
  noteSilence(until: number): void {
    this.#doubtUntil[0] = until;
    Atomics.add(this.#numbers, PLACES.silences, 1);
  }

  /** The end of the last gap between heartbeats by the database's clock (ms since 1970); undefined if there was no gap. */
  get doubtUntil(): number | undefined {
    return Atomics.load(this.#numbers, PLACES.silences) === 0 ? undefined : this.#doubtUntil[0];
  }

  /** The slot of the job whose task's function is being called and has not yet returned its promise; undefined if no task is being called. */
  get calling(): number | undefined {
    const slot = Atomics.load(this.#numbers, PLACES.calling);
    return slot === 0 ? undefined : slot - 1;
  }

  set calling(slot: number | undefined) {
    Atomics.store(this.#numbers, PLACES.calling, slot === undefined ? 0 : slot + 1);
  }
}

/** The number of slots in one piece of memory. If more jobs run, there are more pieces. */
export const SLOTS_AT_ONCE = 256;

/**
 * Creates a piece of memory for the ids of running jobs: one in each slot, and 0 in free slots. Aligned 64-bit numbers are written atomically, and
 * represent ids below 2^53 exactly.
 */
export function makeSlots(buffer = new SharedArrayBuffer(SLOTS_AT_ONCE * 8)): Float64Array {
  return new Float64Array(buffer);
}
