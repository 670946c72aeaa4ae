import { useSyncExternalStore } from "react";
import type { Zone } from "./time/format-times.ts";

/** The user's choices, stored in this browser. */
export interface Preferences {
  theme: "system" | "light" | "dark";
  zone: Zone;
}

const KEY = "legwork.preferences";
const DEFAULTS: Preferences = { theme: "system", zone: "local" };
const listeners = new Set<() => void>();
let preferences = read();

function read(): Preferences {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Preferences>) };
  } catch {
    return DEFAULTS;
  }
}

/** Sets the theme on the root element, where the style sheet reads it. */
export function applyTheme(): void {
  if (preferences.theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = preferences.theme;
}

export function choose(change: Partial<Preferences>): void {
  preferences = { ...preferences, ...change };
  localStorage.setItem(KEY, JSON.stringify(preferences));
  applyTheme();
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
