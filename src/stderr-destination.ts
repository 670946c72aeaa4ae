import { write, writeSync } from "node:fs";
import { counted, pluralOf } from "./wording.ts";

/** The largest amount of text that is buffered for stderr (characters). */
const BUFFER_LIMIT = 4 * 1024 * 1024;

/** The largest single write (characters): a little more than the capacity of a pipe. */
const CHUNK = 64 * 1024;

/**
 * The delays before a full pipe is retried (ms): the first, doubled each time, and the longest. A reader that keeps up empties a pipe in less than
 * the first.
 */
const FIRST_AGAIN_MS = 1;
const LONGEST_AGAIN_MS = 20;

/** How long an exiting process waits for a reader that does not read (ms). */
const LAST_WAIT_MS = 300;

/**
 * The destination of the log. Writes run in Node's thread pool and never block the event loop: in a container stderr is a pipe, and a pipe that is
 * not read would otherwise stop all jobs of the worker. Only one write is in progress at a time; lines that arrive meanwhile are part of the next
 * one. Appended lines are written together at the end of the event loop's current turn, or before the next line that is written with `write`. When
 * more than 4 MB are buffered, further lines are dropped, and a line reports how many. At exit the buffer is written, but an exiting process waits no
 * longer than 0.3 s for a reader that does not read.
 */
export class StderrDestination {
  /** Buffered lines. */
  #waiting = "";
  /** The text that is being written; bytes if a part of it has been written. */
  #writing: string | Buffer | undefined;
  #retry: NodeJS.Timeout | undefined;
  #again = FIRST_AGAIN_MS;
  /** Set while appended lines wait for the end of this turn. */
  #turn: NodeJS.Immediate | undefined;
  #dropped = 0;
  #isClosed = false;
  #onDrained: (() => void)[] = [];
  readonly #fd: number;

  constructor(fd = 2) {
    this.#fd = fd;
    process.on("exit", () => this.flushSync());
  }

  write(line: string): void {
    this.#add(line, 1);
    if (this.#writing === undefined) this.#next();
  }

  /** Adds lines to the buffer, which is written at the end of the event loop's current turn. */
  append(lines: string, count: number): void {
    this.#add(lines, count);
    if (this.#writing !== undefined || this.#turn !== undefined) return;
    this.#turn = setImmediate(() => {
      this.#turn = undefined;
      if (this.#writing === undefined) this.#next();
    });
  }

  #add(lines: string, count: number): void {
    if (this.#isClosed) return;
    if (this.#waiting.length + lines.length > BUFFER_LIMIT) this.#dropped += count;
    else this.#waiting += this.#dropped === 0 ? lines : this.#tellDropped() + lines;
  }

  /** Resolves when everything has been written, or after waiting for a while. */
  async drained(): Promise<void> {
    if (this.#writing === undefined) this.#next();
    if (this.#writing === undefined) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#onDrained.push(resolve);
      timer = setTimeout(resolve, LAST_WAIT_MS);
    });
    clearTimeout(timer);
  }

  /** Writes the buffer before it returns. The thread pool completes its own write, even while the process ends. */
  flushSync(): void {
    if (this.#dropped > 0) this.#waiting += this.#tellDropped();
    let rest = this.#waiting;
    if (this.#retry !== undefined) {
      clearTimeout(this.#retry);
      this.#retry = undefined;
      rest = `${String(this.#writing)}${rest}`;
      this.#writing = undefined;
    } else if (this.#writing !== undefined && rest !== "") {
      // Let the thread pool's write come first.
      sleep(5);
    }
    this.#waiting = "";
    if (rest !== "" && !this.#isClosed) writeAll(this.#fd, Buffer.from(rest));
  }

  #next(): void {
    if (this.#dropped > 0) this.#waiting += this.#tellDropped();
    if (this.#waiting === "") {
      this.#writing = undefined;
      for (const resolve of this.#onDrained.splice(0)) resolve();
      return;
    }
    const text = this.#waiting;
    if (text.length <= CHUNK) {
      this.#writing = text;
      this.#waiting = "";
    } else {
      // Cut at the end of a line, so that no other writer's line comes in between.
      const end = text.lastIndexOf("\n", CHUNK) + 1 || text.indexOf("\n", CHUNK) + 1 || text.length;
      this.#writing = text.slice(0, end);
      this.#waiting = text.slice(end);
    }
    this.#write();
  }

  #write(): void {
    const chunk = this.#writing!;
    const done = (error: NodeJS.ErrnoException | null, written: number): void => {
      if (this.#writing !== chunk) return;
      if (error === null) {
        this.#again = FIRST_AGAIN_MS;
        const size = typeof chunk === "string" ? Buffer.byteLength(chunk) : chunk.length;
        if (written >= size) return this.#next();
        this.#writing = (typeof chunk === "string" ? Buffer.from(chunk) : chunk).subarray(written);
        return this.#write();
      }
      if (error.code === "EAGAIN" || error.code === "EBUSY" || error.code === "EINTR") {
        this.#retry = setTimeout(() => {
          this.#retry = undefined;
          this.#write();
        }, this.#again).unref();
        this.#again = Math.min(this.#again * 2, LONGEST_AGAIN_MS);
        return;
      }
      // stderr was closed by its reader or does not exist: nothing more can be logged.
      this.#isClosed = true;
      this.#waiting = "";
      this.#dropped = 0;
      this.#next();
    };
    if (typeof chunk === "string") write(this.#fd, chunk, null, "utf8", done);
    else write(this.#fd, chunk, done);
  }

  #tellDropped(): string {
    const count = this.#dropped;
    this.#dropped = 0;
    const line = {
      level: "warn",
      time: new Date().toISOString(),
      pid: process.pid,
      event: "log_lines_dropped",
      lines: count,
      msg: `${counted(count, "log line")} ${pluralOf(count, "was", "were")} dropped because stderr was not read fast enough.`,
    };
    return `${JSON.stringify(line)}\n`;
  }
}

function writeAll(fd: number, bytes: Buffer): void {
  let waited = 0;
  for (let from = 0; from < bytes.length;) {
    try {
      from += writeSync(fd, bytes, from);
      waited = 0;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN" || waited >= LAST_WAIT_MS) return;
      sleep(10);
      waited += 10;
    }
  }
}

function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
