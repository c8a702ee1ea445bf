import { once } from "node:events";
import type { ClientHttp2Session, OutgoingHttpHeaders } from "node:http2";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { RouterBackend } from "../../../../gateway/backends/router.ts";
import { answerOf, ask, openHttp2, rawHttp2Request } from "../../../support/http2-client.ts";
import { makeWebCertificate, type WebCertificate } from "../../../support/web-certificate.ts";
import {
  EXECUTION_ID,
  execution,
  holdingBackend,
  startOver,
  type TestGateway,
  until,
} from "../fake-backends.ts";

const MIB = 1024 * 1024;
const JSON_POST = { ":method": "POST", "content-type": "application/json" };
const SUBMIT = { ":path": "/execute", ...JSON_POST };
const HELD = { ":path": `/executions/${EXECUTION_ID}?wait=20` };

let certificate: WebCertificate;
let gateway: TestGateway;
let session: ClientHttp2Session;
beforeAll(async () => {
  certificate = await makeWebCertificate();
});
afterAll(() => certificate.remove());
afterEach(async () => {
  session.destroy();
  await gateway.drain(0);
});

async function start(router: Partial<RouterBackend> = {}, stalledAfterMs = 30_000): Promise<void> {
  gateway = await startOver({ router }, undefined, { certificate: certificate.files, stalledAfterMs });
  session = await openHttp2(gateway.url, certificate.ca);
}

const codeOf = ({ text }: { readonly text: string }) => (JSON.parse(text) as { code: string }).code;

describe("requests over HTTP/2", () => {
  it("requests over HTTP/2 are answered side by side, with the headers of HTTP/1.1", async () => {
    await start();
    const body = JSON.stringify({ project: "mock-project", code: "print(1)" });
    const [health, submitted, head, docs, openApi] = await Promise.all([
      ask(session, { ":path": "/health" }),
      ask(session, SUBMIT, body),
      ask(session, { ":path": "/health", ":method": "HEAD" }),
      ask(session, { ":path": "/docs/static/swagger-ui.css" }),
      ask(session, { ":path": "/openapi.json" }),
    ]);
    expect(health).toMatchObject({ status: 200, text: '{"status":"ok"}' });
    expect(health.headers["x-content-type-options"]).toBe("nosniff");
    expect(health.headers.connection).toBeUndefined();
    expect(submitted.status).toBe(202);
    expect(head).toMatchObject({ status: 200, text: "" });
    expect(docs.status).toBe(200);
    expect(JSON.parse(openApi.text)).toMatchObject({ openapi: "3.1.0" });
    const page = await ask(session, { ":path": "/skill.md" });
    expect(page.text).toContain(gateway.url);
  });

  it("a body over HTTP/2 needs no length and no type to be noticed", async () => {
    await start();
    const untyped = await ask(
      session,
      { ":path": "/execute", ":method": "POST" },
      '{"project": "mock-project"}',
    );
    expect([untyped.status, codeOf(untyped)]).toEqual([415, "unsupported_media_type"]);
    const empty = await ask(session, SUBMIT, "");
    expect([empty.status, codeOf(empty)]).toEqual([400, "invalid_json"]);
  });

  it.each<[string, OutgoingHttpHeaders, string]>([
    ["names another site's host", { ":authority": "evil.example" }, "host_not_allowed"],
    ["names two hosts", { ":authority": "localhost", host: "evil.example" }, "malformed_http"],
    ["names another scheme", { ":scheme": "http" }, "malformed_http"],
    ["comes from a page of another site", { origin: "https://evil.example" }, "origin_not_allowed"],
    ["has headers of 20 kB", { "x-large": "x".repeat(20_000) }, "headers_too_large"],
    ["goes to no route", { ":path": "/nowhere" }, "route_not_found"],
  ])("a request over HTTP/2 that %s is refused", async (_, headers, code) => {
    await start();
    const refused = await ask(session, { ":path": "/health", ...headers });
    expect(codeOf(refused)).toBe(code);
    expect(refused.headers["content-type"]).toContain("application/problem+json");
    expect((await ask(session, { ":path": "/health" })).status).toBe(200);
  });

  it("CONNECT over HTTP/2 is refused with 405", async () => {
    await start();
    const refused = await answerOf(session.request({ ":method": "CONNECT", ":authority": "localhost:1" }));
    expect([refused.status, codeOf(refused), refused.headers.allow]).toEqual([
      405,
      "method_not_allowed",
      "GET, POST",
    ]);
  });

  it.each(["FOO", "get", "pOST", "toString"])(
    "a request over HTTP/2 with the method %s, which no parser of HTTP/1.1 takes, is refused and counted like any other",
    async (method) => {
      await start();
      const refused = await ask(session, { ":path": "/execute", ":method": method });
      expect([refused.status, codeOf(refused), refused.headers.allow]).toEqual([
        405,
        "method_not_allowed",
        "POST",
      ]);
      expect(refused.headers["content-type"]).toContain("application/problem+json");
      const astray = await ask(session, { ":path": "/nowhere", ":method": method }, "{}");
      expect([astray.status, codeOf(astray)]).toEqual([404, "route_not_found"]);
      const foreign = await ask(session, {
        ":path": "/execute",
        ":method": method,
        ":authority": "evil.example",
      });
      expect(codeOf(foreign)).toBe("host_not_allowed");
      const { text } = await ask(session, { ":path": "/metrics" });
      expect(text).toMatch(/airlock_http_requests_total\{[^}]*route="unmatched",status="405"\} 1/);
      expect(text).not.toContain(`"${method}"`);
    },
  );

  it("bodies over HTTP/2 that are too large are refused while they arrive, one after the other", async () => {
    await start();
    for (let n = 0; n < 4; n++) {
      const stream = session.request(SUBMIT, { endStream: false });
      const answer = answerOf(stream);
      Readable.from(Array.from({ length: 40 }, () => Buffer.alloc(MIB, 32))).pipe(stream);
      expect(codeOf(await answer)).toBe("payload_too_large");
    }
    expect((await ask(session, { ":path": "/health" })).status).toBe(200);
  });
});

describe("a held poll over HTTP/2", () => {
  it("a held poll over HTTP/2 ends with its stream, and others on the connection go on", async () => {
    const holding = holdingBackend();
    await start({ getExecution: holding.getExecution });
    const [one, , head] = [HELD, HELD, { ...HELD, ":method": "HEAD" }].map((headers) => {
      const stream = session.request(headers);
      stream.on("error", () => undefined);
      return stream;
    });
    await until(() => holding.calls.length === 3);
    one?.close(8);
    head?.close(8);
    await until(() => holding.calls.filter(({ outcome }) => outcome === "cancelled").length === 2);
    expect(holding.calls.filter(({ outcome }) => outcome === "held").length).toBe(1);
    session.destroy();
    await until(() => holding.calls.every(({ outcome }) => outcome === "cancelled"));
  });

  it("a held poll over HTTP/2 is answered when the gateway stops, and clients are told to go elsewhere", async () => {
    const holding = holdingBackend();
    await start({ getExecution: holding.getExecution });
    const goneAway = once(session, "goaway");
    const held = ask(session, HELD);
    await until(() => holding.calls.length === 1);
    const stopped = gateway.drain(5_000);
    const [answer, [code]] = await Promise.all([held, goneAway]);
    expect(answer.status).toBe(200);
    expect(code).toBe(0);
    await stopped;
    expect(session.destroyed || session.closed).toBe(true);
  });

  it("requests over HTTP/2 that arrive while the gateway begins to stop are served", async () => {
    await start();
    const asked = ask(session, { ":path": "/health" });
    const stopped = gateway.drain(5_000);
    expect((await asked).status).toBe(200);
    await stopped;
  });
});

describe("an aborted upload over HTTP/2", () => {
  it("an aborted upload over HTTP/2 starts nothing", async () => {
    let submitted = 0;
    await start({
      submit: async () => {
        submitted += 1;
        throw new Error("not reached");
      },
    });
    const whole = JSON.stringify({ project: "mock-project", code: "print(1)" });
    for (const [text, headers] of [
      [whole, {}],
      [whole.slice(0, 20), {}],
      [whole, { "content-length": whole.length + 10 }],
    ] as const) {
      const stream = session.request({ ...SUBMIT, ...headers }, { endStream: false });
      stream.on("error", () => undefined);
      stream.write(text);
      await sleep(30);
      stream.destroy();
      await once(stream, "close");
    }
    expect((await ask(session, { ":path": "/health" })).status).toBe(200);
    expect(submitted).toBe(0);
  });
});

describe("an answer over HTTP/2", () => {
  const large = { getExecution: async () => execution({ stdout: "x".repeat(12 * MIB) }) };

  it("a large answer over HTTP/2 arrives whole, slowly too", async () => {
    await start(large, 1_500);
    const stream = session.request({ ":path": `/executions/${EXECUTION_ID}` });
    let bytes = 0;
    stream.on("data", (piece: Buffer) => {
      bytes += piece.length;
      stream.pause();
      setTimeout(() => stream.resume(), bytes % 8 === 0 ? 5 : 0);
    });
    await once(stream, "close");
    expect(stream.rstCode).toBe(0);
    expect(bytes).toBeGreaterThan(12 * MIB);
  });

  it("an answer over HTTP/2 that its client does not read is broken off, and others on the connection go on", async () => {
    await start(large, 500);
    const stream = session.request({ ":path": `/executions/${EXECUTION_ID}` });
    const closed = once(stream, "close");
    stream.on("error", () => undefined);
    await once(stream, "response");
    const small = await ask(session, { ":path": "/health" });
    expect(small.status).toBe(200);
    await closed;
    expect(stream.rstCode).not.toBe(0);
    expect((await ask(session, { ":path": "/health" })).status).toBe(200);
  });

  it("a connection over HTTP/2 that takes no bytes at all is closed with its answer", async () => {
    await start(large, 500);
    const client = connect({
      port: gateway.port,
      host: "127.0.0.1",
      servername: "localhost",
      ca: certificate.ca,
      ALPNProtocols: ["h2"],
    });
    client.on("error", () => undefined);
    await once(client, "secureConnect");
    client.pause();
    client.write(rawHttp2Request("localhost", `/executions/${EXECUTION_ID}`));
    // Bytes that the kernel has kept for the client come first, then the end.
    await sleep(3_000);
    const gone = once(client, "close");
    let bytes = 0;
    client.on("data", (piece: Buffer) => {
      bytes += piece.length;
    });
    client.resume();
    await gone;
    expect(bytes).toBeLessThan(12 * MIB);
  });
});
