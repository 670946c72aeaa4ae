import { writeSync } from "node:fs";
import { hostname } from "node:os";

/**
 * Writes a line of the log to stderr from a thread, while the main thread cannot. Does not wait: when nobody reads stderr and it is full, the line is
 * lost. In the forms of `createLogger`.
 */
export function writeLine(
  form: "json" | "text",
  level: "warn" | "fatal",
  fields: Readonly<Record<string, unknown>>,
  message: string,
): void {
  const time = new Date().toISOString();
  const line =
    form === "json"
      ? JSON.stringify({ level, time, pid: process.pid, hostname: hostname(), ...fields, msg: message })
      : `[${new Date().toTimeString().slice(0, 8)}.${time.slice(20, 23)}] ${level.toUpperCase()}: ${message} ${JSON.stringify(fields)}`;
  try {
    writeSync(2, `${line}\n`);
  } catch {
    // Full, or closed.
  }
}
