import "./sparkline.css";

const WIDTH = 96;
const HEIGHT = 24;

/** A small line chart without axes that shows the trend of a number. Screen readers skip it, because the number and its label are next to it. */
export function Sparkline({ values, color }: { values: readonly (number | null)[]; color: string }) {
  if (values.filter((value) => value !== null).length < 2) return <span className="sparkline" aria-hidden="true" />;
  const highest = Math.max(1e-9, ...values.map((value) => value ?? 0));
  const x = (at: number): string => ((at / (values.length - 1)) * WIDTH).toFixed(1);
  const y = (value: number): string => (HEIGHT - 1.5 - (value / highest) * (HEIGHT - 3)).toFixed(1);
  let path = "";
  for (const [at, value] of values.entries()) {
    if (value === null) continue;
    path += `${path === "" || (values[at - 1] ?? null) === null ? "M" : "L"}${x(at)} ${y(value)}`;
  }
  return (
    <svg className="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <path d={path} stroke={`var(${color})`} />
    </svg>
  );
}
