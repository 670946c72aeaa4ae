import { format } from "node:util";
import type { Logger } from "../../log.ts";
import { type AttemptOutput, plainFields } from "./attempt-output.ts";
import type { Redaction } from "./redaction.ts";

/** The levels whose lines are stored with the job, regardless of the process's log level. */
const KEPT: ReadonlySet<string> = new Set(["info", "warn", "error", "fatal"]);
const LEVELS: ReadonlySet<unknown> = new Set([...KEPT, "debug", "trace"]);

type Level = "trace" | "debug" | "info" | "warn" | "error" | "fatal";
type Fields = Readonly<Record<string, unknown>>;

interface Line {
  fields: Fields | undefined;
  text: string;
}

/**
 * Creates the log that a task receives: the worker's log, whose lines are also stored with the job. If the task has `redact`, secrets are removed in
 * both places. `bound` holds the bindings of its parents' `child` calls.
 */
export function taskLog(log: Logger, output: AttemptOutput, redaction: Redaction | undefined, bound?: Fields): Logger {
  const write = (level: Level, parameters: readonly unknown[]): void => {
    if (redaction === undefined) writeTo(log, level, parameters);
    const kept = KEPT.has(level);
    if (!kept && redaction === undefined) return;
    const { fields, text } = readLine(parameters);
    // The process's log already includes the bindings.
    if (redaction !== undefined) log[level](plainFields(fields ?? {}, redaction), redaction.text(text));
    if (kept) output.log(level, (log.msgPrefix ?? "") + text, bound === undefined ? fields : { ...bound, ...fields });
  };
  const clean = (bindings: Fields): Fields => (redaction === undefined ? bindings : plainFields(bindings, redaction));
  return new Proxy(log, {
    get(target, property) {
      if (LEVELS.has(property)) return (...parameters: unknown[]) => write(property as Level, parameters);
      if (property === "child") {
        return (bindings: Fields, options?: object) =>
          taskLog(target.child(clean(bindings), options), output, redaction, { ...bound, ...bindings });
      }
      if (property === "setBindings") return (bindings: Fields) => target.setBindings(clean(bindings));
      return Reflect.get(target, property, target);
    },
  });
}

/** Writes a line. Values that the logger cannot write, such as an object whose getter throws, must not fail the task. */
function writeTo(log: Logger, level: Level, parameters: readonly unknown[]): void {
  try {
    log[level](...(parameters as [string]));
  } catch {
    const { fields, text } = readLine(parameters);
    log[level](plainFields(fields ?? {}, undefined), text);
  }
}

/** Reads the parameters of a pino call: (text, …values), (fields, text, …values), (error), (error, text, …values). */
function readLine([first, ...rest]: readonly unknown[]): Line {
  try {
    if (first instanceof Error) return { fields: { err: first }, text: rest[0] === undefined ? first.message : format(...rest) };
    if (typeof first !== "object" || first === null) {
      return { fields: undefined, text: first === undefined || first === null ? format(...rest) : format(first, ...rest) };
    }
    const fields = first as Fields;
    if (rest[0] !== undefined) return { fields, text: format(...rest) };
    return { fields, text: fields.err instanceof Error ? fields.err.message : "" };
  } catch {
    return { fields: undefined, text: "This line cannot be read." };
  }
}
