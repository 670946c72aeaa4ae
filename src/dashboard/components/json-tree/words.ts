import { counted, formatNumber } from "../../../wording.ts";

/** The JSON viewer. */
export const words = {
  find: "Find",
  findIn: (what: string) => `Find in ${what}`,
  hits: (at: number, count: number, isCapped: boolean) =>
    count === 0 ? "No matches" : `${formatNumber(at)} of ${formatNumber(count)}${isCapped ? " or more" : ""}`,
  nextHit: "Next match",
  expandAll: "Expand all",
  collapseAll: "Collapse all",
  copy: (what: string) => `Copy ${what}`,
  download: (what: string) => `Download ${what}`,
  copyPath: "Copy path",
  copyValue: "Copy value",
  copied: "Copied",
  filterJobs: "Filter jobs by this value",
  fields: (count: number) => counted(count, "field"),
  items: (count: number) => counted(count, "item"),
  more: (count: number) => `Show ${formatNumber(count)} more`,
  wholeText: (characters: number) => `Show all ${formatNumber(characters)} characters`,
  whole: "(whole value)",

  // Differences
  path: "Path",
  before: "Before",
  after: "Now",
  absent: "absent",
  noDifference: "The values are equal.",
  moreDifferences: (count: number) => `Only the first ${formatNumber(count)} differences are listed.`,
} as const;
