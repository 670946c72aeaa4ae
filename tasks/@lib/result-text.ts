/**
 * The maximum size of a text in a result (bytes of JSON). The history cuts off results larger than 256 KiB; the rest is reserved for the other fields
 * of the result.
 */
export const RESULT_TEXT_BYTES = 240 * 1024;

/** Returns a text's size in JSON (bytes), where quotes and line ends take two bytes. */
export function jsonBytes(text: string): number {
  return Buffer.byteLength(JSON.stringify(text)) - 2;
}

/** Returns the beginning of a text that fits into the given number of bytes in JSON. */
export function fitting(text: string, most: number): string {
  let fits = text;
  for (let bytes = jsonBytes(fits); bytes > most; bytes = jsonBytes(fits)) {
    fits = fits.slice(0, Math.min(fits.length - 1, Math.floor((fits.length * most) / bytes)));
  }
  return fits;
}
