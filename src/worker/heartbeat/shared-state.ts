const OFFSET = Number(process.hrtime.bigint() / 1_000n) / 1_000 - performance.now();

/** Milliseconds of the machine's monotonic clock, the same in every thread; `performance.now()` counts from the start of its own thread. */
export function machineClock(): number {
  return performance.now() + OFFSET;
}

/** A moment of `performance.now()` of this thread by the machine's clock. */
export function toMachineClock(moment: number): number {
  return moment + OFFSET;
}

/** A moment of the machine's clock by `performance.now()` of this thread. */
export function fromMachineClock(moment: number): number {
  return moment - OFFSET;
}

/** Where each number is, by its place in the memory. Times are milliseconds of the machine's clock, modulo 2^32. */
const PLACES = { turnedAt: 0, repliedAt: 1, beatAt: 2, silences: 3, calling: 4 } as const;
type Time = "turnedAt" | "repliedAt" | "beatAt";

/**
 * What the main thread and the heartbeat thread tell each other without a message, because one of them may be in the middle of something: when the
 * event loop last turned, when the database last answered the main thread, when the last beat began that was answered, and after which silence.
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

  /** Notes that it happens now, or when it happened by the machine's clock. */
  note(time: Time, at = machineClock()): void {
    Atomics.store(this.#numbers, PLACES[time], Math.trunc(at) | 0);
  }

  /** How long ago that was (ms). */
  since(time: Time): number {
    return ((Math.trunc(machineClock()) | 0) - Atomics.load(this.#numbers, PLACES[time])) | 0;
  }

  /** Notes a silence that ended then, by the database's clock (ms since 1970): what was fetched before may have gone to others. */
  noteSilence(until: number): void {
    this.#doubtUntil[0] = until;
    Atomics.add(this.#numbers, PLACES.silences, 1);
  }

  /** The end of the last silence by the database's clock (ms since 1970), undefined when there was none. */
  get doubtUntil(): number | undefined {
    return Atomics.load(this.#numbers, PLACES.silences) === 0 ? undefined : this.#doubtUntil[0];
  }

  /** The slot of the job whose task is being called, of which the function has not yet returned its promise; undefined for none. */
  get calling(): number | undefined {
    const slot = Atomics.load(this.#numbers, PLACES.calling);
    return slot === 0 ? undefined : slot - 1;
  }

  set calling(slot: number | undefined) {
    Atomics.store(this.#numbers, PLACES.calling, slot === undefined ? 0 : slot + 1);
  }
}

/** Slots in one piece of memory. There are more pieces when more jobs run. */
export const SLOTS_AT_ONCE = 256;

/**
 * A piece of memory with the ids of the jobs that run, one in each slot, 0 where none does. An aligned number of 64 bits is written whole, and an id
 * below 2^53 is one.
 */
export function makeSlots(buffer = new SharedArrayBuffer(SLOTS_AT_ONCE * 8)): Float64Array {
  return new Float64Array(buffer);
}
