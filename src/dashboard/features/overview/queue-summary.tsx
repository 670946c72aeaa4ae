import type { Json } from "../../../contract/rows.ts";
import type { limitTotalSchema } from "../../../contract/statistics.ts";
import { useQuery } from "@tanstack/react-query";
import { Pause, Play } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { useMay } from "../../api/me.ts";
import { rest } from "../../api/request.ts";
import { formatCount } from "../../components/numbers.ts";
import { Duration, Time } from "../../components/time/time.tsx";
import { Button } from "../../components/button.tsx";
import { Empty, Failure, Loading } from "../../components/notice.tsx";
import { Card } from "../../components/page.tsx";
import { type LiveQueue, useLiveQueues } from "../../api/live-queues.ts";
import { PauseQueue, useResumeQueue } from "./pause-queue.tsx";
import { pathTo } from "../../router/links.ts";
import { Sentence } from "../../components/sentence.tsx";
import { common } from "../../components/words.ts";
import { Table } from "../../components/table/table.tsx";
import { words } from "./words.ts";

/** How many queues are shown here; the page Queues lists all. */
const SHOWN = 8;

/** A row of GET /statistics/limits. */
type LimitUse = Json<typeof limitTotalSchema>;

/** Paused queues come first, then those with jobs, then the rest by name. */
function activity({ pausedAt, running, pending, blocked, paused }: LiveQueue): number {
  return pausedAt !== null ? 2 : running + pending + blocked + paused > 0 ? 1 : 0;
}

/** The current state of the queues: job counts, the oldest job, limit usage, and pauses. */
export function Queues() {
  const { queues, error } = useLiveQueues();
  const everybody = useMay("viewer", { everybody: true });
  const limits = useQuery({
    queryKey: ["limits-in-use"],
    queryFn: async ({ signal }) => (await rest<{ items: LimitUse[] }>("GET", "/statistics/limits", undefined, signal)).items,
    enabled: everybody,
    refetchInterval: 10_000,
  });
  const shown = (queues ?? []).toSorted((a, b) => activity(b) - activity(a)).slice(0, SHOWN);
  return (
    <Card title={words.queues} actions={<Link href="/queues">{words.allQueues}</Link>}>
      {error !== undefined && <Failure error={error} />}
      {queues === undefined && error === undefined && <Loading rows={4} />}
      {queues?.length === 0 && <Empty title={words.noQueues}>{words.noQueuesHint}</Empty>}
      {shown.length > 0 && <QueueTable queues={shown} limits={everybody ? (limits.data ?? []) : undefined} />}
      {queues !== undefined && queues.length > shown.length && (
        <p className="attention-rest">
          <Link href="/queues">{words.moreQueues(queues.length - shown.length)}</Link>
        </p>
      )}
    </Card>
  );
}

function QueueTable({ queues, limits }: { queues: readonly LiveQueue[]; limits: readonly LimitUse[] | undefined }) {
  const may = useMay("operator", { everybody: true });
  const [pausing, setPausing] = useState<string>();
  const resume = useResumeQueue();
  return (
    <>
      <Table
        label={common.tableOf(words.queues)}
        rows={queues}
        rowKey={({ name }) => name}
        columns={[
          {
            id: "queue",
            head: common.queue,
            kind: "name",
            render: ({ name }) => <Link href={pathTo("/queues", name)}>{name}</Link>,
          },
          { id: "running", head: common.running, kind: "number", render: ({ running }) => formatCount(running) },
          { id: "pending", head: common.pending, kind: "number", render: ({ pending }) => formatCount(pending) },
          {
            id: "oldest",
            head: words.oldestColumn,
            kind: "number",
            render: ({ pending, oldest }) => (pending > 0 ? <Duration from={oldest} /> : <span className="muted">–</span>),
          },
          {
            id: "held",
            head: common.blockedOrPaused,
            kind: "number",
            render: ({ blocked, paused }) => formatCount(blocked + paused),
          },
          { id: "later", head: common.scheduled, kind: "number", render: ({ later }) => formatCount(later) },
          limits !== undefined && {
            id: "limits",
            head: words.limitUsage,
            render: ({ name: queue }) => (
              <Limits limits={limits.filter(({ scope, name }) => scope === "queue" && name === queue)} />
            ),
          },
          {
            id: "pause",
            head: common.pause,
            render: (queue) => (
              <div className="queue-pause">
                {queue.pausedAt !== null && (
                  <span className="queue-paused truncate" title={queue.pauseReason ?? undefined}>
                    <Pause aria-hidden="true" /> <Time at={queue.pausedAt} />
                    {words.pausedBy(queue.pausedBy, queue.pauseReason)}
                  </span>
                )}
                {may &&
                  (queue.pausedAt === null ? (
                    <Button
                      kind="quiet"
                      icon={<Pause aria-hidden="true" />}
                      aria-label={words.pauseQueue(queue.name)}
                      onClick={() => setPausing(queue.name)}
                    >
                      {common.pause}
                    </Button>
                  ) : (
                    <Button
                      kind="quiet"
                      icon={<Play aria-hidden="true" />}
                      aria-label={words.resumeQueue(queue.name)}
                      busy={resume.isPending && resume.variables === queue.name}
                      onClick={() => resume.mutate(queue.name)}
                    >
                      {common.resume}
                    </Button>
                  ))}
                {!may && queue.pausedAt === null && <span className="muted">–</span>}
              </div>
            ),
          },
        ]}
      />
      {pausing !== undefined && <PauseQueue name={pausing} onClose={() => setPausing(undefined)} />}
    </>
  );
}

function Limits({ limits }: { limits: readonly LimitUse[] }) {
  if (limits.length === 0) return <span className="muted">{common.none}</span>;
  return (
    <ul className="limits">
      {limits.map(({ kind, key, max, used, keys, fullKeys: full }) => {
        const isKeyed = key !== null;
        const isFull = isKeyed ? full !== "0" : Number(used) >= max;
        return (
          <li key={`${kind} ${key}`} data-full={isFull}>
            {isKeyed ? (
              <Sentence text={words.keyedUsage(keys, full, max)} slots={{ key: <code>{key}</code> }} />
            ) : (
              common.of(formatCount(used), formatCount(max))
            )}{" "}
            <span className="muted">{words.limitKinds[kind]}</span>
            {isFull && <strong> {words.full}</strong>}
          </li>
        );
      })}
    </ul>
  );
}
