import { z } from "zod";
import { bytesOf, wholeNumber } from "./values.ts";

/** The default number of rows on a page. */
const DEFAULT_PAGE = 50;
/** The maximum number of rows on a page. */
const MAX_PAGE = 500;

/** The maximum size of a page (bytes of its rows as JSON). A page ends after the row that exceeds it, and its cursor continues from there. */
export const MAX_PAGE_BYTES = 5_000_000;

export const pageLimit = wholeNumber(1, MAX_PAGE)
  .default(DEFAULT_PAGE)
  .describe(
    `Rows on the page: ${DEFAULT_PAGE} by default, at most ${MAX_PAGE}. A page ends early when its rows exceed ${MAX_PAGE_BYTES / 1_000_000} MB; its cursor continues from there.`,
  );

/** A page's cursor: opaque, so that its content may change. */
export function cursorOver(kind: string, last: z.ZodType<string>) {
  return {
    make: (value: string): string => toBase64(`${kind}:${value}`),
    schema: z
      .string()
      .max(1_000)
      .transform((cursor, context) => {
        const content = fromBase64(cursor);
        const parsed = last.safeParse(content.startsWith(`${kind}:`) ? content.slice(kind.length + 1) : undefined);
        if (parsed.success) return parsed.data;
        context.addIssue({ code: "custom", message: "expected the nextCursor of a page of this list" });
        return z.NEVER;
      })
      .meta({ description: "Where the page begins: the `nextCursor` of the previous page." }),
  };
}

/** A page of rows. */
export function page<T extends z.ZodType>(item: T, what: string) {
  return z
    .object({
      items: z.array(item),
      nextCursor: z.string().nullable().describe("Where the next page begins; null on the last page."),
    })
    .describe(what);
}

/**
 * Makes a page from the rows that were read. There is a next page if more rows than `limit` were read, or if `isMore` is true. Large rows make the
 * page shorter.
 */
export function toPage<T>(
  rows: readonly T[],
  limit: number,
  cursor: (last: T) => string,
  isMore = false,
): { items: T[]; nextCursor: string | null } {
  const items: T[] = [];
  let bytes = 0;
  for (const row of rows.slice(0, limit)) {
    items.push(row);
    bytes += bytesOf(JSON.stringify(row));
    if (bytes >= MAX_PAGE_BYTES) break;
  }
  const last = items.at(-1);
  return { items, nextCursor: (isMore || rows.length > items.length) && last !== undefined ? cursor(last) : null };
}

/** Encodes text as URL-safe base64 of its UTF-8, identically in browsers and Node. */
function toBase64(value: string): string {
  const bytes = String.fromCharCode(...new TextEncoder().encode(value));
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** Decodes URL-safe base64; returns an empty string for anything else. */
function fromBase64(value: string): string {
  try {
    const bytes = atob(value.replaceAll("-", "+").replaceAll("_", "/"));
    return new TextDecoder().decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0)));
  } catch {
    return "";
  }
}
