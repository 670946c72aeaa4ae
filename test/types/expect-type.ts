// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the only way to compare two types
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Compiles if the value has exactly this type: `expectType<string>()(value)`. */
export function expectType<Expected>() {
  return <Actual>(
    ..._value: Equal<Expected, Actual> extends true ? [value: Actual] : [value: Actual, butExpected: Expected]
  ): void => undefined;
}

/** Compiles if the types are the same. */
export function expectSame<Expected, Actual>(..._are: Equal<Expected, Actual> extends true ? [] : [never]): void {}
