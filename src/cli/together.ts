import { LegworkError } from "../errors.ts";

/**
 * Throws LW400 for an option that was given without the option that it depends on, because it would be ignored. `needed` maps each option to the
 * option that it requires, by their camelCase names, such as `{ note: "ack" }`.
 */
export function assertTogether(flags: object, needed: Readonly<Record<string, string>>): void {
  const given = flags as Readonly<Record<string, unknown>>;
  for (const [name, other] of Object.entries(needed)) {
    if (given[name] === undefined || given[other] !== undefined) continue;
    throw new LegworkError("LW400", `${optionName(name)} has no effect without ${optionName(other)}.`, {
      hint: `Add ${optionName(other)}, or leave out ${optionName(name)}.`,
    });
  }
}

/** Throws LW400 if more than one of these options was given. */
export function assertOneOf(flags: object, names: readonly string[]): void {
  const given = flags as Readonly<Record<string, unknown>>;
  const [first, second] = names.filter((name) => given[name] !== undefined);
  if (first === undefined || second === undefined) return;
  throw new LegworkError("LW400", `${optionName(first)} and ${optionName(second)} cannot be combined.`, {
    hint: "Use one of them.",
  });
}

function optionName(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
