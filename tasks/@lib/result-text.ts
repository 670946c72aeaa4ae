/**
 * The most that a text takes in a result (bytes of JSON). A result is a row of the history, which cuts one off that is larger than
 * 256 KiB; the rest is left for what stands beside the text.
 */
export const RESULT_TEXT_BYTES = 240 * 1024;

/** What a text takes in JSON (bytes), where quotes and line ends take two. */
export function jsonBytes(text: string): number {
  return Buffer.byteLength(JSON.stringify(text)) - 2;
}

/** The beginning of a text that fits into so many bytes of JSON. */
export function fitting(text: string, most: number): string {
  let fits = text;
  for (let bytes = jsonBytes(fits); bytes > most; bytes = jsonBytes(fits)) {
    fits = fits.slice(0, Math.min(fits.length - 1, Math.floor((fits.length * most) / bytes)));
  }
  return fits;
}
