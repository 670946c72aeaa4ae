import { writeSync } from "node:fs";
import { hostname } from "node:os";

/**
 * Writes a log line to stderr from a thread, in the formats of `createLogger`, while the main thread is blocked. Does not wait: if stderr is full
 * because it is not being read, the line is lost.
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
