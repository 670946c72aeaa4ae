import { createRequire } from "node:module";
import pino from "pino";
import { StderrDestination } from "./stderr-destination.ts";

export type Logger = pino.Logger;

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Connection strings and tokens reach the log through error objects, at known paths. `input` is a text that `new URL` could not parse. */
export const CENSORED_PATHS = ["databaseUrl", "token", "err.connectionString", "err.input", "*.password"];

const destination = new StderrDestination();
const forms = new WeakMap<Logger, "json" | "text">();

/**
 * Creates the process's log: readable lines on a terminal, JSON lines (ISO timestamps, level names) everywhere else.
 * It goes to stderr, so that stdout carries only a command's output. Writing never blocks the process, however slowly stderr is read.
 */
export function createLogger(options: { level: LogLevel; json?: boolean }): Logger {
  const asJson = options.json ?? !process.stderr.isTTY;
  const log = pino(
    {
      level: options.level,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: CENSORED_PATHS, censor: "[redacted]" },
    },
    asJson ? destination : prettyTo(destination),
  );
  forms.set(log, asJson ? "json" : "text");
  return log;
}

/** Returns the form in which a logger of `createLogger` writes to stderr; undefined for any other logger. */
export function stderrForm(log: Logger): "json" | "text" | undefined {
  return forms.get(log);
}

/** Writes buffered log lines now; see `StderrDestination`. For the end of a process. */
export function flushLog(): Promise<void> {
  return destination.drained();
}

function prettyTo(target: StderrDestination): pino.DestinationStream & { flushSync(): void } {
  // Loaded only for a terminal: other workers save its memory.
  const { prettyFactory } = createRequire(import.meta.url)("pino-pretty") as typeof import("pino-pretty");
  const prettify = prettyFactory({
    colorize: true,
    ignore: "pid,hostname",
    translateTime: "HH:MM:ss.l",
    singleLine: true,
  });
  return { write: (line) => target.write(prettify(line)), flushSync: () => target.flushSync() };
}
