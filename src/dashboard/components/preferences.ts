import { useSyncExternalStore } from "react";
import type { Zone } from "./time/format-times.ts";

/** The user's choices, stored in this browser. */
export interface Preferences {
  theme: "system" | "light" | "dark";
  zone: Zone;
  /** The row height of tables: 32 px with small text, or 40 px. */
  density: "compact" | "comfortable";
  /** The columns of the list of jobs. */
  jobColumns: readonly string[];
}

const KEY = "legwork.preferences";
const DEFAULTS: Preferences = {
  theme: "system",
  zone: "local",
  density: "compact",
  jobColumns: ["queue", "details", "attempts", "duration", "created"],
};
const listeners = new Set<() => void>();
let preferences = read();

function read(): Preferences {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Preferences>) };
  } catch {
    return DEFAULTS;
  }
}

/** Sets theme and density on the root element, where the style sheet reads them. */
export function applyPreferences(): void {
  document.documentElement.dataset.density = preferences.density;
  if (preferences.theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = preferences.theme;
}

export function choose(change: Partial<Preferences>): void {
  preferences = { ...preferences, ...change };
  localStorage.setItem(KEY, JSON.stringify(preferences));
  applyPreferences();
  for (const listener of listeners) listener();
}

export function usePreferences(): Preferences {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => preferences,
  );
}
