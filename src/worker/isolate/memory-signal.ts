/**
 * The signal with which an isolated process that uses too much memory ends itself. It has no other use, so the worker can tell the reason from it.
 */
export const MEMORY_SIGNAL = "SIGVTALRM";
