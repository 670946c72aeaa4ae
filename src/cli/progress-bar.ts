/** Characters of the bar itself. */
const WIDTH = 24;

/** `[######                  ]  25 %  shop.items`, cut to so many characters. */
export function progressLine(percent: number | null, message: string | null, columns: number): string {
  const share = Math.min(100, Math.max(0, percent ?? 0));
  const filled = Math.round((WIDTH * share) / 100);
  const bar = `[${"#".repeat(filled)}${" ".repeat(WIDTH - filled)}] ${String(Math.round(share)).padStart(3)} %`;
  return `${bar}  ${(message ?? "").replaceAll(/\p{Cc}+/gu, " ")}`.trimEnd().slice(0, Math.max(0, columns - 1));
}

/** A bar on stderr, so that what is printed stays for programs; on anything but a terminal, nothing. */
export class ProgressBar {
  #isShown = false;

  show(percent: number | null, message: string | null): void {
    if (!process.stderr.isTTY) return;
    this.#isShown = true;
    // A terminal that does not know its width says 0.
    process.stderr.write(`\r\u001b[K${progressLine(percent, message, process.stderr.columns || 80)}`);
  }

  /** Takes it away, before something else is printed. */
  clear(): void {
    if (this.#isShown) process.stderr.write("\r\u001b[K");
    this.#isShown = false;
  }
}
