/**
 * Matches the parts of a statement that can hide a semicolon: strings (with backslashes after E), quoted names, dollar-quoted bodies and comments;
 * and the words that open and close the body of `begin atomic … end`.
 */
const TOKENS =
  /\bE'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|(\$(?:[A-Za-z_]\w*)?\$)[\s\S]*?\1|--[^\n]*|\/\*[\s\S]*?\*\/|\bbegin\s+atomic\b|\bcase\b|\bend\b|;/gi;

/** Splits a SQL file into statements, without the comments and empty lines before them. */
export function splitSql(sql: string): string[] {
  const statements: string[] = [];
  let from = 0;
  let depth = 0;
  for (const match of sql.matchAll(TOKENS)) {
    const token = match[0].toLowerCase();
    if (token.startsWith("begin") || (token === "case" && depth > 0)) depth += 1;
    else if (token === "end" && depth > 0) depth -= 1;
    else if (token === ";" && depth === 0) {
      statements.push(withoutLeadingComments(sql.slice(from, match.index)));
      from = match.index + 1;
    }
  }
  return [...statements, withoutLeadingComments(sql.slice(from))].filter((statement) => statement !== "");
}

function withoutLeadingComments(statement: string): string {
  return statement.replace(/^(?:\s+|--[^\n]*\n?|\/\*[\s\S]*?\*\/)+/, "").trimEnd();
}
