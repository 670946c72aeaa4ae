import { randomUUID } from "node:crypto";
import type { ImportSource, OptionNote, SourceJob, SourceQueue, SourceSchedule, Unit, Whereabouts } from "../source.ts";
import { findFlows, type Flow } from "./flows.ts";
import { type BullmqJob, importId, mapBullmqJob, type Place } from "./map-job.ts";
import { mapScheduler } from "./map-scheduler.ts";
import { connectRedis, type RedisClient } from "./redis-client.ts";
import { TAKE, TAKE_SCHEDULER } from "./scripts.ts";

/** The number of jobs in a batch. Redis is blocked while a batch is taken. */
const BATCH = 500;

/** The score of a delayed job is its time in milliseconds multiplied by this factor, plus a counter. */
const DELAY_FACTOR = 4_096;

const FIELDS = ["name", "data", "opts", "timestamp", "atm", "attemptsMade", "priority", "parentKey", "deid", "rjk"] as const;

type Command = (string | number)[];

/** A waiting job whose hash has not been read yet. */
interface Waiting {
  readonly id: string;
  readonly place: Place;
  readonly dueAt: number | undefined;
}

/** The data that is needed to take a job out of BullMQ. */
interface Handle {
  readonly key: string;
  readonly prefix: string;
  readonly id: string;
  readonly timestamp: string;
  readonly state: Place;
  readonly mark: string;
  /** The number of children that the job waits for. */
  readonly children?: number;
}

/** The waiting jobs and job schedulers of BullMQ 5 and 6 in Redis. `apply` is false for a preview, which writes nothing. */
export async function openBullmq(url: string, prefix: string, apply: boolean): Promise<BullmqSource> {
  const client = await connectRedis(url);
  const key = `${prefix}:legwork-import`;
  if (apply) await client.call("SET", key, randomUUID(), "NX");
  const server = await client.call("GET", key);
  return new BullmqSource(client, prefix, typeof server === "string" ? server : "");
}

export class BullmqSource implements ImportSource {
  readonly label = "BullMQ";
  readonly source: string;
  readonly server: string;
  readonly isSameDatabase = false;
  readonly #client: RedisClient;
  readonly #prefix: string;
  /** The key of the hash that records which jobs were taken, until they have been enqueued. */
  readonly #taken: string;
  readonly #handles = new Map<string, Handle>();
  readonly #schedulers = new Map<string, { queue: string; id: string }>();
  #queues: readonly SourceQueue[] = [];
  /** Schedulers are moved before jobs, so a scheduler that is still in Redis while jobs are moved stays there. */
  #isMoving = false;

  constructor(client: RedisClient, prefix: string, server: string) {
    this.#client = client;
    this.#prefix = prefix;
    this.#taken = `${prefix}:legwork-imported`;
    this.source = `bullmq:${prefix}`;
    this.server = server;
  }

  async queues(): Promise<SourceQueue[]> {
    const names = new Set<string>();
    const escaped = this.#prefix.replaceAll(/[*?[\]\\^]/g, String.raw`\$&`);
    let cursor = "0";
    do {
      const [next, keys] = (await this.#client.call("SCAN", cursor, "MATCH", `${escaped}:*:meta`, "COUNT", 1_000)) as [
        string,
        string[],
      ];
      for (const key of keys) names.add(key.slice(this.#prefix.length + 1, -":meta".length));
      cursor = next;
    } while (cursor !== "0");
    const found: SourceQueue[] = [];
    // A key with a colon belongs to a job with the id `meta`: the names of queues contain no colon.
    for (const name of [...names].filter((one) => !one.includes(":")).toSorted()) {
      const at = this.#at(name);
      const [active, completed, failed, meta] = await this.#pipeline([
        ["LLEN", `${at}active`],
        ["ZCARD", `${at}completed`],
        ["ZCARD", `${at}failed`],
        ["HMGET", `${at}meta`, "paused", "concurrency", "max", "duration"],
      ]);
      const [paused, concurrency, max, duration] = meta as (string | null)[];
      const notes: OptionNote[] = [];
      if (typeof concurrency === "string")
        notes.push({ option: "concurrency", text: `is the task's setting: concurrency: { limit: ${concurrency} }` });
      if (typeof max === "string")
        notes.push({
          option: "rate limit",
          text: `is the task's setting: rateLimit: { limit: ${max}, per: "${duration ?? 1_000}ms" }`,
        });
      found.push({
        name,
        active: Number(active),
        ended: Number(completed) + Number(failed),
        isPaused: typeof paused === "string",
        notes,
      });
    }
    this.#queues = found;
    return found;
  }

  async schedules(queues: readonly string[]): Promise<SourceSchedule[]> {
    const found: SourceSchedule[] = [];
    for (const queue of queues) {
      const at = this.#at(queue);
      const rows = (await this.#client.call("ZRANGE", `${at}repeat`, 0, -1, "WITHSCORES")) as string[];
      for (let index = 0; index < rows.length; index += 2) {
        const [id = "", score = ""] = rows.slice(index, index + 2);
        const [fields, job] = await this.#pipeline([
          ["HGETALL", `${at}repeat:${id}`],
          ["HGETALL", `${at}repeat:${id}:${score}`],
        ]);
        const schedule = mapScheduler({ queue, id, next: Number(score), fields: pairs(fields), job: pairs(job) });
        this.#schedulers.set(schedule.id, { queue, id });
        found.push(schedule);
      }
    }
    return found;
  }

  async *batches(queues: readonly string[]): AsyncIterable<readonly Unit[]> {
    this.#handles.clear();
    const now = Date.now();
    const waiting = new Map<string, Map<string, Waiting>>();
    for (const queue of queues) waiting.set(queue, await this.#waiting(queue));
    /** Children of flows that were not found through their parents. */
    const children = new Map<string, BullmqJob>();
    const parents: BullmqJob[] = [];
    for (const queue of queues) {
      const isPaused = this.#queues.some((one) => one.name === queue && one.isPaused);
      const staying = await this.#stayingSchedulers(queue);
      const all = [...(waiting.get(queue)?.values() ?? [])];
      for (let start = 0; start < all.length; start += BATCH) {
        const units: SourceJob[][] = [];
        for (const job of await this.#read(queue, all.slice(start, start + BATCH))) {
          const isScheduled = job.schedulerId !== undefined && staying.has(job.schedulerId);
          if (job.place === "waiting-children") parents.push(job);
          else if (job.parentKey !== undefined) children.set(this.#key(job), job);
          // The next job of a scheduler is not imported separately, because Legwork's schedule enqueues it.
          else if (!isScheduled || job.place !== "delayed")
            units.push([this.#map(job, { isPaused, now, obstacle: staying.get(job.schedulerId ?? "") })]);
        }
        if (units.length > 0) yield units;
      }
    }
    const flows = await findFlows({
      parents,
      children,
      keyOf: (job) => this.#key(job),
      childrenOf: async (job) => {
        const [open, processed, failed] = await this.#pipeline([
          ["SMEMBERS", `${this.#key(job)}:dependencies`],
          ["HLEN", `${this.#key(job)}:processed`],
          ["HLEN", `${this.#key(job)}:failed`],
        ]);
        return { open: open as string[], ended: Number(processed) + Number(failed) };
      },
      exists: async (key) => Number(await this.#client.call("EXISTS", key)) === 1,
    });
    for (let start = 0; start < flows.length; start += BATCH) {
      yield flows.slice(start, start + BATCH).map((flow) => this.#mapFlow(flow, now));
    }
  }

  async lock(units: readonly Unit[]): Promise<readonly Unit[]> {
    return await Promise.resolve(units);
  }

  async take(units: readonly Unit[]): Promise<ReadonlySet<string>> {
    if (units.length === 0) return new Set();
    const handles = units.map((unit) => unit.map(({ id }) => this.#handles.get(id)));
    return new Set((await this.#client.call("EVAL", TAKE, 0, this.#taken, JSON.stringify(handles))) as string[]);
  }

  async takeSchedule({ id: mark }: Pick<SourceSchedule, "id">): Promise<boolean> {
    const scheduler = this.#schedulers.get(mark);
    if (scheduler === undefined) return false;
    return (await this.#client.call("EVAL", TAKE_SCHEDULER, 0, this.#taken, this.#at(scheduler.queue), scheduler.id, mark)) === 1;
  }

  async settle(ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await this.#client.call("HDEL", this.#taken, ...ids);
  }

  async settleAll(): Promise<void> {
    this.#isMoving = true;
    await this.#client.call("DEL", this.#taken);
  }

  async find(ids: readonly string[]): Promise<ReadonlyMap<string, Whereabouts>> {
    if (ids.length === 0) return new Map();
    const marks = (await this.#client.call("HMGET", this.#taken, ...ids)) as (string | null)[];
    return new Map(ids.map((id, index) => [id, marks[index] === null ? "there" : "taken"]));
  }

  async close(): Promise<void> {
    await Promise.resolve(this.#client.disconnect());
  }

  /** The ids of a queue's waiting jobs in the order in which BullMQ would run them. */
  async #waiting(queue: string): Promise<Map<string, Waiting>> {
    const at = this.#at(queue);
    const [wait, paused, prioritized, delayed, parents] = (await this.#pipeline([
      ["LRANGE", `${at}wait`, 0, -1],
      ["LRANGE", `${at}paused`, 0, -1],
      ["ZRANGE", `${at}prioritized`, 0, -1],
      ["ZRANGE", `${at}delayed`, 0, -1, "WITHSCORES"],
      ["ZRANGE", `${at}waiting-children`, 0, -1],
    ])) as string[][];
    const found = new Map<string, Waiting>();
    const add = (ids: readonly string[] | undefined, place: Place): void => {
      for (const id of ids ?? []) found.set(id, { id, place, dueAt: undefined });
    };
    // BullMQ takes the next job from the end of a list.
    add(wait?.toReversed(), "wait");
    add(paused?.toReversed(), "paused");
    add(prioritized, "prioritized");
    for (let index = 0; index < (delayed?.length ?? 0); index += 2) {
      const [id = "", score = "0"] = delayed?.slice(index, index + 2) ?? [];
      found.set(id, { id, place: "delayed", dueAt: Math.floor(Number(score) / DELAY_FACTOR) });
    }
    add(parents, "waiting-children");
    return found;
  }

  async #read(queue: string, waiting: readonly Waiting[]): Promise<BullmqJob[]> {
    const at = this.#at(queue);
    const rows = await this.#pipeline(waiting.map(({ id }) => ["HMGET", `${at}${id}`, ...FIELDS]));
    return waiting.flatMap(({ id, place, dueAt }, index) => {
      const values = rows[index] as (string | null)[];
      const field = (name: (typeof FIELDS)[number]): string | undefined => values[FIELDS.indexOf(name)] ?? undefined;
      const [name, timestamp] = [field("name"), field("timestamp")];
      // Skips the markers of older versions, and jobs that have ended since the ids were read.
      if (name === undefined || timestamp === undefined) return [];
      const opts = record(field("opts"));
      const job: BullmqJob = {
        queue,
        id,
        place,
        dueAt,
        name,
        timestamp,
        opts,
        data: field("data") ?? "{}",
        attemptsMade: Number(field("atm") ?? field("attemptsMade") ?? 0),
        priority: Number(field("priority") ?? opts["priority"] ?? 0),
        parentKey: field("parentKey"),
        deduplicationId: field("deid"),
        schedulerId: field("rjk"),
      };
      return [job];
    });
  }

  /** The schedulers that are still in Redis, each with the reason why its jobs stay there; undefined if the scheduler is still to be imported. */
  async #stayingSchedulers(queue: string): Promise<Map<string, string | undefined>> {
    const schedules = await this.schedules([queue]);
    return new Map(
      schedules.map(({ id, obstacle }) => [
        this.#schedulers.get(id)?.id ?? "",
        this.#isMoving || obstacle !== undefined
          ? "Its job scheduler stays in BullMQ, and creates the next job when this one runs."
          : undefined,
      ]),
    );
  }

  #map(job: BullmqJob, surroundings: Parameters<typeof mapBullmqJob>[1], children?: number): SourceJob {
    const mark = importId(job);
    const handle = {
      key: this.#key(job),
      prefix: this.#at(job.queue),
      id: job.id,
      timestamp: job.timestamp,
      state: job.place,
      mark,
    };
    this.#handles.set(mark, children === undefined ? handle : { ...handle, children });
    return mapBullmqJob(job, surroundings);
  }

  #mapFlow({ jobs, obstacle }: Flow, now: number): SourceJob[] {
    return jobs.map(({ job, dependsOn }) => {
      const isPaused = this.#queues.some((queue) => queue.name === job.queue && queue.isPaused);
      return this.#map(
        job,
        { isPaused, now, obstacle, ...(dependsOn.length === 0 ? {} : { dependsOn }) },
        job.place === "waiting-children" ? dependsOn.length : undefined,
      );
    });
  }

  #at(queue: string): string {
    return `${this.#prefix}:${queue}:`;
  }

  #key({ queue, id }: { queue: string; id: string }): string {
    return `${this.#at(queue)}${id}`;
  }

  async #pipeline(commands: Command[]): Promise<unknown[]> {
    if (commands.length === 0) return [];
    const results =
      (await this.#client.pipeline(commands.map(([name, ...rest]) => [String(name).toLowerCase(), ...rest])).exec()) ?? [];
    return results.map(([error, value]) => {
      if (error !== null) throw error;
      return value;
    });
  }
}

/** Converts the fields of a hash, which ioredis returns as a list for `call`. */
function pairs(value: unknown): Record<string, string> {
  if (!Array.isArray(value)) return (value ?? {}) as Record<string, string>;
  const found: Record<string, string> = {};
  for (let index = 0; index < value.length; index += 2) found[String(value[index])] = String(value[index + 1]);
  return found;
}

function record(text: string | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text ?? "{}");
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
