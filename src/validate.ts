import type { z } from "zod";

/** Values in a value of which every fault is looked for. Of a larger one the first fault is told: to find and describe them all takes seconds. */
const FULLY_CHECKED = 2_000;

/** Faults that are told of one value. Somebody who reads them mends one and tries again. */
const MAX_TOLD = 10;

/** What zod's own `schema.validate` sets, which says nothing of the fault that it has found. */
const UNTIL_FIRST_FAULT: z.core.ParseContextInternal<z.core.$ZodIssue> = { abortEarly: true };

/** As `schema.safeParse`, at a cost that is bounded by what is right in the value: a large one is read up to its first fault. */
export function validate<S extends z.ZodType>(schema: S, value: unknown): z.ZodSafeParseResult<z.output<S>> {
  const parsed = schema.safeParse(value, UNTIL_FIRST_FAULT);
  if (parsed.success || countValues(value, FULLY_CHECKED) === 0) return parsed;
  return schema.safeParse(value);
}

/** What is wrong with a value, in one line: the first faults, and how many more there are. */
export function describeIssues({ issues }: z.core.$ZodError): string {
  const told = issues
    .slice(0, MAX_TOLD)
    .map(({ path, message }) => (path.length > 0 ? `${path.map(String).join(".")}: ${message}` : message));
  const more = issues.length - told.length;
  return `${told.join("; ")}${more > 0 ? `; and ${more} more` : ""}`;
}

/** How much is left of a budget after the values within a value; 0 when there are more. Does not recurse: what came in may be nested deeper than our stack. */
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
