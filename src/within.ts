/** Waits for `work`, but no longer than `timeout` (ms); returns whether it has ended. Rejects when `work` does. */
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
