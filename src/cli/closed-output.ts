let isClosed = false;

/**
 * Lets a command whose output nothing reads any more (`legwork jobs | head -1`) come to its end without a word. A program that goes on
 * printing asks `isOutputClosed`.
 */
export function allowClosedOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE" && error.code !== "ERR_STREAM_DESTROYED") throw error;
      if (stream === process.stdout) isClosed = true;
    });
  }
}

/** Whether whatever read this process's output has gone. */
export function isOutputClosed(): boolean {
  return isClosed;
}
