#!/usr/bin/env -S node --max-semi-space-size=1
// The flag keeps a busy worker at about 140 MB at the same speed. Without it, a worker used 100 MB more in our measurements.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

// The published package holds compiled code; a checkout runs its source.
const compiled = new URL("../dist/src/cli/main.js", import.meta.url);
const source = new URL("../src/cli/main.ts", import.meta.url);
const isCheckout = existsSync(source);

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  console.error(`legwork: Node ${process.versions.node} is too old. Workers, servers and this command need Node 22.19 or newer.`);
  console.error(
    isCheckout
      ? "  Run `npx legwork …` or `npm run legwork -- …`: both use the Node 24 that `npm ci` installed here."
      : "  Install Node 24, or add it to this project with `npm install node@24`, which `npx legwork` then uses.",
  );
  process.exit(1);
}
if (isCheckout) {
  // Stripping types takes most of the startup time and 40 MB of memory. The stripped code is cached for the next start. Threads and child processes
  // find the cache through the environment.
  process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL("../node_modules/.cache/legwork", import.meta.url));
  // Imported here, because Node 20 does not have it and must get as far as the message above.
  const { enableCompileCache } = await import("node:module");
  enableCompileCache(process.env.NODE_COMPILE_CACHE);
}
const { main } = await import((isCheckout ? source : compiled).href);
await main(process.argv);
