import { existsSync } from "node:fs";

/**
 * Debian's headless Chromium, or the one in LEGWORK_TEST_CHROMIUM. The headless shell has no window to draw, which halves the processor
 * time of the dashboard's tests, but an ordinary Chromium works too.
 */
export function chromiumPath(): string {
  const named = process.env.LEGWORK_TEST_CHROMIUM;
  const found =
    named ??
    ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
      (path) => existsSync(path),
    );
  if (found !== undefined) return found;
  throw new Error(
    "There is no browser: install it (apt-get install chromium-headless-shell), or set LEGWORK_TEST_CHROMIUM to its path.",
  );
}
