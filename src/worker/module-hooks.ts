import { registerHooks } from "node:module";

let registered = false;

/**
 * Makes `import … from "legwork"` in a task file, or in a configuration, mean this very package, wherever the file lies, so that a worker and its
 * tasks never meet in two versions; and lets a file that has no node_modules of its own use our zod.
 */
export function importLegworkFromHere(): void {
  if (registered) return;
  registered = true;
  const publicApi = new URL(import.meta.url.endsWith(".ts") ? "../index.ts" : "../index.js", import.meta.url).href;
  registerHooks({
    resolve(specifier, context, nextResolve) {
      if (specifier === "legwork") return nextResolve(publicApi, context);
      if (specifier !== "zod") return nextResolve(specifier, context);
      try {
        return nextResolve(specifier, context);
      } catch {
        return nextResolve(specifier, { ...context, parentURL: import.meta.url });
      }
    },
  });
}
