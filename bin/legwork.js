#!/usr/bin/env -S node --max-semi-space-size=1
// The flag keeps a busy worker at some 180 MB in a checkout, at the same speed; without it, it was seen to take 100 MB more.
import { existsSync } from "node:fs";

const [major = 0] = process.versions.node.split(".").map(Number);
if (major < 24) {
  console.error(`legwork: Node ${process.versions.node} is too old; Legwork runs on Node 24 or newer.`);
  console.error("  Install Node 24. A checkout has one after `npm ci`: use `npx legwork …` or `npm run legwork -- …` there.");
  process.exit(1);
}
// The published package holds compiled code; a checkout runs its source.
const compiled = new URL("../dist/src/cli/main.js", import.meta.url);
const source = new URL("../src/cli/main.ts", import.meta.url);
const { main } = await import((existsSync(source) ? source : compiled).href);
await main(process.argv);
