import { once } from "node:events";
import { type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, it } from "vitest";
import { readGatewayConfig } from "../../../gateway/config.ts";
import { startOver, type TestGateway } from "./fake-backends.ts";

const ADDRESSES = {
  AIRLOCK_ROUTER_ADDRESS: "unix:/r",
  AIRLOCK_POOL_MANAGER_ADDRESS: "unix:/p",
  AIRLOCK_AUTHORITY_ADDRESS: "unix:/a",
};

let gateway: TestGateway;
afterEach(() => gateway?.drain(0));

async function ask(
  headers: Record<string, string>,
  { method = "GET", path = "/skill.md", body: sentBody = "" } = {},
): Promise<{ status: number; code: string; body: string; headers: IncomingHttpHeaders }> {
  const sent = request({ port: gateway.port, host: "127.0.0.1", method, path, headers }).end(sentBody);
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const body = await text(response);
  const { statusCode: status = 0 } = response;
  const code = status < 400 ? "" : JSON.parse(body).code;
  return { status, code, body, headers: response.headers };
}

describe("a gateway that has names", () => {
  it("a gateway with host names answers to them, and to web pages that come from them", async () => {
    gateway = await startOver({}, undefined, { hostNames: ["airlock.corp.example"] });
    expect(await ask({ host: "airlock.corp.example" })).toMatchObject({ status: 200 });
    expect(await ask({ host: "Airlock.Corp.Example:8443" })).toMatchObject({ status: 200 });
    const page = { origin: "https://airlock.corp.example" };
    expect(await ask({ host: "127.0.0.1:8000", ...page })).toMatchObject({ status: 200 });
    expect(await ask({ host: "corp.example" })).toMatchObject({ code: "host_not_allowed" });
    expect(await ask({ host: "localhost", origin: "https://corp.example" })).toMatchObject({
      code: "origin_not_allowed",
    });
  });

  it("a gateway reads its host names from AIRLOCK_HOST_NAMES", () => {
    const read = (names: string) => readGatewayConfig({ ...ADDRESSES, AIRLOCK_HOST_NAMES: names }).hostNames;
    expect(read(" Airlock.example, second ")).toEqual(["airlock.example", "second"]);
    expect(read("")).toEqual([]);
    for (const wrong of ["http://a.example", "a.example:80", "*.example", "a b", "-"]) {
      expect(() => read(wrong)).toThrow("AIRLOCK_HOST_NAMES must be host names");
    }
  });
});

describe("a gateway on more than loopback", () => {
  it("a gateway on more than loopback answers to addresses and its own names only, because a page may point other names to it", async () => {
    gateway = await startOver({}, undefined, { host: "0.0.0.0", hostNames: ["gateway"] });
    expect((await ask({ host: "gateway:8000" })).body).toContain("http://gateway:8000/execute");
    // The network that a browser is in gives such a name to whom it likes.
    for (const from of [{ origin: "http://gateway:8000" }, { "sec-fetch-site": "same-origin" }])
      expect(await ask({ host: "gateway:8000", ...from })).toMatchObject({ code: "host_not_allowed" });
    expect(await ask({ host: "127.0.0.1:8000", origin: "http://gateway" })).toMatchObject({
      code: "origin_not_allowed",
    });
    expect(await ask({ host: "192.0.2.7:8000" })).toMatchObject({ status: 200 });
    expect(await ask({ host: "[2001:db8::7]:8000" })).toMatchObject({ status: 200 });
    const rebound = "rebind.attacker.example:8000";
    for (const headers of [{ host: rebound }, { host: rebound, origin: `http://${rebound}` }]) {
      expect(await ask(headers)).toMatchObject({ status: 403, code: "host_not_allowed" });
    }
    expect(await ask({ host: "127.0.0.1:8000", origin: "http://elsewhere.example" })).toMatchObject({
      code: "origin_not_allowed",
    });
  });

  it("a gateway on more than loopback repeats no Host header that is not a host name", async () => {
    gateway = await startOver({}, undefined, { host: "0.0.0.0" });
    const { code, body } = await ask({ host: "x/ evil`$(id)`" });
    expect(code).toBe("host_not_allowed");
    expect(body).not.toContain("evil");
  });

  it("a gateway on more than loopback answers to the name that it listens on", async () => {
    gateway = await startOver({}, undefined, { host: "localhost" });
    expect(await ask({ host: "localhost" })).toMatchObject({ status: 200 });
  });
});

describe("a page of another origin whose host is listed", () => {
  const page = { host: "127.0.0.1:8000", origin: "http://localhost:3000" };
  const json = { ...page, "content-type": "application/json" };

  it("a page of a listed origin may send a browser's preflight request, and read the answer, also a refusal", async () => {
    gateway = await startOver({}, undefined, { hostNames: ["localhost"] });
    const asked = {
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type",
    };
    const preflight = await ask({ ...page, ...asked }, { method: "OPTIONS", path: "/execute" });
    expect(preflight).toMatchObject({ status: 204, body: "" });
    expect(preflight.headers).toMatchObject({
      "access-control-allow-origin": "http://localhost:3000",
      "access-control-allow-methods": "GET, POST, PATCH, DELETE",
      "access-control-allow-headers": "authorization, content-type, idempotency-key",
      vary: "origin",
    });
    const body = JSON.stringify({ project: "mock-project", code: "print(1)" });
    const accepted = await ask(json, { method: "POST", path: "/execute", body });
    expect(accepted.status).toBe(202);
    const refused = await ask(json, { method: "POST", path: "/execute", body: "{}" });
    expect(refused.code).toBe("invalid_request");
    for (const { headers } of [preflight, accepted, refused]) {
      expect(headers["access-control-allow-origin"]).toBe("http://localhost:3000");
      expect(headers).not.toHaveProperty("access-control-allow-credentials");
    }
    expect(accepted.headers["access-control-expose-headers"]).toContain("retry-after");
  });

  it("pages of other origins than the listed one get no answer and no CORS headers, and programs get no CORS headers", async () => {
    gateway = await startOver({}, undefined, { hostNames: ["localhost"] });
    const preflight = { "access-control-request-method": "POST" };
    for (const origin of [
      "http://evil.example",
      "null",
      "http://localhost.evil.example",
      "app://localhost",
    ]) {
      const answer = await ask({ ...page, origin, ...preflight }, { method: "OPTIONS", path: "/execute" });
      expect(answer).toMatchObject({ status: 403, code: "origin_not_allowed" });
      expect(answer.headers).not.toHaveProperty("access-control-allow-origin");
    }
    const program = await ask({ host: "127.0.0.1:8000" });
    expect(program.status).toBe(200);
    expect(program.headers).not.toHaveProperty("access-control-allow-origin");
    expect((await ask({ host: "127.0.0.1:8000" }, { method: "OPTIONS", path: "/execute" })).status).toBe(405);
  });

  it("no page of another origin is answered unless its host is listed", async () => {
    gateway = await startOver({});
    expect(await ask(page)).toMatchObject({ status: 403, code: "origin_not_allowed" });
  });
});

describe("a request without an Origin header", () => {
  const from = (site: string, mode: string, dest: string) =>
    ask({ "sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest }, { path: "/executions" });

  it("a request without an Origin header is refused when a page of another site loads it, and not when a person follows a link to it", async () => {
    gateway = await startOver({});
    for (const site of ["cross-site", "same-site"]) {
      expect(await from(site, "no-cors", "image")).toMatchObject({ status: 403, code: "origin_not_allowed" });
      expect(await from(site, "no-cors", "empty")).toMatchObject({ status: 403, code: "origin_not_allowed" });
      expect(await from(site, "navigate", "iframe")).toMatchObject({
        status: 403,
        code: "origin_not_allowed",
      });
      expect((await from(site, "navigate", "document")).status).toBe(200);
    }
    expect((await from("same-origin", "cors", "empty")).status).toBe(200);
    for (const path of ["/projects/demo/down", "/projects/demo/up", "/executions/x/cancel"]) {
      const form = {
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "document",
      };
      expect(await ask(form, { path, method: "POST" })).toMatchObject({
        status: 403,
        code: "origin_not_allowed",
      });
    }
    expect((await from("none", "navigate", "document")).status).toBe(200);
  });
});

describe("every answer", () => {
  it("every answer forbids content sniffing and frames, and restricts its use to this origin", async () => {
    gateway = await startOver({});
    const paths = [
      "/",
      "/docs",
      "/docs/static/index.html",
      "/skill.md",
      "/metrics",
      "/nowhere",
      "/%zz",
      "/executions/x",
    ];
    for (const path of paths) {
      const { headers } = await ask({ accept: "text/html" }, { path });
      expect(headers, path).toMatchObject({
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
        "content-security-policy": expect.stringContaining("frame-ancestors 'none'"),
      });
    }
    expect((await ask({ accept: "text/html" }, { path: "/" })).headers["content-security-policy"]).toContain(
      "default-src",
    );
    const socket = connect(gateway.port, "127.0.0.1").end("no HTTP\r\n\r\n");
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 400 .*x-content-type-options: nosniff/s);
  });
});
