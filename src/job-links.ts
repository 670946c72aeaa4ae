/** The parts of a job that a link to another system may contain. */
const LINK_VALUES = ["jobId", "traceId", "correlationId", "task", "queue", "tenant"] as const;

/** Links on a job's page to other systems: names, and URLs with placeholders such as {traceId}. */
export type JobLinks = Readonly<Record<string, string>>;

const PLACEHOLDER = /\{(\w+)\}/g;

/** What is wrong with the URL of a link; undefined if nothing is. */
export function linkProblem(url: string): string | undefined {
  if (!/^https?:\/\/[^/?#{}]/.test(url)) return "expected a URL such as https://tempo.example/trace/{traceId}";
  const unknown = [...url.matchAll(PLACEHOLDER)].find(([, name]) => !(LINK_VALUES as readonly string[]).includes(name ?? ""));
  if (unknown === undefined) return undefined;
  return `${unknown[0]} is not a value of a job; use ${LINK_VALUES.map((name) => `{${name}}`).join(", ")}`;
}

/** The links of a job: those whose values the job has. */
export function linksOf(
  links: JobLinks,
  values: Readonly<Record<(typeof LINK_VALUES)[number], string | null>>,
): { name: string; url: string }[] {
  return Object.entries(links).flatMap(([name, template]) => {
    let isComplete = true;
    const url = template.replaceAll(PLACEHOLDER, (_all, key: (typeof LINK_VALUES)[number]) => {
      const value = values[key];
      isComplete &&= value !== null;
      return encodeURIComponent(value ?? "");
    });
    return isComplete ? [{ name, url }] : [];
  });
}
