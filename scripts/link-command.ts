import { mkdirSync, renameSync, symlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";

// npm links a package's command for those who install the package, but not in the package's own checkout. Part of `npm ci` there, so that
// `npx legwork` works. Windows needs a privilege to make links; `npm run legwork -- …` does without one.
if (process.platform !== "win32") {
  const link = fileURLToPath(new URL("../node_modules/.bin/legwork", import.meta.url));
  const draft = `${link}.${process.pid}`;
  mkdirSync(fileURLToPath(new URL("../node_modules/.bin", import.meta.url)), { recursive: true });
  symlinkSync("../../bin/legwork.js", draft);
  // In one step, so that a command that runs meanwhile always finds one.
  renameSync(draft, link);
}
