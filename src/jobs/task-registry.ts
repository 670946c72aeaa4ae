declare global {
  namespace GraphileWorker {
    /**
     * The payload type of each task, by name. Empty until a project declares it, as `legwork types` does; graphile-worker's own functions use it too.
     */
    // oxlint-disable-next-line typescript/no-empty-object-type, typescript/no-empty-interface -- projects add to it
    interface Tasks {}
    /** The result type of each task whose definition has a result schema, by name. */
    // oxlint-disable-next-line typescript/no-empty-object-type, typescript/no-empty-interface -- projects add to it
    interface Results {}
  }
}

/** The name of a task: one of the registry, or any string while the registry is empty. */
// oxlint-disable-next-line typescript/no-redundant-type-constituents -- it is empty only here
export type TaskName = [keyof GraphileWorker.Tasks] extends [never] ? string : keyof GraphileWorker.Tasks & string;

/** The payload type of a task in the registry; `unknown` for a task that is not registered. */
export type PayloadOf<Name extends string> = Name extends keyof GraphileWorker.Tasks ? GraphileWorker.Tasks[Name] : unknown;

/** The result type of a task in the registry; `unknown` for a task without a result schema. */
export type ResultOf<Name extends string> = Name extends keyof GraphileWorker.Results ? GraphileWorker.Results[Name] : unknown;

/** A payload and further parameters. A payload that may be `{}` can be omitted. */
export type WithPayload<Payload, Rest extends readonly unknown[]> = {} extends Payload
  ? [payload?: Payload, ...rest: Rest]
  : [payload: Payload, ...rest: Rest];
