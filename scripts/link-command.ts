import { mkdirSync, renameSync, symlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";

// npm links a package's command where the package is installed, but not in the package's own checkout. `npm ci` runs this script there, so that `npx
// legwork` works. On Windows, creating links requires a privilege, but `npm run legwork -- …` works without a link.
if (process.platform !== "win32") {
  const link = fileURLToPath(new URL("../node_modules/.bin/legwork", import.meta.url));
  const draft = `${link}.${process.pid}`;
  mkdirSync(fileURLToPath(new URL("../node_modules/.bin", import.meta.url)), { recursive: true });
  symlinkSync("../../bin/legwork.js", draft);
  // Atomic, so that a concurrent command always finds the link.
  renameSync(draft, link);
}
