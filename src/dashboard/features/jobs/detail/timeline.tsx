import { Time } from "../../../components/time/time.tsx";
import { usePreferences } from "../../../components/preferences.ts";
import { useNow } from "../../../components/time/clock.ts";
import { formatDuration, formatExact, isFinite } from "../../../components/time/format-times.ts";
import { isFinished, State } from "../../../components/state-badge.tsx";
import type { Attempt, Job, Usual } from "./use-job.ts";

/** One part of a job's life, from and to (ms). */
interface Span {
  key: string;
  kind: "waits" | "running" | "completed" | "failed";
  from: number;
  to: number;
  words: string;
}

/** A job's life as a strip: how long it waited, and every attempt; below it the same in words and numbers. */
export function Timeline({ job, usual }: { job: Job; usual: Usual | null | undefined }) {
  const now = useNow();
  const attempts = job.attemptList;
  const spans = spansOf(job, now);
  const start = Date.parse(job.createdAt);
  const end = Math.max(...spans.map(({ to }) => to), start + 1);
  const share = (at: number): number => (100 * (at - start)) / (end - start);
  return (
    <div className="timeline">
      {spans.length > 0 && (
        <div className="timeline-strip" role="img" aria-label={spans.map(({ words }) => words).join(", ")}>
          {spans.map((span) => (
            <span
              key={span.key}
              data-kind={span.kind}
              title={span.words}
              style={{ left: `${share(span.from)}%`, width: `max(3px, ${share(span.to) - share(span.from)}%)` }}
            />
          ))}
        </div>
      )}
      <div className="table-scroll" role="region" aria-label="Attempts" tabIndex={0}>
        <table className="table">
          <thead>
            <tr>
              <th scope="col">What</th>
              <th scope="col">When</th>
              <th scope="col" className="end">
                Waited
              </th>
              <th scope="col" className="end">
                Ran
              </th>
              <th scope="col">Outcome</th>
            </tr>
          </thead>
          <tbody>
            <tr>
              <td>Enqueued</td>
              <td>
                <ClockTime at={job.createdAt} />
              </td>
              <td className="end">–</td>
              <td className="end">–</td>
              <td className="muted">
                {isFinite(job.runAt) && Date.parse(job.runAt) - start > 1_000 && attempts.length <= 1 ? (
                  <>
                    not before <ClockTime at={job.runAt} />
                  </>
                ) : (
                  ""
                )}
              </td>
            </tr>
            {attempts.map((attempt, index) => (
              <AttemptRow
                key={`${attempt.attempt} ${attempt.startedAt}`}
                attempt={attempt}
                due={dueOf(job, index)}
                usual={usual}
                now={now}
              />
            ))}
            <Outlook job={job} />
          </tbody>
        </table>
      </div>
      {usual !== undefined && <p className="muted timeline-usual">{usualWords(usual)}</p>}
    </div>
  );
}

function AttemptRow({
  attempt,
  due,
  usual,
  now,
}: {
  attempt: Attempt;
  due: number | undefined;
  usual: Usual | null | undefined;
  now: number;
}) {
  const started = attempt.startedAt === null ? undefined : Date.parse(attempt.startedAt);
  const ended = attempt.finishedAt === null ? now : Date.parse(attempt.finishedAt);
  const waited = due === undefined || started === undefined ? undefined : Math.max(0, (started - due) / 1_000);
  const ran = started === undefined ? undefined : Math.max(0, (ended - started) / 1_000);
  return (
    <tr>
      <td>Attempt {attempt.attempt}</td>
      <td>
        <ClockTime at={attempt.startedAt} />
      </td>
      <td className="end">
        <Measured seconds={waited} most={usual?.waitP95 ?? undefined} />
      </td>
      <td className="end">
        <Measured seconds={ran} most={usual?.runP95 ?? undefined} />
      </td>
      <td>
        <State state={attempt.state} />
        {attempt.errorMessage !== null && (
          <span className="timeline-error" title={attempt.errorMessage}>
            {attempt.errorName ?? attempt.errorMessage.split("\n")[0]}
          </span>
        )}
      </td>
    </tr>
  );
}

/** The time of day, to the millisecond, and the day where it is another one; exactly when on hover. */
function ClockTime({ at }: { at: string | null }) {
  const { zone } = usePreferences();
  const now = useNow(60_000);
  if (!isFinite(at)) return <span className="muted">–</span>;
  const date = new Date(at);
  const timeZone = zone === "utc" ? { timeZone: "UTC" } : {};
  const day = date.toLocaleDateString("en-GB", { ...timeZone, day: "numeric", month: "short" });
  const isToday = day === new Date(now).toLocaleDateString("en-GB", { ...timeZone, day: "numeric", month: "short" });
  return (
    <time dateTime={at} title={formatExact(at, zone)} className="timeline-time">
      {isToday ? "" : `${day}, `}
      {date.toLocaleTimeString("en-GB", {
        ...timeZone,
        hour: "2-digit",
        minute: "2-digit",
        second: "2-digit",
        fractionalSecondDigits: 3,
      })}
    </time>
  );
}

/** How long, and whether that is longer than 95 of 100 of the task's. */
function Measured({ seconds, most }: { seconds: number | undefined; most: number | undefined }) {
  if (seconds === undefined) return <span className="muted">–</span>;
  const isLong = most !== undefined && seconds > most * 1.05 && seconds - most > 0.05;
  return (
    <span
      className={isLong ? "number timeline-long" : "number"}
      title={isLong ? `Longer than usual: 95 % take less than ${formatDuration(most)}.` : undefined}
    >
      {formatDuration(seconds)}
      {isLong && <span className="visually-hidden"> (longer than usual)</span>}
    </span>
  );
}

/** What comes next, or how it ended where that is not an attempt's own end. */
function Outlook({ job }: { job: Job }) {
  if (job.state === "completed" || job.state === "running") return null;
  // Its last attempt has said it.
  if (job.state === "failed" && job.attemptList.at(-1)?.state === "failed") return null;
  if (job.finishedAt !== null) {
    return (
      <tr>
        <td>Ended</td>
        <td>
          <ClockTime at={job.finishedAt} />
        </td>
        <td className="end">–</td>
        <td className="end">–</td>
        <td>
          <State state={job.state} />
        </td>
      </tr>
    );
  }
  return (
    <tr>
      <td>{job.attempts === 0 ? "To start" : "Next attempt"}</td>
      <td>
        {isFinite(job.runAt) ? (
          <>
            {job.state === "scheduled" || job.state === "retrying" ? "" : "since "}
            <Time at={job.runAt} />
          </>
        ) : (
          <span className="muted">not known yet</span>
        )}
      </td>
      <td className="end">–</td>
      <td className="end">–</td>
      <td>
        <State state={job.state} />
      </td>
    </tr>
  );
}

/** Since when an attempt could have started (ms); undefined where the history does not say. */
function dueOf(job: Job, index: number): number | undefined {
  const created = Date.parse(job.createdAt);
  const before = job.attemptList[index - 1];
  if (before !== undefined) return before.retryAt === null ? undefined : Date.parse(before.retryAt);
  // The first time it was due is known as long as there was no second one.
  if (job.attemptList.length > 1 || !isFinite(job.runAt)) return undefined;
  return Math.max(created, Date.parse(job.runAt));
}

function spansOf(job: Job, now: number): Span[] {
  const spans: Span[] = [];
  let from = Date.parse(job.createdAt);
  for (const attempt of job.attemptList) {
    if (attempt.startedAt === null) continue;
    const started = Date.parse(attempt.startedAt);
    const ended = attempt.finishedAt === null ? now : Date.parse(attempt.finishedAt);
    if (started > from) {
      spans.push({
        key: `before ${attempt.attempt} ${started}`,
        kind: "waits",
        from,
        to: started,
        words: `waited ${formatDuration((started - from) / 1_000)}`,
      });
    }
    spans.push({
      key: `${attempt.attempt} ${started}`,
      kind: attempt.state,
      from: started,
      to: Math.max(ended, started),
      words: `attempt ${attempt.attempt} ${attempt.state} ${attempt.state === "running" ? "for" : "after"} ${formatDuration((ended - started) / 1_000)}`,
    });
    from = Math.max(from, ended);
  }
  const end = job.finishedAt === null ? now : Date.parse(job.finishedAt);
  if (job.state !== "running" && end > from && !(isFinished(job.state) && job.attemptList.length > 0)) {
    spans.push({ key: "end", kind: "waits", from, to: end, words: `waited ${formatDuration((end - from) / 1_000)}` });
  }
  return spans;
}

function usualWords(usual: Usual | null): string {
  if (usual === null || usual.runP50 === null) return "Nothing to compare with: this task has not run in the last day.";
  const waits = usual.waitP95 === null ? "" : `; 95 % wait less than ${formatDuration(usual.waitP95)}`;
  return `Usual for this task, over the last day: half of the attempts run less than ${formatDuration(usual.runP50)}, 95 % less than ${formatDuration(usual.runP95)}${waits}.`;
}
