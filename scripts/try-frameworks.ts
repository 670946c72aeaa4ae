// Installs the frameworks of test/adoption/frameworks/package.json and tries the recipes of docs/guides/frameworks.md in them.
// Run `npm run package` first. Needs access to the npm registry. To try only some of them, pass their names as parameters: `npm run try-frameworks --
// express`.
import { tryFrameworks } from "./adoption/frameworks.ts";
import { Matrix } from "./adoption/matrix.ts";

const matrix = new Matrix();
await tryFrameworks(matrix.check, process.argv.slice(2));
console.log(`\n${matrix.summary}`);
process.exitCode = matrix.isFine ? 0 : 1;
