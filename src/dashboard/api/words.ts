/** Messages about the server, for errors without a message from the server itself. */
export const words = {
  unreachable: "Can't reach the server.",
  answered: (status: number) => `The server returned status ${status}.`,
  liveEnded: "Live updates have stopped.",
} as const;
