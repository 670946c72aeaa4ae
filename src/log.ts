import pino from "pino";
import pretty from "pino-pretty";

export type Logger = pino.Logger;

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Connection strings and tokens reach the log through error objects; their places are known. */
export const CENSORED_PATHS = ["databaseUrl", "token", "err.connectionString", "*.password"];

/**
 * The process's log: lines for people on a terminal, JSON lines (ISO timestamps, level names) everywhere else.
 * It goes to stderr, so that stdout carries only what a command was asked for.
 */
export function createLogger(options: { level: LogLevel; json?: boolean }): Logger {
  const asJson = options.json ?? !process.stderr.isTTY;
  const stream = asJson
    ? pino.destination({ dest: 2, sync: true })
    : pretty({
        destination: 2,
        sync: true,
        ignore: "pid,hostname",
        translateTime: "HH:MM:ss.l",
        singleLine: true,
      });
  return pino(
    {
      level: options.level,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: CENSORED_PATHS, censor: "[redacted]" },
    },
    stream,
  );
}
