import { Fragment, type ReactNode } from "react";

/** The names in braces of a text: `"at" | "name"` for `"{name}, {at}"`; none for a text that is put together at run time. */
type SlotsOf<Text extends string> = Text extends `${string}{${infer Name}}${infer Rest}` ? Name | SlotsOf<Rest> : never;

/**
 * A sentence with elements in it: each `{name}` of the text is replaced by what `slots` has under that name. So sentences with links and times stay
 * whole in the words files. Values from users go into `slots` too, never into the text.
 */
export function Sentence<Text extends string>({
  text,
  slots,
}: {
  text: Text;
  slots: Readonly<Record<SlotsOf<Text>, ReactNode>>;
}): ReactNode {
  return text.split(/\{(\w+)\}/).map((part, index) => (
    // oxlint-disable-next-line react/no-array-index-key -- parts of one text
    <Fragment key={index}>{index % 2 === 0 ? part : (slots as Readonly<Record<string, ReactNode>>)[part]}</Fragment>
  ));
}
