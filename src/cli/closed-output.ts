let isClosed = false;

/**
 * Ends a command silently when the reader of its output has exited (`legwork jobs | head -1`). Code that prints in a loop checks `isOutputClosed`.
 */
export function allowClosedOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE" && error.code !== "ERR_STREAM_DESTROYED") throw error;
      if (stream === process.stdout) isClosed = true;
    });
  }
}

/** Whether the reader of this process's output has exited. */
export function isOutputClosed(): boolean {
  return isClosed;
}
