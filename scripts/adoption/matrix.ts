import { writeFile } from "node:fs/promises";
import { toError } from "../../src/errors.ts";

/** Runs a check, and prints and records its outcome. A failed check does not stop the others. */
export type Check = (area: string, name: string, act: () => Promise<unknown>) => Promise<void>;

/** Thrown by a check whose program is not installed on this machine. */
export class NotTried extends Error {}

/** The outcomes of all checks in fresh projects. */
export class Matrix {
  readonly #results: { area: string; name: string; outcome: "fine" | "not tried" | "wrong"; reason: string }[] = [];

  readonly check: Check = async (area, name, act) => {
    const since = performance.now();
    const thrown = await act().then(
      () => undefined,
      (error: unknown) => toError(error),
    );
    const outcome = thrown === undefined ? "fine" : thrown instanceof NotTried ? "not tried" : "wrong";
    const reason = thrown?.message ?? "";
    this.#results.push({ area, name, outcome, reason });
    const seconds = ((performance.now() - since) / 1_000).toFixed(1);
    console.log(
      `${outcome === "fine" ? "✓" : "✗"} ${area}: ${name} (${seconds} s)${reason && ` ${outcome}: ${reason.slice(0, 2_000)}`}`,
    );
  };

  /** "53 of 54 checks are fine." */
  get summary(): string {
    const fine = this.#results.filter(({ outcome }) => outcome === "fine").length;
    return `${fine} of ${this.#results.length} checks are fine.`;
  }

  get isFine(): boolean {
    return this.#results.every(({ outcome }) => outcome !== "wrong");
  }

  /** Writes all checks and the count as a page of the documentation. */
  async write(page: URL, about: string): Promise<void> {
    const sections = [...Map.groupBy(this.#results, ({ area }) => area)].map(
      ([area, list]) =>
        `## ${area}\n\n| check | outcome |\n|---|---|\n${list.map(({ name, outcome }) => `| ${name.replaceAll("|", "\\|")} | ${outcome === "fine" ? "✓" : outcome} |`).join("\n")}\n`,
    );
    await writeFile(page, `${about}\n**${this.summary}**\n\n${sections.join("\n")}`);
  }
}
