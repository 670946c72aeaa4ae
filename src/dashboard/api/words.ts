/** What the dashboard says about the server where the server itself does not. */
export const words = {
  unreachable: "Can't reach the server.",
  answered: (status: number) => `The server returned status ${status}.`,
  liveEnded: "Live updates have stopped.",
} as const;
