import { Fragment, type ReactNode } from "react";

/** The names in braces in a text: `"at" | "name"` for `"{name}, {at}"`; `never` for a text that is only known at run time. */
type SlotsOf<Text extends string> = Text extends `${string}{${infer Name}}${infer Rest}` ? Name | SlotsOf<Rest> : never;

/**
 * A sentence that contains elements: each `{name}` in the text is replaced by the slot with that name. Sentences with links and times can therefore
 * be written in full in the words files. Values from users also belong in `slots`, never in the text.
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
