/** The bar's width in characters. */
const WIDTH = 24;

/** `[######                  ]  25%  shop.items`, cut to fit into `columns` characters. */
export function progressLine(percent: number | null, message: string | null, columns: number): string {
  const share = Math.min(100, Math.max(0, percent ?? 0));
  const filled = Math.round((WIDTH * share) / 100);
  const bar = `[${"#".repeat(filled)}${" ".repeat(WIDTH - filled)}] ${String(Math.round(share)).padStart(3)}%`;
  return `${bar}  ${(message ?? "").replaceAll(/\p{Cc}+/gu, " ")}`.trimEnd().slice(0, Math.max(0, columns - 1));
}

/** A progress bar on stderr, so that stdout remains machine-readable. Shows nothing unless stderr is a terminal. */
export class ProgressBar {
  #isShown = false;

  show(percent: number | null, message: string | null): void {
    if (!process.stderr.isTTY) return;
    this.#isShown = true;
    // A terminal of unknown width reports 0.
    process.stderr.write(`\r\u001b[K${progressLine(percent, message, process.stderr.columns || 80)}`);
  }

  /** Erases the bar, before other output is printed. */
  clear(): void {
    if (this.#isShown) process.stderr.write("\r\u001b[K");
    this.#isShown = false;
  }
}
