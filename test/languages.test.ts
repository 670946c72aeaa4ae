import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { testDatabase } from "./support/database.ts";
import { directoryOf } from "./support/worker.ts";

const database = testDatabase();
const run = promisify(execFile);

/** Debian's Python, which has Debian's psycopg, even if another Python comes first on PATH. */
const PYTHON = "/usr/bin/python3";
const JDBC = "/usr/share/java/postgresql.jar";
const PGX = "github.com/jackc/pgx/v5@v5.5.5";

interface Language {
  /** The language of the page's code block. */
  fence: string;
  file: string;
  /** Throws if something is missing. */
  check: () => Promise<unknown>;
  command: (file: string) => [program: string, parameters: string[]];
  /** Other files that the program needs. */
  files?: Record<string, string>;
}

const LANGUAGES: Record<string, Language> = {
  python: {
    fence: "python",
    file: "enqueue.py",
    check: () => run(PYTHON, ["-c", "import psycopg"]),
    command: (file) => [PYTHON, [file]],
  },
  ruby: { fence: "ruby", file: "enqueue.rb", check: () => run("ruby", ["-rpg", "-e", ""]), command: (file) => ["ruby", [file]] },
  php: {
    fence: "php",
    file: "enqueue.php",
    check: () => run("php", ["-r", "exit(extension_loaded('pdo_pgsql') ? 0 : 1);"]),
    command: (file) => ["php", [file]],
  },
  java: {
    fence: "java",
    file: "Enqueue.java",
    check: () => run("javac", ["-cp", JDBC, "-version"]).then(() => expect(existsSync(JDBC)).toBe(true)),
    command: (file) => ["java", ["-cp", JDBC, file]],
  },
  go: {
    fence: "go",
    file: "main.go",
    // From the module cache: the test downloads nothing.
    check: async () => {
      const { stdout } = await run("go", ["env", "GOMODCACHE"]);
      expect(existsSync(`${stdout.trim()}/${PGX}`)).toBe(true);
    },
    command: () => ["sh", ["-c", "go mod tidy 2>&1 && go run ."]],
    files: { "go.mod": `module enqueue\n\ngo 1.19\n\nrequire ${PGX.replace("@", " ")}\n` },
  },
};

for (const [name, { fence, file, check, command, files = {} }] of Object.entries(LANGUAGES)) {
  const reason = await check().then(
    () => undefined,
    (error: Error) => error.message.split("\n")[0],
  );
  const because = reason === undefined ? "" : ` (skipped, because it is not installed here: ${reason})`;
  it.skipIf(reason !== undefined)(
    `the program of docs/guides/languages/${name}.md enqueues jobs in its transaction${because}`,
    async () => {
      await database.pool.query("create table if not exists users (id bigint, email text); truncate users");
      await database.pool.query(`select legwork_private.register_tasks('[{"name": "notify/welcome"}]')`);
      const page = await readFile(new URL(`../docs/guides/languages/${name}.md`, import.meta.url), "utf8");
      const [, program = ""] = new RegExp(`^\`\`\`${fence}\n([\\s\\S]+?)^\`\`\``, "m").exec(page) ?? [];
      const directory = await directoryOf(files);
      await writeFile(`${directory}/${file}`, program);
      const [executable, parameters] = command(file);
      const { stdout } = await run(executable, parameters, {
        cwd: directory,
        env: { ...process.env, DATABASE_URL: database.url, GOPROXY: "off", GOFLAGS: "-mod=mod" },
      });
      const lines = stdout.trim().split("\n");
      expect(lines[0]).toMatch(/^\d+$/);
      expect(stdout).toMatch(/LW404[\s\S]+Tasks are known once a worker/);
      expect(lines.at(-1)).toBe("3");
      const { rows } = await database.pool.query(
        "select payload, json_typeof(payload) as type, users.email from legwork.jobs left join users on users.id = (payload ->> 'userId')::int order by jobs.id desc limit 4",
      );
      expect(rows.map(({ type }) => type)).toEqual(["object", "object", "object", "object"]);
      expect(rows[3]).toEqual({ payload: { userId: 7 }, type: "object", email: "ann@example.com" });
    },
  );
}
