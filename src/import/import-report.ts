import { IMPORT_STATES, type ImportState, type SourceJob, type SourceQueue } from "./source.ts";

/** The number of example jobs that are listed for each reason. */
const EXAMPLES = 5;

/** The number of jobs with one name, by the states that they will have in Legwork. */
export interface NameReport extends Record<ImportState, number> {
  readonly name: string;
  readonly queue: string;
  /** Null if no task has this name. */
  task: string | null;
  /** The number of jobs that stay in the source system. */
  left: number;
}

export interface ScheduleReport {
  readonly from: string;
  /** Its name in Legwork. */
  readonly name: string;
  readonly task: string | null;
  readonly when: string;
  /** The reason why the schedule stays in the source system; null if it is imported. */
  readonly obstacle: string | null;
}

/** The report of an import or of its preview. */
export interface ImportReport {
  readonly from: string;
  /** False for a preview. */
  readonly applied: boolean;
  readonly names: readonly NameReport[];
  readonly schedules: readonly ScheduleReport[];
  /** How options are mapped, or why they are not. */
  readonly options: readonly { readonly name: string; readonly option: string; readonly text: string; readonly jobs: number }[];
  /** The jobs that stay in the source system. */
  readonly left: readonly {
    readonly name: string;
    readonly reason: string;
    readonly jobs: number;
    readonly examples: readonly string[];
  }[];
  readonly queues: readonly Omit<SourceQueue, "notes">[];
  /** Tasks that are paused because they replace a paused queue. */
  readonly pausedTasks: readonly string[];
  /** Names without a task. */
  readonly unmapped: readonly { readonly name: string; readonly count: number }[];
  /** The number of jobs that were imported, or would be. */
  readonly jobs: number;
  /** The number of jobs that an interrupted import had taken and that this import enqueued. */
  readonly resumed: number;
}

/** Counts the jobs, options and obstacles that the import finds. */
export class Tally {
  readonly #names = new Map<string, NameReport>();
  readonly #options = new Map<string, { name: string; option: string; text: string; jobs: number }>();
  readonly #left = new Map<string, { name: string; reason: string; jobs: number; examples: string[] }>();
  readonly #unmapped = new Map<string, number>();
  readonly schedules: ScheduleReport[] = [];
  readonly pausedTasks = new Set<string>();
  jobs = 0;
  resumed = 0;

  imported({ names: [name = ""], queue, state, notes }: SourceJob, task: string): void {
    this.#of(name, queue, task)[state]++;
    this.jobs++;
    for (const note of notes) this.note(name, note.option, note.text);
  }

  left({ names: [name = ""], queue, sourceId }: SourceJob, reason: string, task: string | null): void {
    this.#of(name, queue, task).left++;
    this.#leave(name, reason, sourceId);
  }

  #leave(name: string, reason: string, id: string): void {
    const key = JSON.stringify([name, reason]);
    const row = this.#left.get(key) ?? { name, reason, jobs: 0, examples: [] };
    this.#left.set(key, row);
    row.jobs++;
    if (row.examples.length < EXAMPLES) row.examples.push(id);
  }

  note(name: string, option: string, text: string, jobs = 1): void {
    const key = JSON.stringify([name, option, text]);
    const row = this.#options.get(key) ?? { name, option, text, jobs: 0 };
    this.#options.set(key, row);
    row.jobs += jobs;
  }

  unmapped(name: string): void {
    this.#unmapped.set(name, (this.#unmapped.get(name) ?? 0) + 1);
  }

  report(from: string, applied: boolean, queues: readonly SourceQueue[]): ImportReport {
    return {
      from,
      applied,
      names: sorted(this.#names, ({ name }) => [name]),
      schedules: this.schedules,
      options: sorted(this.#options, ({ name, option, text }) => [name, option, text]),
      left: sorted(this.#left, ({ name, reason }) => [name, reason]),
      queues: queues.map(({ name, active, ended, isPaused }) => ({ name, active, ended, isPaused })),
      pausedTasks: [...this.pausedTasks],
      unmapped: [...this.#unmapped].map(([name, count]) => ({ name, count })),
      jobs: this.jobs,
      resumed: this.resumed,
    };
  }

  #of(name: string, queue: string, task: string | null): NameReport {
    let row = this.#names.get(name);
    if (row === undefined) {
      const zeros = Object.fromEntries(IMPORT_STATES.map((state) => [state, 0])) as Record<ImportState, number>;
      row = { name, queue, task, ...zeros, left: 0 };
      this.#names.set(name, row);
    }
    return row;
  }
}

/** Sorts rows, so that a preview and the import have the same order, although they process jobs in different orders. */
function sorted<Row>(rows: ReadonlyMap<string, Row>, by: (row: Row) => string[]): Row[] {
  return [...rows.values()].toSorted((a, b) => (by(a).join("\0") < by(b).join("\0") ? -1 : 1));
}
