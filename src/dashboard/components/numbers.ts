import { formatNumber } from "../../wording.ts";

const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** A count with thousands separators, exact at any size; a dash for null. */
export function formatCount(count: number | string | bigint | null | undefined): string {
  if (count === null || count === undefined) return "–";
  return formatNumber(count);
}

/** A count in short form (1.2K, 3.4M), for axes and narrow places. */
export function formatShort(count: number | string): string {
  return SHORT.format(Number(count));
}

/** A share in percent: 0.034 becomes 3.4%. */
export function formatShare(share: number | null | undefined): string {
  if (share === null || share === undefined) return "–";
  return `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)}%`;
}

/** Bytes in units of 1,024, with the names that Postgres and the alerts use. */
export function formatBytes(bytes: number | string | null | undefined): string {
  if (bytes === null || bytes === undefined) return "–";
  let rest = Number(bytes);
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (Math.abs(rest) < 1_024) return `${rest.toFixed(unit === "B" || rest >= 100 ? 0 : 1)} ${unit}`;
    rest /= 1_024;
  }
  return `${rest.toFixed(1)} TB`;
}
