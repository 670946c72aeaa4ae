import { readFileSync } from "node:fs";
import { extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { ATTEMPTS, PRIORITIES } from "../bounds.ts";
import { LegworkError, toError } from "../errors.ts";

const whole = ([low, high]: readonly [number, number]) => z.int().min(low).max(high);

const entrySchema = z.union([
  z.string().min(1),
  z.null(),
  z.strictObject({
    /** The task that runs these jobs. */
    task: z.string().min(1),
    /** Replaces the priority of the jobs. */
    priority: whole(PRIORITIES).optional(),
    maxAttempts: whole(ATTEMPTS).optional(),
    serialKey: z.string().optional(),
    tenant: z.string().optional(),
  }),
]);

const mappingSchema = z.record(z.string(), entrySchema);

/** The task for each name in the source system. Null leaves the jobs with that name where they are. */
export type Mapping = Readonly<Record<string, z.infer<typeof entrySchema>>>;

/** The task that a name is mapped to. */
export interface Target {
  readonly task: string;
  /** Fields that replace those of each job. */
  readonly overrides: Readonly<Record<string, unknown>>;
}

/**
 * Reads a mapping file: JSON, or a module whose default export is the mapping. Throws LW514 if it cannot be read or is not a mapping.
 *
 * ```json
 * {"email": "notify/email", "old": null, "mail:welcome": {"task": "notify/welcome", "maxAttempts": 5}}
 * ```
 */
export async function readMapping(file: string): Promise<Mapping> {
  const path = resolve(file);
  let content: unknown;
  try {
    content =
      extname(path) === ".json"
        ? JSON.parse(readFileSync(path, "utf8"))
        : ((await import(pathToFileURL(path).href)) as { default?: unknown }).default;
  } catch (thrown) {
    throw new LegworkError("LW514", `--mapping: ${file} cannot be read: ${toError(thrown).message}`, {
      hint: 'Write JSON such as {"email": "notify/email"}, or a module that exports such an object as its default.',
      cause: thrown,
    });
  }
  const parsed = mappingSchema.safeParse(content);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const at = issue === undefined || issue.path.length === 0 ? "" : ` at ${issue.path.join(".")}`;
  throw new LegworkError("LW514", `--mapping: ${file} is not a valid mapping${at}: ${issue?.message}.`, {
    hint: 'Map each name to a task, to null, or to {"task", "priority", "maxAttempts", "serialKey", "tenant"}.',
  });
}

/**
 * Returns the target of a job with several possible names, most specific first: that of the first name in the mapping, otherwise the first name that
 * is a task. Null if the mapping excludes the job, undefined if nothing matches.
 */
export function targetOf(names: readonly string[], mapping: Mapping, tasks: ReadonlySet<string>): Target | null | undefined {
  for (const name of names) {
    const entry = Object.hasOwn(mapping, name) ? mapping[name] : undefined;
    if (entry === undefined) continue;
    if (entry === null) return null;
    if (typeof entry === "string") return { task: entry, overrides: {} };
    const { task, maxAttempts, serialKey, ...others } = entry;
    const overrides = { ...others, max_attempts: maxAttempts, serial_key: serialKey };
    return { task, overrides: Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined)) };
  }
  // The name of a job `welcome` in the queue `mail` is `mail:welcome`, and its task is probably called `mail/welcome`.
  const task = names.flatMap((name) => [name.replace(":", "/"), name]).find((name) => tasks.has(name));
  return task === undefined ? undefined : { task, overrides: {} };
}
