import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { testDatabase } from "../support/database.ts";
import { makeToken, rest, type RestAnswer, startRest } from "../support/rest.ts";
import { until } from "../support/until.ts";

const database = testDatabase();
let server: Server;

beforeAll(async () => {
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "notify/email", "queue": "mail"}]')`);
  server = await startRest(database);
});
afterAll(() => server.stop());
beforeEach(async () => {
  await database.pool.query(
    "delete from legwork_private.alert_rules; select legwork.restore_alert_rules(); delete from legwork_private.alert_records; delete from legwork_private.alert_silences",
  );
});

async function audited(type: string, target: string, count: number): Promise<Record<string, unknown>[]> {
  const { rows } = await database.pool.query(
    "select actor, surface, operation, target_type, target, before, after from legwork.audit_log where target_type = $1 and target = $2 order by id desc limit $3",
    [type, target, count],
  );
  return rows.toReversed();
}

describe("alert rules over REST", () => {
  it("are created, changed, switched, removed and restored, each with an audit log entry", async () => {
    const token = await makeToken(database, "operator");
    const as = (method: string, path: string, body?: unknown): Promise<RestAnswer> =>
      rest(server, method, path, body, { authorization: `Bearer ${token}` });
    const path = "/alert-rules/mail_failures";
    expect(await as("PUT", path, { warning: 1 })).toMatchObject({ status: 404, body: { code: "LW404" } });
    const made = {
      kind: "error_rate",
      target: "notify/email",
      warning: 0.1,
      critical: 0.3,
      period: "30m",
      atLeast: 20,
      resolveAfter: "5m",
    };
    expect(await as("PUT", path, made)).toMatchObject({
      status: 200,
      body: {
        name: "mail_failures",
        kind: "error_rate",
        target: "notify/email",
        warning: 0.1,
        critical: 0.3,
        period: "00:30:00",
        atLeast: 20,
        resolveAfter: "00:05:00",
        channels: null,
        isEnabled: true,
      },
    });
    // Thresholds are set together. An omitted option keeps its value.
    expect(
      (
        await as("PUT", path, {
          critical: 0.5,
          channels: [{ slack: "https://hooks.example.com/s3cret" }, { email: "a@b.example" }],
        })
      ).body,
    ).toMatchObject({
      warning: null,
      critical: 0.5,
      atLeast: 20,
      channels: 2,
    });
    expect(
      (await as("PUT", path, { channels: [{ slack: "https://hooks.example.com/another-s3cret" }, { email: "a@b.example" }] }))
        .status,
    ).toBe(200);
    expect((await as("POST", `${path}/disable`)).body).toMatchObject({ isEnabled: false, critical: 0.5 });
    expect((await as("POST", `${path}/enable`)).body).toMatchObject({ isEnabled: true });
    expect((await as("GET", path)).body).toMatchObject({ name: "mail_failures", critical: 0.5, channels: 2 });
    expect((await as("GET", "/alert-rules")).body.items).toContainEqual(expect.objectContaining({ name: "mail_failures" }));
    expect(await as("DELETE", path)).toMatchObject({ status: 200, body: { name: "mail_failures" } });
    for (const [method, where] of [
      ["DELETE", path],
      ["GET", path],
      ["POST", `${path}/enable`],
    ] as const) {
      expect(await as(method, where)).toMatchObject({ status: 404, body: { code: "LW404" } });
    }
    const lines = await audited("alert_rule", "mail_failures", 6);
    expect(lines.map(({ operation }) => operation)).toEqual([
      "set_alert_rule",
      "set_alert_rule",
      "set_alert_rule",
      "set_alert_rule",
      "set_alert_rule",
      "drop_alert_rule",
    ]);
    expect(lines[1]).toMatchObject({
      actor: "token:operator null",
      surface: "rest",
      target_type: "alert_rule",
      before: { warning: 0.1, critical: 0.3 },
      after: { critical: 0.5, channels: 2, channels_changed: true },
    });
    expect(lines[2]).toMatchObject({ before: { channels: 2 }, after: { channels: 2, channels_changed: true } });
    expect(lines[3]).toMatchObject({ before: { is_enabled: true }, after: { is_enabled: false } });
    expect(lines[5]).toMatchObject({ before: { name: "mail_failures" }, after: null });
    expect(JSON.stringify(lines)).not.toMatch(/s3cret|b\.example/);

    await as("DELETE", "/alert-rules/slow_runs");
    expect((await as("POST", "/alert-rules/restore")).body).toEqual({ restored: 1 });
    expect((await as("POST", "/alert-rules/restore")).body).toEqual({ restored: 0 });
    // A call that changes nothing adds no entry.
    const before = (await audited("alert_rule", "slow_runs", 100)).length;
    await as("POST", "/alert-rules/slow_runs/enable");
    expect(await audited("alert_rule", "slow_runs", 100)).toHaveLength(before);
  });

  it("that are invalid are rejected with the name of the field, and a rule's name may have a slash", async () => {
    const refused: [unknown, string][] = [
      [{ kind: "moon_phase", critical: 1 }, "kind"],
      [{ kind: "error_rate", critical: 1, atLeast: 0 }, "atLeast"],
      [{ kind: "error_rate", critical: 1, period: "soon" }, "period"],
      [{ kind: "error_rate", critical: 1, channels: [{ pigeon: "home" }] }, "channels.0"],
      [{ kind: "error_rate", critical: 1, channels: [{ webhook: "ftp://x" }] }, "channels.0"],
      [{ kind: "error_rate", critical: 1, color: "red" }, "color"],
    ];
    for (const [body, field] of refused) {
      const answer = await rest(server, "PUT", "/alert-rules/wrong", body);
      expect(answer).toMatchObject({ status: 400, body: { code: "LW400" } });
      expect(answer.body.errors.map((error: { field: string }) => error.field).join(" ")).toContain(field);
    }
    for (const body of [
      { kind: "error_rate" },
      { kind: "error_rate", warning: 2, critical: 1 },
      { kind: "error_rate", critical: 1, period: "1s" },
    ]) {
      expect(await rest(server, "PUT", "/alert-rules/wrong", body)).toMatchObject({ status: 400, body: { code: "LW400" } });
    }
    expect((await rest(server, "PUT", "/alert-rules/Wrong", { kind: "error_rate", critical: 1 })).status).toBe(400);
    expect((await rest(server, "PUT", "/alert-rules/team%2Fmail", { kind: "error_rate", critical: 1 })).body).toMatchObject({
      name: "team/mail",
    });
  });

  it("have channels, whose addresses are not in the audit log", async () => {
    expect(await rest(server, "PUT", "/alert-channels", { channels: [{ webhook: "https://example.com/s3cret" }] })).toMatchObject(
      {
        status: 200,
        body: { channels: 1 },
      },
    );
    const { rows } = await database.pool.query("select value::jsonb from legwork.settings where name = 'alert_channels'");
    expect(rows).toEqual([{ value: [{ webhook: "https://example.com/s3cret" }] }]);
    expect(await audited("setting", "alert_channels", 1)).toMatchObject([
      { operation: "change_setting", before: { value: "[not kept]" }, after: { value: "[not kept]" } },
    ]);
    expect((await rest(server, "PUT", "/alert-channels", { channels: [{ webhook: "nowhere at all" }] })).status).toBe(400);
  });

  it("that are changed over REST raise and resolve alerts at the next evaluation", async () => {
    await database.pool.query("select graphile_worker.add_job('notify/email', '{}', run_at => now() - interval '2 minutes')");
    await database.pool.query("update legwork_private.duties set every = '200 ms', due_at = now()");
    await rest(server, "PUT", "/alert-rules/mail_waits", { kind: "backlog_age", target: "mail", warning: 30, resolveAfter: 0 });
    const alert = await until("the alert is raised", async () => {
      const { body } = await rest(server, "GET", "/alerts");
      return body.items.find(({ rule }: { rule: string }) => rule === "mail_waits");
    });
    expect(alert).toMatchObject({ target: "mail", severity: "warning", state: "open" });
    const operator = await makeToken(database, "operator");
    const headers = { authorization: `Bearer ${operator}` };
    expect((await rest(server, "POST", `/alerts/${alert.id}/acknowledge`, { note: "seen" }, headers)).status).toBe(200);
    const { id: silence } = (
      await rest(server, "POST", "/silences", { duration: "1h", rule: "mail_waits", reason: "importing" }, headers)
    ).body;
    expect((await rest(server, "POST", `/silences/${silence}/end`, undefined, headers)).body).toEqual({ ended: true });
    expect(await audited("alert", alert.id, 1)).toMatchObject([
      {
        operation: "acknowledge_alert",
        target_type: "alert",
        actor: "token:operator null",
        after: { rule: "mail_waits", target: "mail", note: "seen" },
      },
    ]);
    expect(await audited("silence", silence, 2)).toMatchObject([
      { operation: "silence_alerts", target_type: "silence", after: { rule: "mail_waits", reason: "importing" } },
      { operation: "end_silence", target_type: "silence" },
    ]);
    await rest(server, "POST", "/alert-rules/mail_waits/disable");
    await until("the alert is resolved", async () => {
      const { body } = await rest(server, "GET", "/alerts?all=true");
      return body.items.some((one: { id: string; state: string }) => one.id === alert.id && one.state === "resolved");
    });
    await database.pool.query("update legwork_private.duties set due_at = 'infinity'");
  });
});

describe("alerts, rules, silences, health and statistics", () => {
  it("can be neither read nor changed with a tenant's token", async () => {
    const admin = await makeToken(database, "admin", "acme");
    const asked: [string, string, unknown?][] = [
      ["GET", "/alerts"],
      ["POST", "/alerts/1/acknowledge"],
      ["GET", "/alert-rules"],
      ["GET", "/alert-rules/error_rate"],
      ["PUT", "/alert-rules/error_rate", { warning: 0.9 }],
      ["DELETE", "/alert-rules/error_rate"],
      ["POST", "/alert-rules/error_rate/disable"],
      ["POST", "/alert-rules/restore"],
      ["PUT", "/alert-channels", { channels: [] }],
      ["POST", "/silences", { duration: "1h" }],
      ["POST", "/silences/1/end"],
      ["GET", "/health"],
      ["GET", "/task-statistics"],
    ];
    for (const [method, path, body] of asked) {
      const answer = await rest(server, method, path, body, { authorization: `Bearer ${admin}` });
      expect([path, answer.status, answer.body.code]).toEqual([path, 403, "LW403"]);
    }
    const { rows } = await database.pool.query(
      "select warning, is_enabled from legwork_private.alert_rules where name = 'error_rate'",
    );
    expect(rows).toEqual([{ warning: 0.25, is_enabled: true }]);
  });
});

describe("tokens of two tenants", () => {
  it("are created, listed and revoked by each tenant's own admin", async () => {
    await database.pool.query("delete from legwork_private.tokens");
    const admins = { acme: await makeToken(database, "admin", "acme"), other: await makeToken(database, "admin", "other") };
    const as = (tenant: keyof typeof admins, method: string, path: string, body?: unknown): Promise<RestAnswer> =>
      rest(server, method, path, body, { authorization: `Bearer ${admins[tenant]}` });
    expect((await as("acme", "POST", "/tokens", { name: "mine", role: "viewer" })).status).toBe(201);
    expect(await as("acme", "POST", "/tokens", { name: "theirs", tenant: "other" })).toMatchObject({
      status: 403,
      body: { code: "LW403" },
    });
    const seen = async (tenant: keyof typeof admins): Promise<{ id: string; name: string; tenant: string }[]> =>
      (await as(tenant, "GET", "/tokens")).body.items;
    expect((await seen("acme")).map(({ name, tenant }) => [name, tenant])).toEqual([
      ["mine", "acme"],
      ["admin acme", "acme"],
    ]);
    expect((await seen("other")).map(({ name }) => name)).toEqual(["admin other"]);
    const mine = (await seen("acme"))[0]?.id;
    expect(await as("other", "POST", `/tokens/${mine}/revoke`)).toMatchObject({
      status: 404,
      body: { detail: `Token ${mine} does not exist.` },
    });
    expect((await as("acme", "POST", `/tokens/${mine}/revoke`)).body).toEqual({ revoked: true });
    expect((await as("acme", "POST", `/tokens/${mine}/revoke`)).body).toEqual({ revoked: false });
  });
});
