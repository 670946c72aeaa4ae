import type { Task as PlainTask, WorkerEvents, WorkerPool } from "graphile-worker";
import { capped, type Fetched, limitOf, type Statement, unprepared, withLimit, withTasks } from "./graphile/fetch-statement.ts";
import type { Send } from "./graphile/intercept-queries.ts";
import { TASK_IDS } from "./graphile/jobs-table.ts";

interface Queue {
  readonly name: string;
  readonly slots: number;
  /** The jobs that were fetched here and have not ended. */
  readonly jobs: Set<string>;
  /** How many more jobs a fetch in progress may return. */
  reserved: number;
}

/**
 * Limits how many jobs of a queue one worker has at a time, either running, or fetched and about to run. A fetch excludes the tasks of queues without
 * a free slot, and takes at most as many jobs of each other queue as it has free slots. So no fetched job waits for a slot, and no queue prevents
 * jobs of other queues from being fetched. When a slot of a full queue becomes free, the worker fetches immediately.
 */
export class QueueSlots {
  readonly #queues: readonly Queue[];
  readonly #byTask: ReadonlyMap<string, Queue>;
  readonly #byJob = new Map<string, Queue>();
  /** The queue of each task, by task id, for each list of ids that graphile-worker passes. It creates a new list when it reads the ids again. */
  readonly #byId = new WeakMap<object, Promise<ReadonlyMap<number, Queue>>>();
  #pool: WorkerPool | undefined;

  /** `queues` has the queue of each task. */
  constructor(slots: Readonly<Record<string, number>>, queues: ReadonlyMap<string, string>) {
    this.#queues = Object.entries(slots).map(([name, count]) => ({ name, slots: count, jobs: new Set<string>(), reserved: 0 }));
    const byName = new Map(this.#queues.map((queue) => [queue.name, queue]));
    this.#byTask = new Map([...queues].flatMap(([task, name]) => (byName.has(name) ? [[task, byName.get(name)!]] : [])));
  }

  /** Starts over with a new runner, which holds no jobs. */
  attachTo(events: WorkerEvents): void {
    this.#byJob.clear();
    for (const queue of this.#queues) {
      queue.jobs.clear();
      queue.reserved = 0;
    }
    events.once("pool:create", ({ workerPool }) => (this.#pool = workerPool));
    events.on("localQueue:returnJobs", ({ jobs }) => {
      for (const { id } of jobs) this.#release(id);
    });
  }

  /** Makes a task release its slot when its attempt has ended. Tasks in queues without slots are returned unchanged. */
  wrap(name: string, task: PlainTask): PlainTask {
    if (!this.#byTask.has(name)) return task;
    return async (payload, helpers) => {
      try {
        return await task(payload, helpers);
      } finally {
        this.#release(helpers.job.id);
      }
    };
  }

  /** Sends graphile-worker's fetch statement in a form that returns no more jobs of a queue than it has free slots. */
  async fetch(statement: Statement, send: Send): Promise<Fetched> {
    const ids = statement.values[1] as readonly number[];
    const byId = await this.#queuesOf(ids, send);
    const wanted = limitOf(statement);
    const rows: Record<string, unknown>[] = [];
    // Fetch again if a queue became full, because its jobs may have hidden those of other queues.
    for (;;) {
      const left = wanted - rows.length;
      const free = new Map(this.#queues.map((queue) => [queue, queue.slots - queue.jobs.size - queue.reserved]));
      const tasks = ids.filter((id) => (free.get(byId.get(id)!) ?? 1) > 0);
      if (left <= 0 || tasks.length === 0) break;
      const scarce = [...free].filter(([, count]) => count > 0 && count < left);
      let changed = withLimit(tasks.length === ids.length ? statement : unprepared(withTasks(statement, tasks)), left);
      if (scarce.length > 0) {
        const limits = tasks.flatMap((id) => {
          const index = scarce.findIndex(([queue]) => queue === byId.get(id));
          return index === -1 ? [] : [{ task: id, group: index, count: scarce[index]![1] }];
        });
        changed = capped(changed, limits);
      }
      const reserved = [...free].map(([queue, count]) => ({ queue, count: Math.max(0, Math.min(count, left)) }));
      for (const { queue, count } of reserved) queue.reserved += count;
      let fetched: Fetched;
      try {
        fetched = (await send(changed)) as Fetched;
      } finally {
        for (const { queue, count } of reserved) queue.reserved -= count;
      }
      for (const row of fetched.rows) {
        const queue = byId.get(Number(row.task_id));
        if (queue === undefined) continue;
        queue.jobs.add(String(row.id));
        this.#byJob.set(String(row.id), queue);
      }
      rows.push(...fetched.rows);
      if (!scarce.some(([queue]) => queue.jobs.size >= queue.slots)) break;
    }
    return { rows };
  }

  #release(jobId: string): void {
    const queue = this.#byJob.get(jobId);
    if (queue === undefined) return;
    const wasFull = queue.jobs.size >= queue.slots;
    this.#byJob.delete(jobId);
    queue.jobs.delete(jobId);
    // Wait until the worker's own slot for this job is free too.
    if (wasFull) setImmediate(() => this.#pool?.nudge(1));
  }

  async #queuesOf(ids: readonly number[], send: Send): Promise<ReadonlyMap<number, Queue>> {
    const known = this.#byId.get(ids);
    if (known !== undefined) return await known;
    const read = async (): Promise<ReadonlyMap<number, Queue>> => {
      const { rows } = (await send({ name: "legwork_task_ids", text: TASK_IDS, values: [[...this.#byTask.keys()]] })) as Fetched;
      return new Map(rows.map(({ id, identifier }) => [Number(id), this.#byTask.get(String(identifier))!]));
    };
    const reading = read();
    this.#byId.set(ids, reading);
    reading.catch(() => this.#byId.delete(ids));
    return await reading;
  }
}
