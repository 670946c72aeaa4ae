import { createRequire } from "node:module";
import pino from "pino";
import { hideSecretsInLine } from "./hide-secrets.ts";
import { StderrDestination } from "./stderr-destination.ts";

export type Logger = pino.Logger;

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

type Target = pino.DestinationStream & { flushSync?(): void };

const stderr = new StderrDestination();
const forms = new WeakMap<Logger, "json" | "text">();
/** The destinations of loggers that write JSON lines. */
const destinations = new WeakMap<Logger, StderrDestination>();
/** The line that a logger wrote during `lineOf`. */
let captured: string | undefined;
let isCapturing = false;

/**
 * Creates the process's log: readable lines on a terminal, JSON lines (ISO timestamps, level names) everywhere else.
 * It goes to stderr, so that stdout carries only a command's output. Writing never blocks the process, no matter how slowly stderr is read. Secrets
 * are hidden wherever they are in a line (`hideSecrets`), including what a task logs.
 */
export function createLogger(options: { level: LogLevel; json?: boolean; destination?: StderrDestination }): Logger {
  const { destination = stderr } = options;
  const asJson = options.json ?? !process.stderr.isTTY;
  const log = pino(
    {
      level: options.level,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    asJson ? withCapture(withoutSecrets(destination)) : withoutSecrets(prettyTo(destination)),
  );
  forms.set(log, asJson ? "json" : "text");
  if (asJson) destinations.set(log, destination);
  return log;
}

/** Returns the format in which a logger from `createLogger`, or a child of such a logger, writes to stderr; undefined for any other logger. */
export function stderrForm(log: Logger): "json" | "text" | undefined {
  return forms.get(rootOf(log));
}

/**
 * Returns the destination of a JSON logger from `createLogger`, or of a child of such a logger, for callers that write complete lines to it
 * themselves; undefined for any other logger.
 */
export function destinationOf(log: Logger): StderrDestination | undefined {
  return destinations.get(rootOf(log));
}

/**
 * Returns the line that `call` logs, instead of writing it; undefined if it logs nothing. Its secrets are not hidden yet. The logger must have a
 * destination (`destinationOf`).
 */
export function lineOf(call: () => void): string | undefined {
  isCapturing = true;
  captured = undefined;
  try {
    call();
    return captured;
  } finally {
    isCapturing = false;
  }
}

/** Returns the logger at the top of a logger's chain of parents; the logger itself if it has no parent. */
export function rootOf(log: Logger): Logger {
  let root = log;
  // A child has its parent as its prototype.
  for (let parent = parentOf(log); ownBindings(parent) !== undefined; parent = parentOf(parent)) root = parent;
  return root;
}

/** The symbol under which pino keeps the bindings of a logger; undefined for an object without any. Copies of pino have different ones. */
export function ownBindings(log: object): symbol | undefined {
  return Object.getOwnPropertySymbols(log).find(({ description }) => description === "pino.chindings");
}

function parentOf(log: Logger): Logger {
  return (Object.getPrototypeOf(log) ?? {}) as Logger;
}

/** Writes buffered log lines now, before the process ends; see `StderrDestination`. */
export function flushLog(): Promise<void> {
  return stderr.drained();
}

/**
 * Hides the secrets in every written line. Pino's `redact` is not enough: its paths have a fixed depth and do not apply to the bindings of child
 * loggers. A written line contains everything.
 */
export function withoutSecrets(target: Target): Target {
  return { write: (line) => target.write(hideSecretsInLine(line)), flushSync: () => target.flushSync?.() };
}

function withCapture(target: Target): Target {
  return {
    write: (line) => {
      if (isCapturing) captured = line;
      else target.write(line);
    },
    flushSync: () => target.flushSync?.(),
  };
}

function prettyTo(target: StderrDestination): Target {
  // Loaded only for a terminal, which saves memory in all other processes.
  const { prettyFactory } = createRequire(import.meta.url)("pino-pretty") as typeof import("pino-pretty");
  const prettify = prettyFactory({
    colorize: true,
    ignore: "pid,hostname",
    translateTime: "HH:MM:ss.l",
    singleLine: true,
  });
  return { write: (line) => target.write(prettify(line)), flushSync: () => target.flushSync() };
}
