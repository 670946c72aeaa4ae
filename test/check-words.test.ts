import { expect, it } from "vitest";
import { check } from "../scripts/check-words.ts";

const found = (file: string, source: string): string[] => check(file, source).map(({ line, name }) => `${line} ${name}`);

it("odd words are found in comments, strings and JSX, and not in code", () => {
  const source = [
    "const whoever = 1; // nobody reads it", // a name is code, a comment is not
    'throw new Error("It is no job.");',
    "const text = `${count} job(s)`; format(s);",
    "const page = <p>This is told of everybody.</p>;",
  ];
  expect(found("a.tsx", source.join("\n"))).toEqual(["1 nobody", "2 is no", "3 (s)", "4 everybody", "4 tell of"]);
});

it("odd words are found in SQL comments and messages, and not in names", () => {
  const source = "-- Made anew.\nselect nobody from he;\ncomment on table t is 'Somebody''s rows.';";
  expect(found("a.sql", source)).toEqual(["1 anew", "3 somebody"]);
});

it("odd words are found in Markdown, and not in its code", () => {
  expect(found("a.md", "A file of yours.\n\n```ts\nnobody\n```\n\nCall `whoever()`; there is no limit.")).toEqual(["1 of yours"]);
});
