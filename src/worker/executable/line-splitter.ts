/** The longest line that is kept (characters), which is enough for the largest result. The rest of a longer line is dropped. */
const MAX_LINE = 1_048_576;

/** Splits a stream of text into lines, holding at most one line in memory. */
export class LineSplitter {
  readonly #onLine: (line: string) => void;
  #begun = "";

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  write(text: string): void {
    const lines = text.split("\n");
    for (const [index, part] of lines.entries()) {
      if (this.#begun.length < MAX_LINE) this.#begun += part.slice(0, MAX_LINE - this.#begun.length);
      if (index < lines.length - 1) this.end();
    }
  }

  /** Passes on the last line, even if it does not end with a line break. */
  end(): void {
    const line = this.#begun.replace(/\r$/, "");
    this.#begun = "";
    if (line !== "") this.#onLine(line);
  }
}
