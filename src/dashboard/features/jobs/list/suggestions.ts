import { JOB_STATES } from "../../../../contract/states.ts";
import type { FilterName } from "../filter.ts";
import { words } from "../words.ts";

/** A suggestion of the filter box. */
export interface Suggestion {
  /** Unique among the suggestions that are offered at the same time. */
  key: string;
  /** The text of the box after this suggestion has been chosen. */
  text: string;
  label: string;
  hint: string;
  /** `field` still needs a value, `filter` is complete, `job` opens the job with the id `id`. */
  kind: "field" | "filter" | "job";
  id?: string;
}

/** The existing names, by the filter that accepts them. */
export type KnownValues = Readonly<Partial<Record<FilterName, readonly string[]>>>;

/** The suggested fields, in this order. */
const FIELDS = [
  "state",
  "task",
  "queue",
  "since",
  "finished",
  "error",
  "payload",
  "id",
  "key",
  "correlation",
  "tenant",
  "worker",
  "priority",
  "parent",
] as const;

const SPANS = ["5m", "10m", "30m", "1h", "6h", "24h", "7d"];

/** The maximum number of suggested values of one kind. */
const MOST = 8;

function typedFilter(field: string, value: string): string {
  return [field, /\s/.test(value) ? `"${value.replaceAll('"', "")}"` : value].join(":");
}

/** Values that contain the typed text, those that begin with it first. */
function matching(values: readonly string[], typed: string): string[] {
  const text = typed.toLowerCase();
  return values
    .filter((value) => value.toLowerCase().includes(text))
    .toSorted((one, other) => Number(other.toLowerCase().startsWith(text)) - Number(one.toLowerCase().startsWith(text)))
    .slice(0, MOST);
}

/** The suggestions for the text in the filter box: fields, the values of a field, or possible meanings of a word without a field. */
export function suggest(text: string, known: KnownValues): Suggestion[] {
  const last = /(?:[^\s"]|"[^"]*"?)*$/.exec(text)?.[0] ?? "";
  const before = text.slice(0, text.length - last.length);
  const colon = last.indexOf(":");
  if (colon > 0) return valuesOf(before, last.slice(0, colon).toLowerCase(), last.slice(colon + 1).replaceAll('"', ""), known);
  if (last === "") return /\S/.test(text) ? [] : fieldsLike(before, "");
  return [...fieldsLike(before, last), ...meanings(before, last, known)];
}

/** Whether Enter chooses the first suggestion. It does not if the text is already complete, or if the first suggestion is a field. */
export function isFirstChosen(text: string, suggestions: readonly Suggestion[]): boolean {
  const [first] = suggestions;
  if (first === undefined || text.trim() === "") return false;
  return first.kind !== "field" && !suggestions.some((each) => each.text === text);
}

function fieldsLike(before: string, typed: string): Suggestion[] {
  return FIELDS.filter((field) => field.startsWith(typed.toLowerCase())).map((field) => {
    const name = field === "payload" ? "payload." : `${field}:`;
    return { key: `field ${field}`, text: before + name, label: name, hint: words.list.fields[field], kind: "field" };
  });
}

function valuesOf(before: string, field: string, typed: string, known: KnownValues): Suggestion[] {
  if (field === "id") return /^\d{1,19}$/.test(typed) ? [openJob(typed)] : [];
  const values = field === "state" ? JOB_STATES : field === "since" || field === "finished" ? SPANS : known[field as FilterName];
  return matching(values ?? [], typed).map((value) => ({
    key: `value ${value}`,
    text: before + typedFilter(field, value),
    label: value,
    hint: words.list.filters[field as FilterName],
    kind: "filter",
  }));
}

function openJob(id: string): Suggestion {
  return { key: "job", text: "", label: words.list.openJob(id), hint: "", kind: "job", id };
}

/** The possible meanings of a word without a field. */
function meanings(before: string, word: string, known: KnownValues): Suggestion[] {
  const found: Suggestion[] = /^\d{1,19}$/.test(word) && before.trim() === "" ? [openJob(word)] : [];
  for (const [field, values] of [
    ["state", JOB_STATES],
    ["task", known.task ?? []],
    ["queue", known.queue ?? []],
  ] as const) {
    for (const value of matching(values, word)) {
      found.push({
        key: `${field} ${value}`,
        text: before + typedFilter(field, value),
        label: value,
        hint: words.list.filters[field],
        kind: "filter",
      });
    }
  }
  // An error may consist of several words: all words that belong to no field are combined.
  const free = /(?:^|\s)((?:[^\s:"]+\s+)*)$/.exec(before)?.[1] ?? "";
  const phrase = free + word;
  const rest = before.slice(0, before.length - free.length);
  found.push({
    key: "error",
    text: rest + typedFilter("error", phrase),
    label: words.list.errorContains(phrase),
    hint: words.list.fields.error,
    kind: "filter",
  });
  for (const field of ["key", "correlation"] as const) {
    found.push({
      key: field,
      text: before + typedFilter(field, word),
      label: words.list.fieldIs(words.list.filters[field], word),
      hint: "",
      kind: "filter",
    });
  }
  return found;
}
