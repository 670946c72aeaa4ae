import { describe, expect, it } from "vitest";
import { loadConfig } from "../src/config.ts";
import { directoryOf } from "./support/worker.ts";

const FILE = `export default { port: 1, concurrency: 1, crontab: "from-file", shutdownTimeout: "2s" };`;

describe("configuration", () => {
  it("comes from flags, then the environment, then the file, then the defaults", async () => {
    const directory = await directoryOf({ "legwork.config.ts": FILE });
    const { config } = await loadConfig({ port: 3 }, { LEGWORK_PORT: "2", LEGWORK_CONCURRENCY: "2" }, directory);
    expect(config).toMatchObject({
      port: 3,
      concurrency: 2,
      crontab: "from-file",
      dataDir: ".legwork",
      host: "127.0.0.1",
      shutdownTimeout: 2_000,
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it("treats an empty variable as unset, and reads several tasks from one variable", async () => {
    const directory = await directoryOf({});
    const { config } = await loadConfig({}, { DATABASE_URL: "", LEGWORK_TASKS: "a,b" }, directory);
    expect(config.databaseUrl).toBeUndefined();
    expect(config.tasks).toEqual(["a", "b"]);
  });

  it.each([
    ["", 0],
    ["2", 2],
    ["10.0.0.0/8", ["10.0.0.0/8"]],
    ["192.0.2.7,2001:db8::/32", ["192.0.2.7", "2001:db8::/32"]],
  ])("trusts the given number of proxies, or those at the given addresses: %j", async (variable, trustProxy) => {
    const { config } = await loadConfig({}, { LEGWORK_TRUST_PROXY: variable }, await directoryOf({}));
    expect(config.trustProxy).toEqual(trustProxy);
  });

  it.each([
    [{}, { LEGWORK_PORT: "99999" }, "LEGWORK_PORT: it is '99999'; it must be at most 65,535."],
    [{}, { DATABASE_URL: "localhost" }, "DATABASE_URL: expected postgres://"],
    [{ logLevel: "loud" as "info" }, {}, "--log-level: Invalid option"],
    [{}, { LEGWORK_JWT_SECRET: "short" }, "LEGWORK_JWT_SECRET: expected at least 32"],
    [{}, { LEGWORK_JWT_JWKS: "https://issuer.example/jwks", LEGWORK_JWT_ISSUER: "i" }, "jwtAudience: required with jwtJwks"],
    [
      {},
      { LEGWORK_JWT_JWKS: "https://u:p@issuer.example/jwks" },
      "LEGWORK_JWT_JWKS: expected the URL of a JWKS without a user or a password",
    ],
    [{}, { LEGWORK_CORS_ORIGINS: "*" }, "LEGWORK_CORS_ORIGINS: expected an origin"],
    [{}, { LEGWORK_TRUST_PROXY: "true" }, "LEGWORK_TRUST_PROXY: expected the number of proxies"],
    [{}, { LEGWORK_TRUST_PROXY: "17" }, "LEGWORK_TRUST_PROXY: expected the number of proxies"],
    [{}, { LEGWORK_TRUST_PROXY: "10.0.0.0/8,10.0.0.0/33" }, "LEGWORK_TRUST_PROXY: expected the number of proxies"],
    [{}, { LEGWORK_JOB_LINKS: "Trace=tempo.example" }, "LEGWORK_JOB_LINKS: expected a URL such as https://"],
    [{}, { LEGWORK_JOB_LINKS: "Trace=https://tempo.example/{trace}" }, "LEGWORK_JOB_LINKS: {trace} is not a value of a job"],
    [{}, { LEGWORK_SLOTS: "mail" }, "LEGWORK_SLOTS: it is 'mail'; expected a queue and a number from 1 to 10,000"],
    [{}, { LEGWORK_SLOTS: "mail=1,mail=2" }, "LEGWORK_SLOTS: it has the queue 'mail' twice"],
    [{ shutdownTimeout: "soon" }, {}, "--shutdown-timeout: it is 'soon'; it must be a duration"],
  ])("with an invalid value names its origin: %j %j", async (flags, environment, message) => {
    const directory = await directoryOf({});
    await expect(loadConfig(flags, environment, directory)).rejects.toMatchObject({
      code: "LW514",
      message: expect.stringContaining(message),
    });
  });

  it.each([
    ["export default { prot: 1 };", "prot"],
    ["export default 1;", "its default export is not an object"],
    ["export default {", "cannot be read"],
  ])("file %j is rejected", async (content, message) => {
    const directory = await directoryOf({ "legwork.config.ts": content });
    await expect(loadConfig({}, {}, directory)).rejects.toMatchObject({
      code: "LW514",
      message: expect.stringContaining(message),
    });
  });
});
