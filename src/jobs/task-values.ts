declare global {
  namespace Legwork {
    /**
     * The types of the values that middleware adds to the context of tasks (`context.values`). Empty until a project declares it: `declare global {
     * namespace Legwork { interface Values { mailer: Mailer } } }`.
     */
    // oxlint-disable-next-line typescript/no-empty-object-type, typescript/no-empty-interface -- projects add to it
    interface Values {}
  }
}

/** The values that middleware adds to the context of tasks. */
// oxlint-disable-next-line typescript/no-generated-empty-object-type -- it is empty only here
export type TaskValues = Readonly<Legwork.Values>;

/** Some of the values that middleware adds to the context of tasks. */
// oxlint-disable-next-line typescript/no-generated-empty-object-type -- it is empty only here
export type SomeTaskValues = Partial<TaskValues>;
