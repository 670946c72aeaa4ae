import { code, prose, table } from "./markdown.ts";

/** The labels of metrics, by the first pattern that matches the name. They are listed here, because a metric without samples shows no labels. */
const LABELS: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^legwork_(?:jobs|attempts|job)_/, ["task"]],
  [/^legwork_queue_/, ["queue", "state"]],
  [/^legwork_limit_/, ["scope", "name", "kind", "key"]],
  [/^legwork_schedule_/, ["schedule"]],
  [/^legwork_(?:alerts_open|database_findings)$/, ["severity"]],
  [/^legwork_host_/, ["host"]],
  [/^legwork_worker_heap_bytes$/, ["host", "pid"]],
  [/^legwork_metrics_age_seconds$/, ["step"]],
];

/** Describes Legwork's metrics from the output of `/metrics`. Throws if a sample has a label that is not listed above. */
export function metrics(exposition: string): string {
  const help = new Map([...exposition.matchAll(/^# HELP (legwork_\w+) (.*)$/gm)].map(([, name = "", text = ""]) => [name, text]));
  const type = new Map(
    [...exposition.matchAll(/^# TYPE (legwork_\w+) (\w+)$/gm)].map(([, name = "", text = ""]) => [name, text]),
  );
  const labelsOf = (name: string): readonly string[] => LABELS.find(([pattern]) => pattern.test(name))?.[1] ?? [];
  for (const [, name = "", labels = ""] of exposition.matchAll(/^(legwork_\w+)\{(.*)\} /gm)) {
    for (const [, label = ""] of labels.matchAll(/(\w+)="/g))
      if (label !== "le" && !labelsOf(name).includes(label))
        throw new Error(`scripts/reference/metrics.ts does not list the label ${label} of ${name}.`);
  }
  return table(
    ["metric", "type", "labels", "meaning"],
    [...help].map(([name, text]) => [code(name), type.get(name) ?? "", labelsOf(name).map(code).join(" "), prose(text)]),
  );
}
