import { X } from "lucide-react";
import { useSyncExternalStore } from "react";
import { Link } from "wouter";
import { Button } from "./button.tsx";
import { common } from "./words.ts";

interface Toast {
  id: number;
  text: string;
  kind: "done" | "error";
  undo?: (() => unknown) | undefined;
  link?: { href: string; text: string } | undefined;
}

/** How long a toast stays (ms). A toast with an undo button or a link stays longer, and every toast stays while it is hovered or focused. */
const STAYS_MS = 6_000;
const STAYS_WITH_UNDO_MS = 12_000;

let toasts: readonly Toast[] = [];
let said = "";
let counter = 0;
const listeners = new Set<() => void>();
const timers = new Map<number, ReturnType<typeof setTimeout>>();

function update(): void {
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function dismiss(id: number): void {
  clearTimeout(timers.get(id));
  timers.delete(id);
  toasts = toasts.filter((toast) => toast.id !== id);
  update();
}

/** Shows a message and announces it to screen readers, optionally with an undo button or a link to a page with details. */
export function tell(text: string, options: Partial<Pick<Toast, "kind" | "undo" | "link">> = {}): void {
  const toast: Toast = { id: ++counter, text, kind: options.kind ?? "done", undo: options.undo, link: options.link };
  toasts = [...toasts.slice(-2), toast];
  timers.set(
    toast.id,
    setTimeout(() => dismiss(toast.id), toast.undo === undefined && toast.link === undefined ? STAYS_MS : STAYS_WITH_UNDO_MS),
  );
  announce(text);
}

/** Announces a message to screen readers without interrupting them. */
export function announce(text: string): void {
  said = text;
  update();
}

export function Toasts() {
  const shown = useSyncExternalStore(subscribe, () => toasts);
  const spoken = useSyncExternalStore(subscribe, () => said);
  return (
    <>
      <div className="visually-hidden announced" role="status" aria-live="polite">
        {spoken}
      </div>
      <div className="toasts">
        {shown.map((toast) => (
          <div
            key={toast.id}
            className="toast"
            data-kind={toast.kind}
            onMouseEnter={() => clearTimeout(timers.get(toast.id))}
            onFocus={() => clearTimeout(timers.get(toast.id))}
            onMouseLeave={() =>
              timers.set(
                toast.id,
                setTimeout(() => dismiss(toast.id), STAYS_MS),
              )
            }
          >
            <span>{toast.text}</span>
            {toast.link !== undefined && (
              <Link href={toast.link.href} onClick={() => dismiss(toast.id)}>
                {toast.link.text}
              </Link>
            )}
            {toast.undo !== undefined && (
              <Button
                kind="quiet"
                onClick={() => {
                  void toast.undo?.();
                  dismiss(toast.id);
                }}
              >
                {common.undo}
              </Button>
            )}
            <Button kind="quiet" aria-label={common.dismiss} icon={<X aria-hidden="true" />} onClick={() => dismiss(toast.id)} />
          </div>
        ))}
      </div>
    </>
  );
}
