#!/usr/bin/env -S node --max-semi-space-size=1
// The flag keeps a busy worker at some 180 MB in a checkout, at the same speed; without it, it was seen to take 100 MB more.
import { existsSync } from "node:fs";

// The published package holds compiled code; a checkout runs its source.
const compiled = new URL("../dist/src/cli/main.js", import.meta.url);
const source = new URL("../src/cli/main.ts", import.meta.url);
const isCheckout = existsSync(source);

const [major = 0] = process.versions.node.split(".").map(Number);
if (major < 24) {
  console.error(`legwork: Node ${process.versions.node} is too old. Legwork needs Node 24 or newer.`);
  console.error(
    isCheckout
      ? "  Run it as `npx legwork …` or `npm run legwork -- …`: both use the Node 24 that `npm ci` has installed here."
      : "  Install Node 24, or add it to this project with `npm install node@24`; `npx legwork` then uses it.",
  );
  process.exit(1);
}
const { main } = await import((isCheckout ? source : compiled).href);
await main(process.argv);
