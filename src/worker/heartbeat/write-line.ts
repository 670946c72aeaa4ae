import { writeSync } from "node:fs";
import { hostname } from "node:os";

/**
 * Writes a log line to stderr from a thread, while the main thread cannot, in the forms of `createLogger`. Does not wait: if stderr is not read and
 * full, the line is lost.
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
    // stderr is full or closed.
  }
}
