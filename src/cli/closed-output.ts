import { systemMessage } from "./write-output.ts";

let isClosed = false;

/**
 * Ends a command silently when the reader of its output has exited (`legwork jobs | head -1`), and with one message when its output cannot be written, as
 * to a full disk. Code that prints in a loop checks `isOutputClosed`.
 */
export function allowClosedOutput(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE" && error.code !== "ERR_STREAM_DESTROYED" && !isClosed) {
      console.error(`legwork: The output cannot be written: ${systemMessage(error)}.`);
      process.exitCode = 1;
    }
    isClosed = true;
  });
  // There is nowhere left to report it.
  process.stderr.on("error", () => undefined);
}

/** Whether the reader of this process's output has exited, or the output cannot be written. */
export function isOutputClosed(): boolean {
  return isClosed;
}
