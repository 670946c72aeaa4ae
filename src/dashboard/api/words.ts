/** What the dashboard says about the server when the server itself says nothing. */
export const words = {
  unreachable: "Can't reach the server.",
  answered: (status: number) => `The server returned status ${status}.`,
  liveEnded: "Live updates have stopped.",
} as const;
