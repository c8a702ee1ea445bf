import { readFile } from "node:fs/promises";
import type { ClientHttp2Session, OutgoingHttpHeaders } from "node:http2";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createLog } from "#common/service/log.ts";
import { startGateway } from "../../../gateway/main.ts";
import type { RunningGateway } from "../../../gateway/serve.ts";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { DEMANDING } from "../../harness/demanding.ts";
import { ask, type Http2Answer, openHttp2 } from "../../support/http2-client.ts";
import { makeWebCertificate, type WebCertificate } from "../../support/web-certificate.ts";

const HOST_COOKIE = /^__Host-airlock=als_[\w-]{43}; Secure; Path=\/; HttpOnly; SameSite=Strict$/;
const REMOVED = "__Host-airlock=; Secure; Path=/; HttpOnly; SameSite=Strict; Max-Age=0";

let certificate: WebCertificate;
let airlock: TestAirlock;
let admin: string;
/** Over TLS: the gateway of `./airlock up`. */
let first: ClientHttp2Session;
/** A second gateway before the same services, over plain HTTP. */
let second: RunningGateway;

beforeAll(async () => {
  certificate = await makeWebCertificate();
  airlock = await startAirlock({
    env: {
      ...DEMANDING,
      TLS_CERT: certificate.files.cert,
      TLS_KEY: certificate.files.key,
    },
  });
  admin = (await readFile(join(airlock.dataDirectory, "admin-key"), "utf8")).trim();
  first = await openHttp2(airlock.url, certificate.ca);
  const router = /unix:\S+router\.sock/.exec(airlock.output())?.[0] ?? "";
  const address = (service: string) => router.replace("router.sock", `${service}.sock`);
  second = await startGateway(
    {
      host: "127.0.0.1",
      port: 0,
      auth: "required",
      hostNames: ["pages.example"],
      routerAddress: router,
      poolManagerAddress: address("pool-manager"),
      authorityAddress: address("authority"),
    },
    createLog("gateway", "silent"),
  );
}, 90_000);
afterAll(async () => {
  first?.destroy();
  await second?.drain(0);
  await airlock?.remove();
  await certificate?.remove();
});

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const call = (method: string, path: string, headers: OutgoingHttpHeaders = {}, body?: unknown) =>
  ask(
    first,
    {
      ":method": method,
      ":path": path,
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers,
    },
    body === undefined ? undefined : JSON.stringify(body),
  );
const at = (method: string, path: string, headers: Record<string, string>) =>
  fetch(`http://127.0.0.1:${second.port}${path}`, { method, headers });
const codeOf = ({ status, text }: Http2Answer) =>
  `${status} ${text === "" ? "" : ((JSON.parse(text) as { code?: string }).code ?? "")}`.trim();

async function logIn(key = admin): Promise<string> {
  const answer = await call("POST", "/session", bearer(key));
  expect(answer.status).toBe(201);
  const [cookie = ""] = answer.headers["set-cookie"] ?? [];
  expect(cookie).toMatch(HOST_COOKIE);
  return cookie.split(";")[0] ?? "";
}

async function makeKey(name: string, more: object = {}): Promise<{ key: string; key_id: string }> {
  const made = await call("POST", "/keys", bearer(admin), { name, kind: "human", ...more });
  expect(made.status).toBe(201);
  return JSON.parse(made.text) as { key: string; key_id: string };
}

describe("a session of a browser over TLS", () => {
  it("a session is a __Host- cookie, and reads what its key may read", async () => {
    const answer = await call("POST", "/session", { ...bearer(admin), origin: airlock.url });
    expect(JSON.parse(answer.text)).toMatchObject({ principal: "key:admin", role: "admin" });
    expect(answer.headers["cache-control"]).toBe("no-store");
    const cookie = await logIn();
    const me = await call("GET", "/me", { cookie: `theme=dark; ${cookie}` });
    expect(JSON.parse(me.text)).toMatchObject({ principal: "key:admin", kind: "human" });
    expect(me.headers["cache-control"]).toBe("no-store");
    expect(me.headers.vary).toBe("cookie");
    expect((await call("GET", "/health")).headers.vary).toBe("cookie");
  });

  it("a session changes something only for pages of the gateway's own origin", async () => {
    const cookie = await logIn();
    const submit = (origin?: string) =>
      call(
        "POST",
        "/execute",
        { cookie, ...(origin !== undefined && { origin }) },
        { project: "demo", code: "1" },
      );
    const { port } = new URL(airlock.url);
    expect(codeOf(await submit())).toBe("403 origin_not_allowed");
    for (const origin of [
      "null",
      "https://evil.example",
      `http://localhost:${port}`,
      `https://localhost:${Number(port) + 1}`,
      `https://127.0.0.1:${port}`,
      `${airlock.url}/`,
      `${airlock.url}.evil.example`,
    ])
      expect([origin, codeOf(await submit(origin))]).toEqual([origin, "403 origin_not_allowed"]);
    expect((await submit(airlock.url)).status).toBe(202);
  });

  it("a session is refused under a name that is not the gateway's (DNS rebinding), and from pages of other sites", async () => {
    const cookie = await logIn();
    const rebound = { cookie, ":authority": "evil.example", origin: "https://evil.example" };
    expect(codeOf(await call("GET", "/me", rebound))).toBe("403 host_not_allowed");
    const embedded = {
      cookie,
      "sec-fetch-site": "cross-site",
      "sec-fetch-mode": "no-cors",
      "sec-fetch-dest": "image",
    };
    expect(codeOf(await call("GET", "/me", embedded))).toBe("403 origin_not_allowed");
    const foreign = await call("POST", "/session", { ...bearer(admin), origin: "https://evil.example" });
    expect([codeOf(foreign), foreign.headers["set-cookie"]]).toEqual(["403 origin_not_allowed", undefined]);
  });

  it.each<[string, (cookie: string) => OutgoingHttpHeaders]>([
    ["a cookie together with an Authorization header", (cookie) => ({ cookie, ...bearer(admin) })],
    ["two cookies", (cookie) => ({ cookie: `${cookie}; ${cookie.replace(/.$/, "x")}` })],
    ["the id of a session as a Bearer credential", (cookie) => bearer(cookie.split("=")[1] ?? "")],
    ["an API key as a cookie", () => ({ cookie: `__Host-airlock=${admin}` })],
    [
      "an id that the browser was given by somebody else",
      () => ({ cookie: `__Host-airlock=als_${"A".repeat(43)}` }),
    ],
    ["an empty cookie", () => ({ cookie: "__Host-airlock=" })],
    [
      "the cookie of plain HTTP",
      (cookie) => ({ cookie: cookie.replace("__Host-airlock", "airlock-session") }),
    ],
  ])("%s is no session", async (_, headersOf) => {
    const cookie = await logIn();
    const refused = await call("GET", "/me", headersOf(cookie));
    expect(codeOf(refused)).toBe("401 unauthenticated");
    expect(refused.text).not.toContain(cookie.split("=")[1]);
    // The session itself is as before.
    expect((await call("GET", "/me", { cookie })).status).toBe(200);
  });

  it("a login never takes over an id that the browser already had", async () => {
    const fixed = `__Host-airlock=als_${"B".repeat(43)}`;
    const refused = await call("POST", "/session", { cookie: fixed, ...bearer(admin), origin: airlock.url });
    expect(codeOf(refused)).toBe("401 unauthenticated");
    expect(await logIn()).not.toBe(fixed);
    expect(codeOf(await call("GET", "/me", { cookie: fixed }))).toBe("401 unauthenticated");
    const again = await call("POST", "/session", { cookie: await logIn(), origin: airlock.url });
    expect([codeOf(again), again.headers["www-authenticate"]]).toEqual(["401 unauthenticated", "Bearer"]);
  });

  it("a session that was ended is refused by every gateway within a second, and what is public is read without it", async () => {
    const cookie = await logIn();
    const elsewhere = { cookie, "x-forwarded-proto": "https" };
    expect((await at("GET", "/me", elsewhere)).status).toBe(200);
    expect(codeOf(await call("DELETE", "/session", { cookie }))).toBe("403 origin_not_allowed");
    const ended = await call("DELETE", "/session", { cookie, origin: airlock.url });
    expect([ended.status, ended.headers["set-cookie"]]).toEqual([204, [REMOVED]]);
    await sleep(1_000);
    const refused = await call("GET", "/me", { cookie });
    expect([codeOf(refused), refused.headers["set-cookie"]]).toEqual(["401 unauthenticated", [REMOVED]]);
    expect((await at("GET", "/me", elsewhere)).status).toBe(401);
    const page = await call("GET", "/", { cookie, accept: "text/html" });
    expect([page.status, page.headers["set-cookie"]]).toEqual([200, [REMOVED]]);
  });

  it.each([
    ["is revoked", (key: { key_id: string }) => call("DELETE", `/keys/${key.key_id}`, bearer(admin))],
    [
      "has a principal that is disabled",
      (_: unknown, name: string) =>
        call("PATCH", `/principals/key:${name}`, bearer(admin), { disabled: true }),
    ],
    ["expires", () => sleep(1_500)],
  ])("a session whose key %s is refused by every gateway within a second", async (title, end) => {
    const name = title.replaceAll(" ", "-");
    const key = await makeKey(name, { expires_in: title === "expires" ? 2 : 600 });
    const cookie = await logIn(key.key);
    const elsewhere = { cookie, "x-forwarded-proto": "https" };
    expect((await at("GET", "/me", elsewhere)).status).toBe(200);
    await end(key, name);
    await sleep(1_000);
    expect(codeOf(await call("GET", "/me", { cookie }))).toBe("401 unauthenticated");
    expect((await at("GET", "/me", elsewhere)).status).toBe(401);
  });
});

describe("a session over plain HTTP", () => {
  it("a session over plain HTTP is another cookie on this machine, and changes only for its own origin", async () => {
    const made = await at("POST", "/session", bearer(admin));
    expect(made.status).toBe(201);
    const set = made.headers.get("set-cookie") ?? "";
    expect(set).toMatch(/^airlock-session=als_[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/);
    const cookie = set.split(";")[0] ?? "";
    expect((await at("GET", "/me", { cookie })).status).toBe(200);
    expect((await at("DELETE", "/session", { cookie, origin: "http://pages.example" })).status).toBe(403);
    const own = `http://127.0.0.1:${second.port}`;
    const ended = await at("DELETE", "/session", { cookie, origin: own });
    expect([ended.status, ended.headers.get("set-cookie")]).toEqual([
      204,
      "airlock-session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0",
    ]);
  });

  it("a session over plain HTTP is refused under every other name, and its cookie counts for nothing there", async () => {
    const { request } = await import("node:http");
    const send = (method: string, headers: Record<string, string>) =>
      new Promise<{ status: number; text: string; cookie: unknown }>((resolve, reject) => {
        const to = {
          host: "127.0.0.1",
          port: second.port,
          path: method === "GET" ? "/me" : "/session",
          method,
        };
        request({ ...to, headers: { host: "pages.example", ...headers } }, async (answer) => {
          const text = (await answer.setEncoding("utf8").toArray()).join("");
          resolve({ status: answer.statusCode ?? 0, text, cookie: answer.headers["set-cookie"] });
        })
          .on("error", reject)
          .end();
      });
    const refused = await send("POST", bearer(admin));
    expect(refused).toMatchObject({ status: 403, cookie: undefined });
    expect(refused.text).toContain("https_required");
    const cookie =
      (await at("POST", "/session", bearer(admin))).headers.get("set-cookie")?.split(";")[0] ?? "";
    expect((await send("GET", { cookie })).status).toBe(401);
    const behindProxy = await send("POST", { ...bearer(admin), "x-forwarded-proto": "https" });
    expect(behindProxy).toMatchObject({ status: 201, cookie: [expect.stringMatching(HOST_COOKIE)] });
  });
});
