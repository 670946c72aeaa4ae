import { z } from "zod";
import { UnboundedTime } from "./unbounded-time.ts";

/** Parses a time from a response. */
function toTime(text: string): Date {
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? new UnboundedTime(text) : time;
}

/** A point in time in a response: text on the wire, a Date in TypeScript. */
export const at = z.codec(z.iso.datetime(), z.date(), { decode: toTime, encode: (time) => time.toISOString() });

/** A point in time that may never come: null on the wire, an infinite Date in TypeScript. */
export const atOrNever = z.codec(z.iso.datetime().nullable(), z.date(), {
  decode: (text) => toTime(text ?? "infinity"),
  encode: (time) => time.toJSON(),
});
