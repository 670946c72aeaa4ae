/** A part of the time on the axis (ms). */
export interface Interval {
  from: number;
  to: number;
}

/** Maps times to positions on an axis from 0 to 1, and back. */
export interface Scale {
  position: (at: number) => number;
  /** The time at a position. */
  timeAt: (position: number) => number;
  /** Waits that are drawn shorter than they were. */
  compressed: readonly Interval[];
}

/** The length of a compressed wait as a share of everything else. */
const COMPRESSED_SHARE = 0.12;

/** A scale on which each second has the same length. */
export function linearScale({ from, to }: Interval): Scale {
  const length = Math.max(1, to - from);
  return {
    position: (at) => (at - from) / length,
    timeAt: (position) => from + position * length,
    compressed: [],
  };
}

/**
 * A scale that shortens long waits: periods that contain nothing of `active` are drawn with at most an eighth of the length of the rest, so that
 * three attempts after a day of waiting are visible. Linear if no wait is that long.
 */
export function compressedScale({ from, to }: Interval, active: readonly Interval[]): Scale {
  const parts = partsOf({ from, to }, active);
  const ran = parts.reduce((sum, part) => sum + (part.isActive ? part.to - part.from : 0), 0);
  const longest = ran * COMPRESSED_SHARE;
  if (ran === 0 || parts.every((part) => part.isActive || part.to - part.from <= longest)) return linearScale({ from, to });
  let sum = 0;
  const drawn = parts.map(({ from: began, to: ended, isActive }) => {
    const length = isActive ? ended - began : Math.min(ended - began, longest);
    const start = sum;
    sum += length;
    return { from: began, to: ended, start, length };
  });
  const last = drawn.at(-1);
  return {
    position: (at) => {
      const part = drawn.find((one) => at <= one.to) ?? last;
      if (part === undefined) return 0;
      const share = part.to === part.from ? 0 : (Math.max(at, part.from) - part.from) / (part.to - part.from);
      return (part.start + Math.min(1, share) * part.length) / sum;
    },
    timeAt: (position) => {
      const length = position * sum;
      const part = drawn.find((one) => length <= one.start + one.length) ?? last;
      if (part === undefined) return from;
      return part.from + (part.length === 0 ? 0 : (length - part.start) / part.length) * (part.to - part.from);
    },
    compressed: drawn.filter((part) => part.length < part.to - part.from).map((part) => ({ from: part.from, to: part.to })),
  };
}

/** Divides an interval into active and inactive parts. */
function partsOf({ from, to }: Interval, active: readonly Interval[]): (Interval & { isActive: boolean })[] {
  const parts: (Interval & { isActive: boolean })[] = [];
  let at = from;
  for (const one of active.toSorted((a, b) => a.from - b.from)) {
    const [start, end] = [Math.max(one.from, at), Math.min(one.to, to)];
    if (end <= at) continue;
    if (start > at) parts.push({ from: at, to: start, isActive: false });
    parts.push({ from: start, to: end, isActive: true });
    at = end;
  }
  if (at < to) parts.push({ from: at, to, isActive: false });
  return parts;
}

/** The part of the axis that is shown, from 0 to 1. */
export const WHOLE: Interval = { from: 0, to: 1 };

/** The smallest part of the axis that can be shown. */
const SMALLEST = 1e-6;

/** Zooms by a factor around a position. */
export function zoomed(view: Interval, factor: number, around = (view.from + view.to) / 2): Interval {
  const length = Math.min(1, Math.max(SMALLEST, (view.to - view.from) * factor));
  const share = (around - view.from) / (view.to - view.from);
  return within({ from: around - share * length, to: around + (1 - share) * length });
}

/** Moves the view by a share of its length. */
export function moved(view: Interval, by: number): Interval {
  const shift = (view.to - view.from) * by;
  return within({ from: view.from + shift, to: view.to + shift });
}

function within({ from, to }: Interval): Interval {
  const length = Math.min(1, to - from);
  const start = Math.min(Math.max(0, from), 1 - length);
  return { from: start, to: start + length };
}
