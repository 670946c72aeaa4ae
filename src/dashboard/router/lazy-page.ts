import { type ComponentType, createElement, use } from "react";
import { untilBack } from "../api/reach.ts";

/** A page whose code is loaded when it is first shown, or earlier with `preload`. */
export type LazyPage<P> = ComponentType<P> & { preload(): Promise<unknown> };

/**
 * Like React's `lazy`, but a page that is already loaded is shown at once. `lazy` always shows the fallback first, and React keeps the fallback
 * visible for at least 300 ms.
 */
export function lazyPage<P extends object>(load: () => Promise<{ default: ComponentType<P> }>): LazyPage<P> {
  let loaded: ComponentType<P> | undefined;
  let loading: Promise<ComponentType<P>> | undefined;
  function preload(): Promise<ComponentType<P>> {
    loading ??= load().then(
      ({ default: page }) => (loaded = page),
      (error: unknown) => {
        // The next call loads it again.
        loading = undefined;
        throw error;
      },
    );
    return loading;
  }
  let awaited: Promise<ComponentType<P>> | undefined;
  /** Loads the code of a page. If the server is unreachable, the code is loaded as soon as the server is back. */
  async function loadSometime(): Promise<ComponentType<P>> {
    for (;;) {
      try {
        return await preload();
      } catch (error) {
        if (!(await untilBack())) throw error;
      }
    }
  }
  function Page(props: P) {
    if (loaded !== undefined) return createElement(loaded, props);
    awaited ??= loadSometime().catch((error: unknown) => {
      awaited = undefined;
      throw error;
    });
    return createElement(use(awaited), props);
  }
  return Object.assign(Page, { preload });
}
