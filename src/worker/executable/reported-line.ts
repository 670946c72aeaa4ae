import { z } from "zod";

/** The prefix of the lines in an executable's output that are meant for Legwork. It is followed by JSON. */
const PREFIX = "::legwork ";

/** The longest text of a log line (characters). */
const MAX_TEXT = 8_000;

const lineSchema = z.strictObject({
  progress: z.number().min(0).max(100).optional(),
  message: z.string().optional(),
  result: z.json().optional(),
  log: z.string().optional(),
  level: z.enum(["debug", "info", "warn", "error"]).optional(),
  error: z.string().optional(),
  discard: z.boolean().optional(),
  retryAfter: z.union([z.string(), z.number()]).optional(),
});

/** What an executable reports in one line. */
export type ReportedLine = z.output<typeof lineSchema>;

/** Parses a line that reports something. Returns undefined for a line of ordinary output, and the problem if the line is invalid. */
export function readLine(line: string): ReportedLine | { readonly problem: string } | undefined {
  if (!line.startsWith(PREFIX)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line.slice(PREFIX.length));
  } catch {
    return { problem: `${shorten(line)} is not ${PREFIX}followed by JSON.` };
  }
  const parsed = lineSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.join(".") ?? "";
  return { problem: `${shorten(line)} cannot be used: ${where === "" ? "" : `${where}: `}${issue?.message ?? "not valid"}.` };
}

/** Shortens a line for the log. */
export function shorten(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}
