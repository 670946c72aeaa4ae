import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

// node scripts/check.ts types rest: runs check:types and check:rest of package.json at the same time, because the spell checker and the checks after
// it each use only one core. Prints the output of scripts that fail, and exits with 1 if one of them fails.

const ROOT = fileURLToPath(new URL("..", import.meta.url));

async function run(name: string): Promise<boolean> {
  return await new Promise((resolve) => {
    execFile("npm", ["run", "--silent", `check:${name}`], { cwd: ROOT, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      if (error !== null) console.error(`npm run check:${name} failed:\n${stdout}${stderr}`);
      resolve(error === null);
    });
  });
}

const passed = await Promise.all(process.argv.slice(2).map(run));
if (passed.includes(false)) process.exitCode = 1;
