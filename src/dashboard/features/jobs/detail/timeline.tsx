import { Time } from "../../../components/time/time.tsx";
import { usePreferences } from "../../../components/preferences.ts";
import { useNow } from "../../../components/time/clock.ts";
import { formatDuration, formatExact, isFinite } from "../../../components/time/format-times.ts";
import { isFinished, State } from "../../../components/state-badge.tsx";
import type { Attempt, Job, Usual } from "./use-job.ts";
import { Sentence } from "../../../components/sentence.tsx";
import { common } from "../../../components/words.ts";
import { words } from "../words.ts";

/** One part of a job's history, from and to (ms). */
interface Span {
  key: string;
  kind: "waits" | "running" | "completed" | "failed";
  from: number;
  to: number;
  words: string;
}

/** A job's history as a strip of waits and attempts; below it the same as a table. */
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
        <div className="timeline-strip" role="img" aria-label={spans.map((span) => span.words).join(", ")}>
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
      <div className="table-scroll" role="region" aria-label={common.attempts} tabIndex={0}>
        <table className="table">
          <thead>
            <tr>
              <th scope="col">{words.detail.event}</th>
              <th scope="col">{words.detail.time}</th>
              <th scope="col" className="end">
                {words.detail.wait}
              </th>
              <th scope="col" className="end">
                {words.detail.run}
              </th>
              <th scope="col">{common.result}</th>
            </tr>
          </thead>
          <tbody>
            <tr>
              <td>{common.enqueued}</td>
              <td>
                <ClockTime at={job.createdAt} />
              </td>
              <td className="end">–</td>
              <td className="end">–</td>
              <td className="muted">
                {isFinite(job.runAt) && Date.parse(job.runAt) - start > 1_000 && attempts.length <= 1 ? (
                  <Sentence text={words.detail.notBefore} slots={{ at: <ClockTime at={job.runAt} /> }} />
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
      <td>{words.detail.attempt(attempt.attempt)}</td>
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

/** The time of day to the millisecond, with the date unless it is today, and the exact time as a tooltip. */
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

/** A duration, marked if it exceeds the task's p95. */
function Measured({ seconds, most }: { seconds: number | undefined; most: number | undefined }) {
  if (seconds === undefined) return <span className="muted">–</span>;
  const isLong = most !== undefined && seconds > most * 1.05 && seconds - most > 0.05;
  return (
    <span
      className={isLong ? "number timeline-long" : "number"}
      title={isLong ? words.detail.longerThanUsual(formatDuration(most)) : undefined}
    >
      {formatDuration(seconds)}
      {isLong && <span className="visually-hidden">{words.detail.longer}</span>}
    </span>
  );
}

/** The next event, or the job's end if it is not the end of an attempt. */
function Outlook({ job }: { job: Job }) {
  if (job.state === "completed" || job.state === "running") return null;
  // The row of its last attempt shows it.
  if (job.state === "failed" && job.attemptList.at(-1)?.state === "failed") return null;
  if (job.finishedAt !== null) {
    return (
      <tr>
        <td>{common.ended}</td>
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
      <td>{job.attempts === 0 ? words.detail.firstAttempt : words.detail.nextAttempt}</td>
      <td>
        {isFinite(job.runAt) ? (
          job.state === "scheduled" || job.state === "retrying" ? (
            <Time at={job.runAt} />
          ) : (
            <Sentence text={words.detail.due} slots={{ at: <Time at={job.runAt} /> }} />
          )
        ) : (
          <span className="muted">{words.detail.notKnownYet}</span>
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

/** When an attempt became due (ms); undefined where the history does not record it. */
function dueOf(job: Job, index: number): number | undefined {
  const created = Date.parse(job.createdAt);
  const before = job.attemptList[index - 1];
  if (before !== undefined) return before.retryAt === null ? undefined : Date.parse(before.retryAt);
  // The first due time is known only until a second attempt replaces it.
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
        words: words.detail.waited(formatDuration((started - from) / 1_000)),
      });
    }
    spans.push({
      key: `${attempt.attempt} ${started}`,
      kind: attempt.state,
      from: started,
      to: Math.max(ended, started),
      words: words.detail.ran(attempt.attempt, attempt.state, formatDuration((ended - started) / 1_000)),
    });
    from = Math.max(from, ended);
  }
  const end = job.finishedAt === null ? now : Date.parse(job.finishedAt);
  if (job.state !== "running" && end > from && !(isFinished(job.state) && job.attemptList.length > 0)) {
    spans.push({ key: "end", kind: "waits", from, to: end, words: words.detail.waited(formatDuration((end - from) / 1_000)) });
  }
  return spans;
}

function usualWords(usual: Usual | null): string {
  if (usual === null || usual.runP50 === null) return words.detail.noTypical;
  const wait = usual.waitP95 === null ? undefined : formatDuration(usual.waitP95);
  return words.detail.typical(formatDuration(usual.runP50), formatDuration(usual.runP95), wait);
}
