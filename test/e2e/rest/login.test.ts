import { readFile, writeFile } from "node:fs/promises";
import type { ClientHttp2Session } from "node:http2";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { DEMANDING } from "../../harness/demanding.ts";
import {
  CLIENT_ID,
  CLIENT_SECRET,
  type LoginProvider,
  startLoginProvider,
} from "../../harness/openid-login.ts";
import { freePort } from "../../support/free-port.ts";
import { ask, openHttp2 } from "../../support/http2-client.ts";
import { makeWebCertificate, type WebCertificate } from "../../support/web-certificate.ts";

let certificate: WebCertificate;
let provider: LoginProvider;
let airlock: TestAirlock;
let admin: string;
let session: ClientHttp2Session;
let browser: Browser;
let context: BrowserContext;
let page: Page;

beforeAll(async () => {
  certificate = await makeWebCertificate();
  const port = await freePort();
  provider = await startLoginProvider(`https://localhost:${port}/session/callback`);
  const secretFile = join(certificate.files.cert, "..", "client-secret");
  await writeFile(secretFile, CLIENT_SECRET);
  airlock = await startAirlock({
    port,
    env: {
      ...DEMANDING,
      AIRLOCK_OIDC_ISSUER: provider.issuer,
      AIRLOCK_OIDC_CLIENT_ID: CLIENT_ID,
      AIRLOCK_OIDC_CLIENT_SECRET_FILE: secretFile,
      TLS_CERT: certificate.files.cert,
      TLS_KEY: certificate.files.key,
    },
  });
  admin = (await readFile(join(airlock.dataDirectory, "admin-key"), "utf8")).trim();
  session = await openHttp2(airlock.url, certificate.ca);
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
}, 120_000);
afterAll(async () => {
  await browser?.close();
  session?.destroy();
  await airlock?.remove();
  await provider?.stop();
  await certificate?.remove();
});
beforeEach(async () => {
  context = await browser.newContext({ ignoreHTTPSErrors: true });
  page = await context.newPage();
});
afterEach(() => context.close());

async function grant(sub: string): Promise<string> {
  const body = JSON.stringify({ issuer: provider.issuer, sub, role: "developer", kind: "human" });
  const headers = { authorization: `Bearer ${admin}`, "content-type": "application/json" };
  const made = await ask(session, { ":method": "POST", ":path": "/grants", ...headers }, body);
  expect([made.status, made.text]).toEqual([201, expect.stringContaining("grant_id")]);
  return (JSON.parse(made.text) as { grant_id: string }).grant_id;
}

/** Logs in at the provider's own pages, in the browser. */
async function logIn(name: string): Promise<void> {
  await page.goto(`${airlock.url}/session/login`);
  await page.fill("input[name=login]", name);
  await page.fill("input[name=password]", "any");
  await page.click("button[type=submit]");
  await page.click("button[type=submit]");
}

/** Waits for the front page after a login, and goes to a page whose policy lets the test's scripts fetch. */
async function arrive(): Promise<void> {
  await page.waitForURL(`${airlock.url}/`);
  await page.goto(`${airlock.url}/health`);
}

/** What a page of the gateway itself gets. */
const fetched = (
  path: string,
  init: { method?: string; headers?: Record<string, string>; body?: string } = {},
) =>
  page.evaluate(
    async ([url, options]) => {
      const response = await fetch(url, options);
      return { status: response.status, text: await response.text() };
    },
    [path, init] as const,
  );

describe("a login at a real OpenID provider, in a real browser", () => {
  it("a login gives the browser a session of the person, by the grants of this moment", async () => {
    const id = await grant("alice");
    const front = page.waitForRequest(`${airlock.url}/`);
    await logIn("alice");
    expect((await (await front).allHeaders()).cookie).toMatch(/^__Host-airlock=als_/);
    await arrive();
    const me = await fetched("/me");
    expect(JSON.parse(me.text)).toMatchObject({
      principal: `jwt:${provider.issuer}#alice`,
      kind: "human",
      role: "developer",
    });
    const cookies = (await context.cookies(airlock.url)).filter(({ name }) => name.includes("airlock"));
    expect(cookies).toMatchObject([
      { name: "__Host-airlock", httpOnly: true, secure: true, sameSite: "Strict" },
    ]);
    expect(await page.evaluate("document.cookie")).toBe("");
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ project: "demo", code: "1" });
    expect((await fetched("/execute", { method: "POST", headers, body })).status).toBe(202);

    // A page of another site, here the provider's, changes nothing with the browser's session.
    const other = await context.newPage();
    await other.goto(`${provider.issuer}/.well-known/openid-configuration`);
    await other.evaluate(
      // The answer is withheld from that page (CORP), so that its fetch fails.
      ([url, text]) =>
        fetch(url, { method: "POST", mode: "no-cors", credentials: "include", body: text }).catch(
          () => undefined,
        ),
      [`${airlock.url}/execute`, body] as const,
    );
    const { executions } = JSON.parse((await fetched("/executions")).text) as { executions: unknown[] };
    expect(executions.length).toBe(1);

    const ended = await ask(session, {
      ":method": "DELETE",
      ":path": `/grants/${id}`,
      authorization: `Bearer ${admin}`,
    });
    expect(ended.status).toBe(204);
    await expect.poll(async () => (await fetched("/me")).status).toBe(403);
    expect((await fetched("/me")).text).toContain("no_grant");
  });

  it("a login follows the provider's new keys, and its session ends at DELETE /session", async () => {
    await grant("bob");
    await provider.rotateKeys();
    await logIn("bob");
    await arrive();
    expect((await fetched("/me")).status).toBe(200);
    const [cookie] = (await context.cookies(airlock.url)).filter(({ name }) => name === "__Host-airlock");
    expect((await fetched("/session", { method: "DELETE" })).status).toBe(204);
    expect((await fetched("/me")).status).toBe(401);
    const replayed = { ":path": "/me", cookie: `__Host-airlock=${cookie?.value}` };
    await expect.poll(async () => (await ask(session, replayed)).status).toBe(401);
  });

  it("a login without a grant gives no session", async () => {
    await logIn("mallory");
    await page.waitForURL(/callback/);
    expect(await page.textContent("body")).toContain("no_grant");
    expect((await fetched("/me")).status).toBe(401);
  });
});

describe("a login that is attacked", () => {
  const get = (path: string, headers: Record<string, string> = {}) =>
    ask(session, { ":path": path, ...headers });
  const codeOf = ({ status, text }: { status: number; text: string }) =>
    `${status} ${(JSON.parse(text) as { code: string }).code}`;

  /** Begins a login; resolves to the provider's URL and the cookie of the browser that began it. */
  async function begin(): Promise<{ to: URL; cookie: string }> {
    const begun = await get("/session/login");
    expect([begun.status, begun.headers["cache-control"]]).toEqual([303, "no-store"]);
    const [set = ""] = begun.headers["set-cookie"] ?? [];
    expect(set).toMatch(
      /^__Host-airlock-login=[\w.-]+; Secure; Path=\/; HttpOnly; SameSite=Lax; Max-Age=600$/,
    );
    return { to: new URL(begun.headers.location ?? ""), cookie: set.split(";")[0] ?? "" };
  }

  it("a login sends the browser to the provider only, with PKCE, state and nonce, and takes no other place", async () => {
    const { to, cookie } = await begin();
    expect(to.origin).toBe(provider.issuer);
    const query = Object.fromEntries(to.searchParams);
    expect(query).toMatchObject({
      response_type: "code",
      client_id: CLIENT_ID,
      redirect_uri: `${airlock.url}/session/callback`,
      code_challenge_method: "S256",
      state: expect.stringMatching(/.{40}/),
      nonce: expect.stringMatching(/.{40}/),
    });
    // The verifier is in the browser's cookie and in no URL.
    expect(to.href).not.toContain(cookie.split(".")[2]);
    expect((await begin()).to.searchParams.get("state")).not.toBe(query.state);
    for (const path of [
      "/session/login?return_to=https://evil.example",
      "/session/login?next=//evil.example",
    ])
      expect(codeOf(await get(path))).toBe("422 invalid_request");
    expect(codeOf(await get("/session/login", { ":authority": "evil.example" }))).toBe(
      "403 host_not_allowed",
    );
  });

  it("a login is ended by the browser that began it, once, with the provider's own words", async () => {
    const { to, cookie } = await begin();
    const state = to.searchParams.get("state");
    const iss = encodeURIComponent(provider.issuer);
    const other = await begin();
    for (const [path, headers] of [
      [`?code=abc&state=${state}&iss=${iss}`, {}],
      [`?code=abc&state=${state}&iss=${iss}`, { cookie: other.cookie }],
      [`?code=abc&state=${state}&iss=${iss}`, { cookie: `${cookie}; ${other.cookie}` }],
      [`?code=abc&state=${state}&iss=${iss}`, { cookie: "__Host-airlock-login=" }],
      [`?code=abc&state=${state}&iss=${iss}`, { cookie: "__Host-airlock-login=garbage" }],
      [`?code=abc&state=${state}&iss=${iss}`, { cookie }],
      [`?code=abc&state=${state}&iss=https%3A%2F%2Fevil.example`, { cookie }],
      [`?error=access_denied&error_description=%3Cscript%3E&state=${state}&iss=${iss}`, { cookie }],
      ["", { cookie }],
    ] as const) {
      const refused = await get(`/session/callback${path}`, headers);
      expect([path, headers, codeOf(refused)]).toEqual([path, headers, "401 login_failed"]);
      expect(refused.text).not.toMatch(/<script|evil|abc/);
      const set = refused.headers["set-cookie"] ?? [];
      expect(set.filter((each) => !each.includes("Max-Age=0"))).toEqual([]);
    }
  });

  it("a login is answered 503 while the provider is away", async () => {
    const { cookie } = await begin();
    await provider.stop();
    const away = await get("/session/callback?code=abc&state=x", { cookie });
    expect(codeOf(away)).toBe("503 issuer_unavailable");
    expect(airlock.output()).not.toContain(CLIENT_SECRET);
  });
});
