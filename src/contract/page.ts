import { z } from "zod";
import { wholeNumber } from "./values.ts";

/** Rows of a page when none are asked for. */
const DEFAULT_PAGE = 50;
/** Rows of a page at most. */
const MAX_PAGE = 500;

export const pageLimit = wholeNumber(1, MAX_PAGE)
  .default(DEFAULT_PAGE)
  .describe(`Rows of the page: ${DEFAULT_PAGE} unless given, ${MAX_PAGE} at most.`);

/** A page's cursor: opaque, so that what it is made of may change. */
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
      .meta({ description: "Where the page begins: the `nextCursor` of the one before." }),
  };
}

/** A page of rows. */
export function page<T extends z.ZodType>(item: T, what: string) {
  return z
    .object({
      items: z.array(item),
      nextCursor: z.string().nullable().describe("Where the next page begins; null when this is the last one."),
    })
    .describe(what);
}

/** A page from one row more than it may have, which tells whether there is another. */
export function toPage<T>(
  rows: readonly T[],
  limit: number,
  cursor: (last: T) => string,
): { items: T[]; nextCursor: string | null } {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: rows.length > limit && last !== undefined ? cursor(last) : null };
}

/** Text as URL-safe base64 of its UTF-8, which browsers and Node write alike. */
function toBase64(value: string): string {
  const bytes = String.fromCharCode(...new TextEncoder().encode(value));
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** Empty for what is not base64. */
function fromBase64(value: string): string {
  try {
    const bytes = atob(value.replaceAll("-", "+").replaceAll("_", "/"));
    return new TextDecoder().decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0)));
  } catch {
    return "";
  }
}
