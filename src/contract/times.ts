import { z } from "zod";
import { UnboundedTime } from "./unbounded-time.ts";

/** The time that an answer's text stands for. */
function toTime(text: string): Date {
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? new UnboundedTime(text) : time;
}

/** A point in time of an answer: text on the wire, a Date in TypeScript. */
export const at = z.codec(z.iso.datetime(), z.date(), { decode: toTime, encode: (time) => time.toISOString() });

/** A point in time that may never come: null on the wire, and in TypeScript a Date that is later than every other. */
export const atOrNever = z.codec(z.iso.datetime().nullable(), z.date(), {
  decode: (text) => toTime(text ?? "infinity"),
  encode: (time) => time.toJSON(),
});
