import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { DEMANDING } from "../../harness/demanding.ts";
import { startOpenIdProvider, type TestProvider } from "../../harness/openid-provider.ts";

const AUDIENCE = "https://airlock.example";
const SECRET = "3f9ac2d4471e8b0c6655d1f7a92e40b8";

let directory: string;
let provider: TestProvider;
let airlock: TestAirlock;

const grantsOf = (...more: string[]) =>
  [
    `- {issuer: "${provider.issuer}", sub: reports, role: developer, kind: service}`,
    `- {issuer: "${provider.issuer}", claim: client_id, equals: watcher, role: observer, kind: human}`,
    "- {issuer: airlock, sub: alice, role: admin, kind: human}",
    "- {issuer: airlock, sub: carol, role: observer, kind: human}",
    "- {issuer: airlock, sub: carol, role: admin, kind: human, tenant: acme}",
    ...more,
  ].join("\n");
const writeGrants = async (text: string) => {
  await writeFile(join(directory, "draft"), text);
  await rename(join(directory, "draft"), join(directory, "grants.yaml"));
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-tokens-"));
  provider = await startOpenIdProvider(["reports", "watcher", "stranger"]);
  await writeGrants(grantsOf());
  airlock = await startAirlock({
    env: {
      ...DEMANDING,
      JWT_SECRET: SECRET,
      AIRLOCK_OIDC_ISSUER: provider.issuer,
      AIRLOCK_OIDC_AUDIENCE: AUDIENCE,
      AIRLOCK_GRANTS_FILE: join(directory, "grants.yaml"),
    },
  });
}, 90_000);
afterAll(async () => {
  await airlock?.remove();
  await provider.stop();
  await rm(directory, { recursive: true });
});

type Answer = { readonly status: number; readonly headers: Headers; readonly body: Record<string, unknown> };

async function call(
  token: string,
  path: string,
  {
    method = "GET",
    body,
    headers = {},
  }: { method?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const response = await fetch(airlock.url + path, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : {} };
}

const codeOf = ({ status, body }: Answer) => `${status} ${body.code ?? ""}`.trim();
const signed = (claims: Record<string, unknown>) => {
  const now = Math.floor(Date.now() / 1_000);
  return new SignJWT({ iss: "airlock", aud: "airlock", iat: now, exp: now + 600, ...claims })
    .setProtectedHeader({ alg: "HS256" })
    .sign(Buffer.from(SECRET));
};

describe("tokens over REST", () => {
  it("tokens over REST of a real OpenID provider run scripts, with the role of their grant", async () => {
    const token = await provider.token(AUDIENCE, "reports");
    expect((await call(token, "/me")).body).toMatchObject({
      principal: `jwt:${provider.issuer}#reports`,
      kind: "service",
      role: "developer",
      tenant: "default",
      expires_at: expect.any(String),
    });
    const body = { project: "demo", code: "set_result(6 * 7)" };
    const ran = await call(token, "/execute?wait=20", { method: "POST", body });
    expect(ran.body).toMatchObject({ status: "completed", result: 42 });
    const watcher = await provider.token(AUDIENCE, "watcher");
    expect(codeOf(await call(watcher, "/execute", { method: "POST", body }))).toBe("403 permission_denied");
    expect((await call(watcher, `/executions/${ran.body.execution_id}`)).status).toBe(200);
  });

  it("tokens over REST follow the provider's new keys", async () => {
    await provider.stop();
    await provider.start();
    const token = await provider.token(AUDIENCE, "reports");
    await expect.poll(async () => (await call(token, "/me")).status).toBe(200);
  });

  it("tokens over REST without a grant are answered 403, and their own word for a role counts for nothing", async () => {
    const stranger = await call(await provider.token(AUDIENCE, "stranger"), "/me");
    expect(codeOf(stranger)).toBe("403 no_grant");
    expect(stranger.body.detail).toContain(`jwt:${provider.issuer}#stranger`);
    const claims = { sub: "mallory", role: "admin", roles: ["admin"], tenant: "default", kind: "human" };
    expect(codeOf(await call(await signed(claims), "/me"))).toBe("403 no_grant");
  });

  it("tokens over REST that are wrong are answered 401, with what to do", async () => {
    for (const [token, words] of [
      [await provider.token("https://other.example", "reports"), "another audience"],
      [await signed({ sub: "alice", aud: "other" }), 'for "airlock"'],
      [await signed({ sub: "alice", iss: "http://other" }), 'its "iss" is "http://other"'],
      [await signed({ sub: "alice", exp: Math.floor(Date.now() / 1_000) - 60 }), "has expired"],
      [await signed({ sub: "system:local" }), "system:"],
      [`${(await signed({ sub: "alice" })).slice(0, -3)}abc`, "signature"],
    ] as const) {
      const refused = await call(token, "/me");
      expect(codeOf(refused), words).toBe("401 unauthenticated");
      expect(refused.body.detail).toContain(words);
      expect(refused.headers.get("www-authenticate")).toContain("invalid_token");
    }
    expect(airlock.output()).not.toContain((await signed({ sub: "alice" })).slice(40));
  });

  it("tokens over REST with grants in several tenants have to name one", async () => {
    const carol = await signed({ sub: "carol" });
    const refused = await call(carol, "/me");
    expect(codeOf(refused)).toBe("400 tenant_required");
    expect(refused.body.detail).toContain("acme, default");
    const as = (tenant: string) => call(carol, "/me", { headers: { "airlock-tenant": tenant } });
    expect((await as("default")).body).toMatchObject({ tenant: "default", role: "observer" });
    expect((await as("acme")).body).toMatchObject({ tenant: "acme", role: "admin" });
    expect(codeOf(await as("other"))).toBe("403 no_grant");
    expect(codeOf(await as("a b"))).toBe("422 invalid_request");
    const admin = (await readFile(join(airlock.dataDirectory, "admin-key"), "utf8")).trim();
    expect(codeOf(await call(admin, "/me", { headers: { "airlock-tenant": "acme" } }))).toBe("403 no_grant");
  });

  it("tokens over REST of an agent show that agent no more than its own, whatever its role is", async () => {
    await writeGrants(grantsOf("- {issuer: airlock, sub: bot, role: admin}"));
    const bot = await signed({ sub: "bot" });
    await expect.poll(async () => (await call(bot, "/me")).body.kind).toBe("agent");
    expect(codeOf(await call(bot, "/principals"))).toBe("403 permission_denied");
  });

  it("tokens over REST obey a changed file of grants, and a mistake in it changes nothing", async () => {
    const dave = await signed({ sub: "dave" });
    expect(codeOf(await call(dave, "/me"))).toBe("403 no_grant");
    const daves = "- {issuer: airlock, sub: dave, role: developer, kind: human}";
    await writeGrants(grantsOf(daves));
    await expect.poll(async () => (await call(dave, "/me")).body.role).toBe("developer");
    await writeGrants(`${grantsOf(daves)}\n- {issuer: airlock, role: admin}`);
    await expect
      .poll(async () => (await call(dave, "/ready")).body.broken_grants)
      .toContain("grants.yaml:7: the grant must have cert, or issuer and sub");
    expect(airlock.output()).toContain("the grants stay as they were (./airlock logs names the mistake)");
    expect((await call(dave, "/me")).body).toMatchObject({ role: "developer" });
    await writeGrants(grantsOf());
    await expect.poll(async () => codeOf(await call(dave, "/me"))).toBe("403 no_grant");
    expect((await call(await signed({ sub: "alice" }), "/ready")).body.broken_grants).toBeUndefined();
  });

  it("tokens over REST get and lose what an admin grants over REST, within a second", async () => {
    const alice = await signed({ sub: "alice" });
    const erin = await signed({ sub: "erin" });
    expect(codeOf(await call(erin, "/me"))).toBe("403 no_grant");
    const body = { issuer: "airlock", sub: "erin", role: "developer", kind: "human" };
    const made = await call(alice, "/grants", { method: "POST", body });
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({
      ...body,
      grant_id: expect.any(String),
      cert: null,
      claim: null,
      tenant: "default",
      made_by: "jwt:airlock#alice",
    });
    await sleep(1_000);
    expect((await call(erin, "/me")).body).toMatchObject({
      principal: "jwt:airlock#erin",
      role: "developer",
    });
    expect(codeOf(await call(erin, "/grants"))).toBe("403 permission_denied");
    const { grants } = (await call(alice, "/grants")).body as { grants: Record<string, unknown>[] };
    // Another tenant's grants are not shown.
    expect(grants.map(({ sub, equals }) => sub ?? equals)).toEqual([
      "reports",
      "watcher",
      "alice",
      "carol",
      "erin",
    ]);
    expect(grants[0]).toMatchObject({ grant_id: null, made_by: null, created_at: null });
    const path = `/grants/${made.body.grant_id}`;
    expect((await call(alice, path, { method: "DELETE" })).status).toBe(204);
    await sleep(1_000);
    expect(codeOf(await call(erin, "/me"))).toBe("403 no_grant");
    expect(codeOf(await call(alice, path, { method: "DELETE" }))).toBe("404 grant_not_found");
  });

  it.each([
    [{ issuer: "airlock", sub: "x", role: "root" }, "role"],
    [{ role: "admin" }, "none of the allowed forms: cert; issuer and sub"],
    [{ cert: "billing", sub: "x", role: "admin" }, "none of the allowed forms: cert; issuer and sub"],
    [{ issuer: "airlock", sub: "a\u0000b", role: "admin" }, '"sub"'],
    [{ cert: "billing", role: "admin", tenant: "acme" }, "tenant"],
  ])("tokens over REST are granted nothing by the request %j", async (body, words) => {
    const refused = await call(await signed({ sub: "alice" }), "/grants", { method: "POST", body });
    expect(codeOf(refused)).toBe("422 invalid_request");
    expect(JSON.stringify(refused.body)).toContain(words);
  });

  it("tokens over REST make keys for agents, which end with their maker's grant and while it is disabled", async () => {
    const frank = await signed({ sub: "frank" });
    const post = (body: object) => ({ method: "POST", body });
    const alice = await signed({ sub: "alice" });
    const grant = { issuer: "airlock", sub: "frank", role: "developer", kind: "human" };
    const granted = await call(alice, "/grants", post(grant));
    await expect.poll(async () => (await call(frank, "/me")).status).toBe(200);
    const bot = await call(frank, "/keys", post({ name: "franks-bot" }));
    expect(bot.status).toBe(201);
    const key = String(bot.body.key);
    expect((await call(key, "/me")).body).toMatchObject({ principal: "key:franks-bot", role: "developer" });
    const principal = `/principals/${encodeURIComponent("jwt:airlock#frank")}`;
    const disable = (disabled: boolean) => call(alice, principal, { method: "PATCH", body: { disabled } });
    expect((await disable(true)).body).toMatchObject({ principal: "jwt:airlock#frank", disabled: true });
    await sleep(1_000);
    for (const each of [frank, key]) expect(codeOf(await call(each, "/me"))).toBe("401 unauthenticated");
    await disable(false);
    for (const each of [frank, key]) expect((await call(each, "/me")).status).toBe(200);
    await call(alice, "/grants", post({ ...grant, sub: "frank", role: "observer" }));
    await call(alice, `/grants/${granted.body.grant_id}`, { method: "DELETE" });
    await sleep(1_000);
    const refused = await call(key, "/execute", post({ project: "demo", code: "1" }));
    expect(codeOf(refused)).toBe("403 permission_denied");
    expect(refused.body.detail).toContain("limited by its maker's role observer");
    const { grants } = (await call(alice, "/grants")).body as { grants: { sub: string; grant_id: string }[] };
    const last = grants.find(({ sub }) => sub === "frank")?.grant_id;
    await call(alice, `/grants/${last}`, { method: "DELETE" });
    await sleep(1_000);
    expect((await call(key, "/me")).body.detail).toContain("principal that made the key");
  });

  it("tokens over REST are not shut out by an admin of another tenant", async () => {
    const [alice, carol] = [await signed({ sub: "alice" }), await signed({ sub: "carol" })];
    const disabled = await call(carol, `/principals/${encodeURIComponent("jwt:airlock#alice")}`, {
      method: "PATCH",
      body: { disabled: true },
      headers: { "airlock-tenant": "acme" },
    });
    expect(disabled.body).toMatchObject({ tenant: "acme", disabled: true });
    await sleep(1_000);
    expect((await call(alice, "/me")).body).toMatchObject({ tenant: "default", role: "admin" });
  });

  it("tokens over REST of an admin make a further key for an agent, which ends with the agent's own maker", async () => {
    const alice = await signed({ sub: "alice" });
    const post = (body: object) => ({ method: "POST", body });
    const keyOf = async (by: string, body: object) => String((await call(by, "/keys", post(body))).body.key);
    const developer = await keyOf(alice, { name: "devon", kind: "human", role: "developer" });
    const first = await keyOf(developer, { name: "devons-bot" });
    const second = await keyOf(alice, { name: "second", principal: "key:devons-bot", role: "operator" });
    expect((await call(second, "/me")).body).toMatchObject({
      principal: "key:devons-bot",
      role: "developer",
    });
    await call(alice, "/principals/key:devon", { method: "PATCH", body: { disabled: true } });
    await sleep(1_000);
    for (const key of [first, second]) expect(codeOf(await call(key, "/me"))).toBe("401 unauthenticated");
  });

  it("tokens over REST with a grant by a claim make no keys for agents, because nothing shows the claim later", async () => {
    const grace = await signed({ sub: "grace", groups: ["data-team"] });
    const body = {
      issuer: "airlock",
      claim: "groups",
      equals: "data-team",
      role: "developer",
      kind: "human",
    };
    await call(await signed({ sub: "alice" }), "/grants", { method: "POST", body });
    await expect.poll(async () => (await call(grace, "/me")).status).toBe(200);
    const refused = await call(grace, "/keys", { method: "POST", body: { name: "graces-bot" } });
    expect(codeOf(refused)).toBe("403 permission_denied");
    expect(refused.body.detail).toContain("a grant for your subject");
  });

  it("tokens over REST of known keys count while the provider is away, and others are answered 503", async () => {
    const token = await provider.token(AUDIENCE, "watcher");
    expect((await call(token, "/me")).status).toBe(200);
    await provider.stop();
    try {
      const [, payload, signature] = token.split(".");
      const unknown = [
        Buffer.from('{"alg":"RS256","kid":"new"}').toString("base64url"),
        payload,
        signature,
      ].join(".");
      await expect.poll(async () => codeOf(await call(unknown, "/me"))).toBe("503 issuer_unavailable");
      expect((await call(token, "/me")).status).toBe(200);
      expect((await call(await signed({ sub: "alice" }), "/me")).status).toBe(200);
    } finally {
      await provider.start();
    }
  });
});
