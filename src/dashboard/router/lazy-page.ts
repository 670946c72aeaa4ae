import { type ComponentType, createElement, use } from "react";

/** A page whose code is loaded when it is first shown, or before that by `preload`. */
export type LazyPage<P> = ComponentType<P> & { preload(): Promise<unknown> };

/**
 * As React's `lazy`, but one that has been loaded is shown at once. `lazy` always shows what stands in for a page first, and React keeps that
 * for 300 ms at least.
 */
export function lazyPage<P extends object>(load: () => Promise<{ default: ComponentType<P> }>): LazyPage<P> {
  let loaded: ComponentType<P> | undefined;
  let loading: Promise<ComponentType<P>> | undefined;
  function preload(): Promise<ComponentType<P>> {
    loading ??= load().then(
      ({ default: page }) => (loaded = page),
      (error: unknown) => {
        // The next one asks again.
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
