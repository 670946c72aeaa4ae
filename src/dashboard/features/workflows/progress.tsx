/** The share of ended steps or jobs, as a bar and in percent. */
export function Progress({ percent, label }: { percent: number; label: string }) {
  return (
    <span className="run-progress">
      <span
        className="progress"
        role="progressbar"
        aria-label={label}
        aria-valuenow={percent}
        aria-valuemin={0}
        aria-valuemax={100}
      >
        <span style={{ "--share": `${percent}%` } as React.CSSProperties} />
      </span>
      <span className="number">{Math.floor(percent)}%</span>
    </span>
  );
}
