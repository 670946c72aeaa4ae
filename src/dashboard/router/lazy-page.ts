import { type ComponentType, createElement, use } from "react";

/** A page whose code is loaded when it is first shown, or earlier with `preload`. */
export type LazyPage<P> = ComponentType<P> & { preload(): Promise<unknown> };

/**
 * Like React's `lazy`, but a page that is already loaded is shown at once. `lazy` always shows the fallback first, and React keeps that for at
 * least 300 ms.
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
  function Page(props: P) {
    return createElement(loaded ?? use(preload()), props);
  }
  return Object.assign(Page, { preload });
}
