import { type KeyboardEvent, type PointerEvent, useCallback, useEffect, useRef, useState } from "react";
import { type Interval, moved, WHOLE, zoomed } from "./scale.ts";

/** The smallest part of the axis that counts as a selection. */
const SHORTEST_DRAG = 0.005;

/** The part of the axis that is shown, and the gestures and keys that change it. `track` is the element that shows the axis. */
export function useView() {
  const [view, setView] = useState<Interval>(WHOLE);
  const [drag, setDrag] = useState<Interval>();
  const track = useRef<HTMLElement>(null);
  const table = useRef<HTMLDivElement>(null);

  /** The position on the whole axis under a pointer. */
  const positionOf = useCallback(
    (clientX: number): number => {
      const box = track.current?.getBoundingClientRect();
      if (box === undefined || box.width === 0) return 0;
      const share = Math.min(1, Math.max(0, (clientX - box.left) / box.width));
      return view.from + share * (view.to - view.from);
    },
    [view],
  );

  // React registers wheel listeners as passive. This one must not be passive, because it keeps the page from zooming.
  useEffect(() => {
    const element = table.current;
    if (element === null) return undefined;
    const onWheel = (event: WheelEvent): void => {
      if (!event.ctrlKey && !event.metaKey && !event.shiftKey) return;
      event.preventDefault();
      const by = event.deltaY === 0 ? event.deltaX : event.deltaY;
      if (event.shiftKey) setView((now) => moved(now, Math.sign(by) * 0.1));
      else setView((now) => zoomed(now, by > 0 ? 1.25 : 0.8, positionOf(event.clientX)));
    };
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
  }, [positionOf]);

  const isOnTrack = (event: PointerEvent): boolean => (event.target as Element).closest("[data-track]") !== null;
  return {
    view,
    drag,
    track,
    table,
    isWhole: view.from === 0 && view.to === 1,
    zoom: (factor: number) => setView((now) => zoomed(now, factor)),
    showAll: () => setView(WHOLE),
    gestures: {
      onPointerDown: (event: PointerEvent) => {
        if (event.button !== 0 || event.pointerType === "touch" || !isOnTrack(event)) return;
        const at = positionOf(event.clientX);
        setDrag({ from: at, to: at });
      },
      onPointerMove: (event: PointerEvent) => {
        if (drag !== undefined) setDrag({ ...drag, to: positionOf(event.clientX) });
      },
      onPointerUp: () => {
        if (drag === undefined) return;
        setDrag(undefined);
        const [from, to] = [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)];
        if (to - from >= SHORTEST_DRAG * (view.to - view.from)) setView({ from, to });
      },
      onPointerLeave: () => setDrag(undefined),
      onDoubleClick: (event: { target: EventTarget }) => {
        if ((event.target as Element).closest("[data-track]") !== null) setView(WHOLE);
      },
      onKeyDown: (event: KeyboardEvent) => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        const change = KEYS[event.key];
        if (change === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        setView(change);
      },
    },
  };
}

const KEYS: Readonly<Record<string, (view: Interval) => Interval>> = {
  "+": (view) => zoomed(view, 0.5),
  "=": (view) => zoomed(view, 0.5),
  "-": (view) => zoomed(view, 2),
  ArrowLeft: (view) => moved(view, -0.2),
  ArrowRight: (view) => moved(view, 0.2),
  "0": () => WHOLE,
};
