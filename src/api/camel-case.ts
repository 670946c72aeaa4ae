type CamelCase<Name extends string> = Name extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<CamelCase<Tail>>}` : Name;

type SnakeCased<Row> = Extract<keyof Row, `${string}_${string}`>;

/** A row as the TypeScript API shows it: its columns in camelCase. What is in them is the user's, and stays as it is. */
export type CamelCased<Row> = { [Column in keyof Row as CamelCase<Column & string>]: Row[Column] };

/**
 * Renames the columns of a row. They are listed, each with its new name, and the compiler sees to it that none is left out: guessing by the underscore would also
 * rename what a payload holds.
 */
export function camelCased<Row extends object>(
  names: Readonly<{ [Column in SnakeCased<Row>]-?: CamelCase<Column> }>,
): (row: Row) => CamelCased<Row> {
  const renamed = new Map<string, string>(Object.entries(names));
  return (row) =>
    Object.fromEntries(Object.entries(row).map(([column, value]) => [renamed.get(column) ?? column, value])) as CamelCased<Row>;
}
