declare global {
  namespace GraphileWorker {
    /**
     * The payload of each task by its name, for the compiler. Empty until a project declares it, which `legwork types` does; graphile-worker's own
     * functions go by it as well.
     */
    // oxlint-disable-next-line typescript/no-empty-object-type, typescript/no-empty-interface -- projects add to it
    interface Tasks {}
  }
}

/** The name of a task: one of the registry, or any string while the registry is empty. */
// oxlint-disable-next-line typescript/no-redundant-type-constituents -- it is empty here only
export type TaskName = [keyof GraphileWorker.Tasks] extends [never] ? string : keyof GraphileWorker.Tasks & string;

/** What the registry says that a task takes; `unknown` for a task that it does not have. */
export type PayloadOf<Name extends string> = Name extends keyof GraphileWorker.Tasks ? GraphileWorker.Tasks[Name] : unknown;

/** A payload and what may follow it. A payload that may be `{}` can be left out. */
export type WithPayload<Payload, Rest extends readonly unknown[]> = {} extends Payload
  ? [payload?: Payload, ...rest: Rest]
  : [payload: Payload, ...rest: Rest];
