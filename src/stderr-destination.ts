import { write, writeSync } from "node:fs";

/** What may wait for a reader of stderr at most (characters). */
const BUFFER_LIMIT = 4 * 1024 * 1024;

/** Written at once at most (characters): a little more than what a pipe takes. */
const CHUNK = 64 * 1024;

/** When a full pipe is tried again (ms). */
const FULL_AGAIN_MS = 20;

/** How long the end of the process waits for a reader that takes nothing (ms). */
const LAST_WAIT_MS = 300;

/**
 * Where the log goes. Writing is done beside the event loop, by Node's thread pool, and never waits: in a container stderr is a pipe, and one that
 * nobody empties would otherwise stop every job of the worker. One write is under way at a time; lines that come meanwhile go with the next one. Of more than 4 MB
 * that wait, further lines are dropped, and a line says how many. When the process ends, what waits is written; a reader that takes nothing is given up after 0.3 s.
 */
export class StderrDestination {
  /** Lines that wait. */
  #waiting = "";
  /** What is being written, as bytes, when a part of it was. */
  #writing: string | Buffer | undefined;
  #retry: NodeJS.Timeout | undefined;
  #dropped = 0;
  #isClosed = false;
  #onDrained: (() => void)[] = [];
  readonly #fd: number;

  constructor(fd = 2) {
    this.#fd = fd;
    process.on("exit", () => this.flushSync());
  }

  write(line: string): void {
    if (this.#isClosed) return;
    if (this.#waiting.length + line.length > BUFFER_LIMIT) {
      this.#dropped += 1;
      return;
    }
    this.#waiting += this.#dropped === 0 ? line : this.#tellDropped() + line;
    if (this.#writing === undefined) this.#next();
  }

  /** Resolves when all has been written, or nothing has been taken for a while. */
  async drained(): Promise<void> {
    if (this.#writing === undefined) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#onDrained.push(resolve);
      timer = setTimeout(resolve, LAST_WAIT_MS);
    });
    clearTimeout(timer);
  }

  /** Writes what waits before it returns. What the thread pool is writing is written by it, even while the process ends. */
  flushSync(): void {
    if (this.#dropped > 0) this.#waiting += this.#tellDropped();
    let rest = this.#waiting;
    if (this.#retry !== undefined) {
      clearTimeout(this.#retry);
      this.#retry = undefined;
      rest = `${String(this.#writing)}${rest}`;
      this.#writing = undefined;
    } else if (this.#writing !== undefined && rest !== "") {
      // So that it comes first.
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
      // At the end of a line, so that another writer's line does not come between.
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
        const size = typeof chunk === "string" ? Buffer.byteLength(chunk) : chunk.length;
        if (written >= size) return this.#next();
        this.#writing = (typeof chunk === "string" ? Buffer.from(chunk) : chunk).subarray(written);
        return this.#write();
      }
      if (error.code === "EAGAIN" || error.code === "EBUSY" || error.code === "EINTR") {
        this.#retry = setTimeout(() => {
          this.#retry = undefined;
          this.#write();
        }, FULL_AGAIN_MS).unref();
        return;
      }
      // Closed by its reader, or not there: nothing of the log can be told any more.
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
      msg: `${count.toLocaleString("en-US")} log ${count === 1 ? "line was" : "lines were"} dropped, because stderr was not read fast enough.`,
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
