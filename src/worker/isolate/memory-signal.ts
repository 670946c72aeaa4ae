/** The signal by which an isolated process that uses too much memory ends itself. It has no other use, so it tells the worker the reason. */
export const MEMORY_SIGNAL = "SIGVTALRM";
