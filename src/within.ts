/** Waits for `work`, but no longer than `timeout` (ms). Returns whether it ended in time; rejects if `work` does. */
export async function within(timeout: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<false>((resolve) => (timer = setTimeout(() => resolve(false), timeout)));
  try {
    return await Promise.race([work.then(() => true), over]);
  } finally {
    clearTimeout(timer);
    // A later rejection no longer matters.
    work.catch(() => undefined);
  }
}
