/** The largest id: ids have Postgres's type bigint. */
const MAX_ID = 2n ** 63n - 1n;

/** Whether text is a valid id of a job, a workflow, a batch or an alert: a whole number, in digits. */
export function isId(text: string): boolean {
  return /^\d{1,19}$/.test(text) && (text.length < 19 || BigInt(text) <= MAX_ID);
}
