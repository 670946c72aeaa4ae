/** How an isolated process ends itself that uses too much memory: an end by this signal, which is used for nothing else, tells the worker why. */
export const MEMORY_SIGNAL = "SIGVTALRM";
