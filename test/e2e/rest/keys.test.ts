import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";

let airlock: TestAirlock;
let admin: string;

beforeAll(async () => {
  airlock = await startAirlock({ env: { AIRLOCK_AUTH: "required" } });
  admin = (await readFile(join(airlock.dataDirectory, "admin-key"), "utf8")).trim();
}, 90_000);
afterAll(() => airlock.remove());

type Answer = { readonly status: number; readonly headers: Headers; readonly body: Record<string, unknown> };

async function call(
  key: string | undefined,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(airlock.url + path, {
    method,
    headers: {
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const parsed = text.startsWith("{") ? JSON.parse(text) : { text };
  return { status: response.status, headers: response.headers, body: parsed };
}

const codeOf = ({ status, body }: Answer) => `${status} ${body.code ?? ""}`.trim();

async function makeKey(
  maker: string,
  request: Record<string, unknown>,
): Promise<{ key: string; id: string }> {
  const answer = await call(maker, "POST", "/keys", request);
  expect(answer.body).toMatchObject({ key: expect.stringMatching(/^alk_[a-z0-9]{16}_[A-Za-z0-9]{43}$/) });
  expect(answer.status).toBe(201);
  return { key: String(answer.body.key), id: String(answer.body.key_id) };
}

describe("a gateway that demands credentials", () => {
  it("a gateway that demands credentials writes the first admin's key to a file of mode 0600, and prints it nowhere", async () => {
    expect(admin).toMatch(/^alk_[a-z0-9]{16}_[A-Za-z0-9]{43}$/);
    expect((await stat(join(airlock.dataDirectory, "admin-key"))).mode & 0o777).toBe(0o600);
    expect(airlock.output()).not.toContain(admin);
    expect((await call(admin, "GET", "/me")).body).toMatchObject({
      principal: "key:admin",
      kind: "human",
      tenant: "default",
      role: "admin",
      expires_at: null,
    });
  });

  it("a gateway that demands credentials lets anonymous clients read what is public, and nothing else", async () => {
    for (const path of ["/health", "/ready", "/openapi.json"])
      expect((await call(undefined, "GET", path)).status, path).toBe(200);
    for (const [method, path] of [
      ["GET", "/projects"],
      ["GET", "/skill.md"],
      ["GET", "/metrics"],
      ["GET", "/executions"],
      ["GET", "/me"],
      ["POST", "/execute"],
      ["DELETE", "/keys/abc"],
    ] as const) {
      const refused = await call(
        undefined,
        method,
        path,
        method === "POST" ? { project: "demo" } : undefined,
      );
      expect(codeOf(refused), path).toBe("401 unauthenticated");
      expect(refused.headers.get("www-authenticate"), path).toBe("Bearer");
      expect(refused.body.detail, path).toContain("Authorization: Bearer KEY");
    }
    expect((await call(undefined, "GET", "/ready")).body).toEqual({ status: "ready" });
  });

  it.each([
    ["an unknown key", `Bearer alk_${"a".repeat(16)}_${"b".repeat(43)}`],
    ["a key with another secret", () => `Bearer ${admin.slice(0, -1)}${admin.endsWith("x") ? "y" : "x"}`],
    ["a text that is no key", "Bearer something"],
    ["another scheme", "Basic YWRtaW46YWRtaW4="],
    ["no text", "Bearer"],
    ["a header of 9 kB", `Bearer alk_${"a".repeat(9_000)}`],
  ])("a gateway that demands credentials refuses %s, even where anonymous may read", async (_, header) => {
    const authorization = typeof header === "string" ? header : header();
    for (const path of ["/me", "/health"]) {
      const refused = await call(undefined, "GET", path, undefined, { authorization });
      expect(codeOf(refused), path).toBe("401 unauthenticated");
      expect(refused.headers.get("www-authenticate"), path).toContain("invalid_token");
      expect(JSON.stringify(refused.body)).not.toContain(authorization.split(" ")[1] ?? "no credential");
    }
  });

  it("a gateway that demands credentials bounds the keys in force of a maker, and teaches agents to show theirs", async () => {
    const { key: maker } = await makeKey(admin, { name: "maker", kind: "human", rate: 1_000 });
    for (let n = 0; n < 100; n++) await makeKey(maker, { name: `agent-${n}` });
    const refused = await call(maker, "POST", "/keys", { name: "one-more" });
    expect(codeOf(refused)).toBe("422 invalid_request");
    expect(refused.body.detail).toContain("You have made 100 keys that are in force");
    const { keys } = (await call(admin, "GET", "/keys")).body as { keys: { name: string }[] };
    expect(keys.map(({ name }) => name)).toContain("admin");
    const page = String((await call(maker, "GET", "/skill.md")).body.text);
    const examples = page.match(/^curl .*$/gm) ?? [];
    expect(examples).toHaveLength(4);
    for (const example of examples) expect(example).toContain('-H "authorization: Bearer $AIRLOCK_KEY"');
    expect(page).not.toContain(maker);
  });

  it("a gateway that demands credentials gives the key that replaces another one no more than that had", async () => {
    const limited = { name: "limited", role: "observer", projects: ["demo"], rate: 7 };
    await makeKey(admin, limited);
    const { key } = await makeKey(admin, { name: "limited-2", principal: "key:limited" });
    expect((await call(key, "GET", "/me")).body).toMatchObject({
      ...{ principal: "key:limited", role: "observer", projects: ["demo"], rate: { limit: 7 } },
    });
    const more = {
      name: "limited-3",
      principal: "key:limited",
      role: "developer",
      projects: ["demo", "other"],
    };
    const { key: wider } = await makeKey(admin, more);
    expect((await call(wider, "GET", "/me")).body).toMatchObject({
      ...{ role: "developer", projects: ["demo", "other"], rate: { limit: 7 } },
    });
  });

  it("a gateway that demands credentials runs scripts for an agent's key, in the projects of that key only", async () => {
    const { key } = await makeKey(admin, { name: "runner", projects: ["demo"] });
    const ran = await call(key, "POST", "/execute?wait=20", { project: "demo", code: "set_result(6 * 7)" });
    expect(ran.body).toMatchObject({ status: "completed", result: 42 });
    expect(ran.headers.get("ratelimit-policy")).toBe('"change";q=30;w=60, "execute";q=10;w=60');
    const shown = await call(key, "POST", "/execute?wait=20", { project: "demo", code: `print("${key}")` });
    expect(shown.body).toMatchObject({ status: "completed", stdout: expect.stringMatching(/^\[REDACTED/) });
    expect(JSON.stringify(shown.body)).not.toContain(key.slice(20));
    const refused = await call(key, "POST", "/execute", { project: "other", code: "print(1)" });
    expect(codeOf(refused)).toBe("403 permission_denied");
    expect(refused.body.detail).toContain("these projects only: demo");
    const wrong = { name: "wrong", projects: ["demo", 7] };
    expect(codeOf(await call(admin, "POST", "/keys", wrong))).toBe("422 invalid_request");
  });

  it.each([
    ["role", '"role" must be one of admin, operator, developer, observer.'],
    ["kind", '"kind" must be one of human, agent, service.'],
  ])(
    "a gateway that demands credentials names the values of %s, and nothing else",
    async (field, allowed) => {
      const refused = await call(admin, "POST", "/keys", { name: "odd", [field]: "root" });
      expect([codeOf(refused), refused.body.detail]).toEqual(["422 invalid_request", allowed]);
    },
  );

  it("a gateway that demands credentials gives a key that is limited to projects no way to another one", async () => {
    const hana = await makeKey(admin, { name: "hana", kind: "human", role: "operator", projects: ["demo"] });
    expect(codeOf(await call(hana.key, "POST", "/projects/other/up"))).toBe("403 permission_denied");
    const wanted = { name: "hanas-bot", projects: ["demo", "other"] };
    expect(codeOf(await call(hana.key, "POST", "/keys", wanted))).toBe("403 permission_denied");
    const bot = await makeKey(hana.key, { name: "hanas-bot" });
    expect((await call(bot.key, "GET", "/me")).body).toMatchObject({ projects: ["demo"] });
    const refused = await call(bot.key, "POST", "/execute", { project: "other", code: "print(1)" });
    expect(codeOf(refused)).toBe("403 permission_denied");
  });

  it("a gateway that demands credentials says which permission a principal lacks, and who has it", async () => {
    const { key } = await makeKey(admin, { name: "watcher", kind: "human", role: "observer" });
    const refused = await call(key, "POST", "/execute", { project: "demo", code: "print(1)" });
    expect(codeOf(refused)).toBe("403 permission_denied");
    expect(refused.body.detail).toContain(
      "You are key:watcher with the role observer, and may not run scripts: that needs the permission execution.submit, which the roles admin, operator, developer have.",
    );
    expect((await call(key, "GET", "/projects")).status).toBe(200);
    expect(codeOf(await call(key, "POST", "/keys", { name: "mine" }))).toBe("403 permission_denied");
  });

  it("a gateway that demands credentials refuses a revoked key within a second, and the agents' keys that it made", async () => {
    const alice = await makeKey(admin, { name: "alice", kind: "human" });
    const bot = await makeKey(alice.key, { name: "alices-bot" });
    expect((await call(bot.key, "GET", "/me")).status).toBe(200);
    expect((await call(alice.key, "GET", "/keys")).body).toMatchObject({
      keys: [{ key_id: bot.id, made_by: "key:alice", revoked_at: null }],
    });
    expect((await call(admin, "DELETE", `/keys/${alice.id}`)).status).toBe(204);
    await sleep(1_000);
    expect((await call(alice.key, "GET", "/me")).body.detail).toContain("has been revoked");
    expect((await call(bot.key, "GET", "/me")).body.detail).toContain("principal that made the key");
  });

  it("a gateway that demands credentials refuses a disabled principal, until it is enabled again", async () => {
    const bob = await makeKey(admin, { name: "bob", kind: "human", role: "operator" });
    const disable = (disabled: boolean) => call(admin, "PATCH", "/principals/key:bob", { disabled });
    expect((await disable(true)).body).toMatchObject({ principal: "key:bob", disabled: true });
    await sleep(1_000);
    expect(codeOf(await call(bob.key, "GET", "/me"))).toBe("401 unauthenticated");
    await disable(false);
    expect((await call(bob.key, "GET", "/me")).status).toBe(200);
    expect(codeOf(await call(admin, "PATCH", "/principals/key:admin", { disabled: true }))).toBe(
      "422 invalid_request",
    );
  });

  it("a gateway that demands credentials goes on with the other admins when the first one's key is revoked, and refuses to revoke the last", async () => {
    const first = await call(admin, "GET", "/keys");
    const keys = first.body.keys as { key_id: string; principal: string }[];
    const id = keys.find(({ principal }) => principal === "key:admin")?.key_id;
    expect(codeOf(await call(admin, "DELETE", `/keys/${id}`))).toBe("409 last_admin");
    const grace = await makeKey(admin, { name: "grace", kind: "human", role: "admin" });
    const bot = await makeKey(grace.key, { name: "graces-bot" });
    expect((await call(grace.key, "PATCH", "/principals/key:admin", { disabled: true })).status).toBe(200);
    await sleep(1_000);
    expect(codeOf(await call(admin, "GET", "/me"))).toBe("401 unauthenticated");
    for (const { key } of [grace, bot]) expect((await call(key, "GET", "/me")).status).toBe(200);
    expect(codeOf(await call(grace.key, "DELETE", `/keys/${grace.id}`))).toBe("409 last_admin");
    expect((await call(grace.key, "PATCH", "/principals/key:admin", { disabled: false })).status).toBe(200);
  });

  it("a gateway that demands credentials gives a developer's agents no role above the developer's", async () => {
    const carol = await makeKey(admin, { name: "carol", kind: "human" });
    const wanted = { name: "carols-bot", role: "operator" };
    expect(codeOf(await call(carol.key, "POST", "/keys", wanted))).toBe("403 permission_denied");
    expect(codeOf(await call(carol.key, "POST", "/keys", { name: "dan", kind: "human" }))).toBe(
      "403 permission_denied",
    );
    const bot = await makeKey(carol.key, { name: "carols-bot" });
    expect(codeOf(await call(bot.key, "POST", "/keys", { name: "another" }))).toBe("403 permission_denied");
    expect(codeOf(await call(carol.key, "POST", "/keys", { name: "carols-bot" }))).toBe(
      "409 principal_exists",
    );
  });

  it("a gateway that demands credentials accepts a key until it expires, and a second key of the same principal", async () => {
    const short = await makeKey(admin, { name: "short", expires_in: 2 });
    const next = await makeKey(admin, { name: "short-2", principal: "key:short" });
    expect((await call(short.key, "GET", "/me")).body).toMatchObject({ principal: "key:short" });
    await sleep(2_100);
    expect((await call(short.key, "GET", "/me")).body.detail).toContain("has expired");
    expect((await call(next.key, "GET", "/me")).body).toMatchObject({ principal: "key:short" });
    expect((await call(next.key, "DELETE", `/keys/${next.id}`)).status).toBe(204);
  });

  it("a gateway that demands credentials shows an execution to the agent that submitted it, to the maker of the agent's key and to those who see all", async () => {
    const erin = await makeKey(admin, { name: "erin", kind: "human" });
    const bot = await makeKey(erin.key, { name: "erins-bot" });
    const frank = await makeKey(admin, { name: "frank", kind: "human" });
    const audit = await makeKey(admin, { name: "audit", kind: "human", role: "observer" });
    const { body } = await call(bot.key, "POST", "/execute?wait=20", { project: "demo", code: "print(1)" });
    const path = `/executions/${body.execution_id}`;
    for (const { key } of [bot, erin, audit]) expect((await call(key, "GET", path)).status).toBe(200);
    expect(codeOf(await call(frank.key, "GET", path))).toBe("404 execution_not_found");
    expect((await call(frank.key, "GET", "/executions")).body).toMatchObject({ executions: [] });
    expect(codeOf(await call(audit.key, "POST", `${path}/cancel`))).toBe("403 permission_denied");
  });

  it("a gateway that demands credentials keeps its keys over a restart", async () => {
    const { key } = await makeKey(admin, { name: "kept" });
    airlock = await airlock.restart();
    expect((await call(key, "GET", "/me")).body).toMatchObject({ principal: "key:kept", role: "developer" });
    expect((await readFile(join(airlock.dataDirectory, "admin-key"), "utf8")).trim()).toBe(admin);
  });
});
