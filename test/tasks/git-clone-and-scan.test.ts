import { randomBytes } from "node:crypto";
import { readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { answerAsGit } from "../support/git-http.ts";
import { gitRepository } from "../support/git-repository.ts";
import { httpServer } from "../support/http-server.ts";
import { configure, endedJob, type EndedJob, runJob, TASKS } from "../support/job.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver } from "../support/worker.ts";

const database = testDatabase();

beforeEach(async () => configure({ TMPDIR: await directoryOf({}), LEGWORK_ALLOWED_ADDRESSES: "127.0.0.1" }));

/** Where the git server redirects requests for /moved. */
let movedTo = "";

/** Serves a repository over HTTP with git's own program. Other paths redirect, or never respond. */
async function gitServer(repository: string): Promise<{ url: string; asked: { path: string | undefined }[] }> {
  return await httpServer((response, { method, path, headers, body }) => {
    const { pathname } = new URL(path ?? "", "http://x");
    if (pathname.startsWith("/slow")) return;
    if (pathname.startsWith("/moved")) {
      response.writeHead(302, { location: movedTo }).end();
      return;
    }
    if (pathname.startsWith("/private") && headers.authorization !== `Basic ${btoa("bot:t0ken-t0ken")}`) {
      response.writeHead(401, { "www-authenticate": "Basic" }).end();
      return;
    }
    const asked = { method, path: path?.replace(/^\/(private|stall)/, ""), headers, body };
    const output = answerAsGit(response, asked, repository);
    // The response begins a pack and never ends it.
    if (pathname.startsWith("/stall") && method === "POST" && output.length > 100_000)
      response.write(output.subarray(0, 100_000));
    else response.end(output);
  });
}

async function scan(payload: Record<string, unknown>): Promise<EndedJob> {
  const job = await runJob(database, "git/clone-and-scan", payload);
  expect(await clones()).toEqual([]);
  return job;
}

async function clones(): Promise<string[]> {
  return (await readdir(tmpdir())).filter((name) => name.startsWith("legwork-clone-"));
}

const FILES = { "PLAN.md": "- [ ] One\n", "src/a.ts": "let a;\n", "src/b.ts": "let b;\n", "package.json": "{}" };

describe("git/clone-and-scan", () => {
  it("lists a repository's contents, over HTTP with a password that is not shown", async () => {
    const { url } = await gitServer(await gitRepository(FILES));
    configure({ LEGWORK_GIT_PROTOCOLS: "http" });
    const job = await scan({
      url: url.replace("http://", "http://bot:t0ken-t0ken@") + "/private/.git",
      matching: ["PLAN.md", "**/*.ts"],
      texts: true,
    });
    expect(job).toMatchObject({
      state: "completed",
      result: {
        repository: `${url}/private/.git`,
        commit: expect.stringMatching(/^[0-9a-f]{40}$/),
        files: 4,
        bytes: 26,
        matches: [
          { path: "PLAN.md", bytes: 10, text: "- [ ] One\n" },
          { path: "src/a.ts", bytes: 7, text: "let a;\n" },
          { path: "src/b.ts", bytes: 7, text: "let b;\n" },
        ],
        truncated: false,
      },
    });
    expect(job.result.kinds).toHaveLength(3);
    expect(job.result.kinds[0]).toEqual({ extension: ".ts", files: 2, bytes: 14 });
    const { rows } = await database.pool.query("select j::text from legwork.jobs j where id = $1", [job.id]);
    expect(rows[0].j).not.toContain("t0ken");
    const wrong = await scan({ url: url.replace("http://", "http://bot:wr0ng-wr0ng@") + "/private/.git" });
    expect(wrong.error).toContain("cannot be cloned");
    expect(wrong.error).not.toContain("wr0ng");
  });

  it("clones only with allowed protocols, and local repositories only from allowed folders", async () => {
    const repository = await gitRepository(FILES);
    expect((await scan({ url: `file://${repository}` })).error).toContain("the protocol file is not allowed");
    expect((await scan({ url: "http://127.0.0.1:8089/x" })).error).toContain("the protocol http is not allowed");
    expect((await scan({ url: "ext::sh -c 'touch pwned'" })).error).toContain("is not a valid repository URL");
    for (const url of [
      "https://ann:hunter/22secret@host/x.git",
      "https://ann:80/hunter22secret@host/x.git",
      "https://hunter22/secret@host/x.git",
      "https://ann:hunter#22secret@host/x.git",
      "https://host/x.git?private_token=hunter22secret",
      "ext::https://ann:hunter/22secret@host",
    ]) {
      const { error } = await scan({ url });
      expect(error).toMatch(/^This is not a valid repository URL/);
      expect(error).not.toMatch(/hunter|22secret|ann\b/);
    }
    configure({ LEGWORK_GIT_PROTOCOLS: "https,file" });
    expect((await scan({ url: `file://${repository}` })).error).toContain("No folder is allowed");
    configure({ LEGWORK_ALLOWED_FOLDERS: await directoryOf({}) });
    expect((await scan({ url: repository })).error).toContain("LEGWORK_ALLOWED_FOLDERS does not allow");
    configure({ LEGWORK_ALLOWED_FOLDERS: repository });
    expect((await scan({ url: repository })).result.files).toBe(4);
  });

  it("contacts only public addresses, whether by name, by ssh or after a redirect", async () => {
    const { url, asked } = await gitServer(await gitRepository(FILES));
    configure({ LEGWORK_GIT_PROTOCOLS: "http,https,ssh" });
    const elsewhere = await gitServer(await gitRepository(FILES));
    movedTo = `${elsewhere.url}/.git/info/refs?service=git-upload-pack`;
    expect((await scan({ url: `${url}/moved` })).error).toContain("cannot be cloned");
    expect(elsewhere.asked).toEqual([]);
    const before = asked.length;
    configure({ LEGWORK_ALLOWED_ADDRESSES: undefined });
    for (const address of [
      `${url}/.git`,
      url.replace("127.0.0.1", "localhost"),
      "ssh://git@localhost/x",
      "git@127.0.0.1:x",
      "https://[::1]/x",
    ]) {
      expect((await scan({ url: address })).error).toContain("not public (loopback)");
    }
    expect(asked).toHaveLength(before);
    // git connects to the host name that was checked.
    configure({ LEGWORK_ALLOWED_ADDRESSES: "localhost" });
    expect((await scan({ url: `${url.replace("127.0.0.1", "localhost")}/.git` })).result.files).toBe(4);
  });

  it("stops a clone that takes too long or becomes too large, and leaves no files", async () => {
    const { url } = await gitServer(await gitRepository({ large: randomBytes(500_000).toString("base64") }));
    configure({ LEGWORK_GIT_PROTOCOLS: "http" });
    expect((await scan({ url: `${url}/slow`, timeout: "300ms" })).error).toContain("git took longer than 300 ms");
    // git passes on whole packets of up to 65,520 bytes, so at least a third of the first 100,000 bytes is on disk.
    const large = await scan({ url: `${url}/stall/.git`, maxBytes: 20_000 });
    expect(large.error).toContain("is larger than 20000 bytes");
  });

  it("ends git when its job is cancelled", async () => {
    const { url, asked } = await gitServer(await gitRepository(FILES));
    configure({ LEGWORK_GIT_PROTOCOLS: "http" });
    await workerOver(database.url, [TASKS]);
    const { rows } = await database.pool.query("select legwork.enqueue('git/clone-and-scan', $1) as id", [
      JSON.stringify({ url: `${url}/slow` }),
    ]);
    await until("git has connected", () => asked.length > 0);
    await database.pool.query("select legwork.cancel_job($1)", [rows[0].id]);
    await until("the job ends", () => endedJob(database, rows[0].id));
    await until("no clones are left", async () => (await clones()).length === 0);
  });

  it("runs no code from a repository", async () => {
    const repository = await gitRepository({
      ...FILES,
      ".gitattributes": "* filter=evil\n",
      ".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = ext::touch pwned\n',
    });
    await writeFile(join(repository, ".git/hooks/post-checkout"), `#!/bin/sh\ntouch ${tmpdir()}/pwned\n`, { mode: 0o755 });
    configure({ LEGWORK_GIT_PROTOCOLS: "file", LEGWORK_ALLOWED_FOLDERS: repository });
    expect((await scan({ url: repository })).result.files).toBe(6);
    expect(await readdir(tmpdir())).not.toContain("pwned");
  });
});
