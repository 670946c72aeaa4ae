import type { z } from "zod";

/**
 * The largest size (number of values in it) for which all errors in a value are reported. For a larger value only the first error is reported,
 * because finding and describing all of them would take seconds.
 */
const FULLY_CHECKED = 2_000;

/** The maximum number of errors that are reported for one value. Users fix a few and try again. */
const MAX_TOLD = 10;

/** The option that zod's own `schema.validate` sets. That method is not used here, because it does not report the error that it found. */
const UNTIL_FIRST_FAULT: z.core.ParseContextInternal<z.core.$ZodIssue> = { abortEarly: true };

/** Like `schema.safeParse`, at a bounded cost: a large value is checked only up to its first error. */
export function validate<S extends z.ZodType>(schema: S, value: unknown): z.ZodSafeParseResult<z.output<S>> {
  const parsed = schema.safeParse(value, UNTIL_FIRST_FAULT);
  if (parsed.success || countValues(value, FULLY_CHECKED) === 0) return parsed;
  return schema.safeParse(value);
}

/**
 * Describes what is wrong with a value in one line: the first error in each of the first invalid fields, and the number of further invalid fields.
 */
export function describeIssues({ issues }: z.core.$ZodError): string {
  const byField = new Map<string, string>();
  for (const { path, message } of issues) {
    const field = path.map(String).join(".");
    if (!byField.has(field)) byField.set(field, `${field === "" ? "" : `${field}: `}${withoutPattern(message)}`);
  }
  const told = [...byField.values()].slice(0, MAX_TOLD);
  const more = byField.size - told.length;
  return `${told.join("; ")}${more > 0 ? `; and ${more} more` : ""}`;
}

/** Removes from a message the regular expression that a text does not match, if it is too long to read. */
function withoutPattern(message: string): string {
  return message.replace(/ \/.{40,}\/[a-z]*$/s, " (see the task's payload schema)");
}

/**
 * Subtracts the number of values within a value from a budget and returns the rest; 0 if there are more. Not recursive: input may be nested deeper
 * than the stack allows.
 */
function countValues(root: unknown, budget: number): number {
  let left = budget;
  const open: unknown[] = [root];
  for (let value = open.pop(); value !== undefined && left > 0; value = open.pop()) {
    left--;
    if (typeof value !== "object" || value === null) continue;
    const inner: unknown[] = Array.isArray(value) ? value : Object.values(value);
    if (inner.length >= left) return 0;
    for (const one of inner) if (one !== undefined) open.push(one);
  }
  return left;
}
