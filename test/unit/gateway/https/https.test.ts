import { once } from "node:events";
import { chmod, readFile, writeFile } from "node:fs/promises";
import type { Server } from "node:http";
import { createSecureServer } from "node:http2";
import { Agent, request } from "node:https";
import { type AddressInfo, connect as connectPlain, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Log } from "#common/service/log.ts";
import { createNodeTransport } from "#sdk/node-transport.ts";
import { boundConnections } from "../../../../gateway/rest/connections.ts";
import { ask, openHttp2 } from "../../../support/http2-client.ts";
import { makeWebCertificate, type WebCertificate } from "../../../support/web-certificate.ts";
import { startOver, type TestGateway, until } from "../fake-backends.ts";

let certificate: WebCertificate;
beforeAll(async () => {
  certificate = await makeWebCertificate();
});
afterAll(() => certificate.remove());

type Line = readonly [level: string, text: string];

/** A log whose lines the test reads. */
function noted() {
  const lines: Line[] = [];
  const note = (level: string) => (_fields: object, text?: string) =>
    void lines.push([level, text ?? String(_fields)]);
  const log = { info: note("info"), warn: note("warn"), error: note("error"), debug: note("debug") };
  return { lines, log: log as unknown as Log };
}

async function open(gateway: TestGateway, options: object = {}): Promise<TLSSocket> {
  const at = { port: gateway.port, host: "127.0.0.1", servername: "localhost", ca: certificate.ca };
  const socket = connect({ ...at, ...options });
  await Promise.race([
    once(socket, "secureConnect"),
    once(socket, "error").then(([error]) => Promise.reject(error)),
  ]);
  return socket;
}

describe("REST over HTTPS", () => {
  let gateway: TestGateway;
  let log: ReturnType<typeof noted>;
  beforeEach(async () => {
    await certificate.renew();
    log = noted();
    gateway = await startOver({}, log.log, {
      certificate: certificate.files,
      lookForCertificateEveryMs: 50,
      exceptNetwork: "127.0.1.0/24",
    });
  });
  afterEach(() => gateway.drain(0));

  it("REST over HTTPS is served over HTTP/1.1 on connections that stay open", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: certificate.ca });
    const ports = new Set<number | undefined>();
    for (const path of ["/health", "/skill.md", "/nowhere"]) {
      const sent = request(`${gateway.url}${path}`, { agent }).end();
      const [answer] = await once(sent, "response");
      ports.add(answer.socket.localPort);
      const text = (await answer.setEncoding("utf8").toArray()).join("");
      if (path === "/skill.md") expect(text).toContain(gateway.url);
      expect([answer.httpVersion, answer.headers["x-content-type-options"]]).toEqual(["1.1", "nosniff"]);
    }
    expect(ports.size).toBe(1);
    agent.destroy();
  });

  it("REST over HTTPS is what the SDK's own transport speaks, too", async () => {
    const transport = createNodeTransport({ tls: { ca: certificate.ca } });
    const asked = {
      method: "GET",
      headers: {},
      body: undefined,
      signal: new AbortController().signal,
    } as const;
    const answer = await transport.send({ ...asked, url: `${gateway.url}/health` });
    expect([answer.status, answer.text]).toEqual([200, '{"status":"ok"}']);
    transport.close();
  });

  it.each<[string, object, string]>([
    ["TLS 1.1", { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }, "ERR_SSL"],
    ["another protocol only", { ALPNProtocols: ["smtp"] }, "ERR_SSL"],
  ])("a client that speaks %s is refused", async (_, options, code) => {
    await expect(open(gateway, options)).rejects.toMatchObject({ code: expect.stringContaining(code) });
  });

  it("a client that speaks no TLS is refused, and so is one in a network that is excepted", async () => {
    const socket = connectPlain(gateway.port, "127.0.0.1").on("error", () => undefined);
    socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await once(socket.resume(), "close");
    await expect(open(gateway, { host: "127.0.1.1" })).rejects.toThrow();
    expect((await open(gateway)).destroy().destroyed).toBe(true);
  });

  it("bytes that are no HTTP are refused over HTTPS with a problem document", async () => {
    const socket = await open(gateway);
    socket.write("nonsense\r\n\r\n");
    let text = "";
    socket.on("data", (piece) => {
      text += piece;
    });
    await once(socket, "close");
    expect(text).toContain("malformed_http");
  });

  const serialOf = async () => {
    const socket = await open(gateway);
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  };

  it("a renewed certificate is used without a restart", async () => {
    const before = await serialOf();
    const kept = await open(gateway);
    await certificate.renew();
    while ((await serialOf()) === before) await sleep(20);
    // A connection that was open stays open.
    kept.write("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect(String((await once(kept, "data"))[0])).toContain("200 OK");
    kept.destroy();
    expect(log.lines).toContainEqual(["info", "a new certificate of the REST port is in use"]);
  });

  it("a renewed certificate that cannot be used is logged once, and the earlier one stays in use", async () => {
    const before = await serialOf();
    const refused = () => log.lines.filter(([level]) => level === "error");
    const { key } = await certificate.make();
    const valid = await certificate.make();
    await certificate.put(certificate.files.key, key);
    await until(() => refused().length === 1);
    await certificate.put(certificate.files.cert, "no certificate");
    await until(() => refused().length === 2);
    await certificate.renew(await certificate.make(new Date(Date.now() - 60_000)));
    await until(() => refused().length === 3);
    await sleep(200);
    expect(refused().length).toBe(3);
    expect(await serialOf()).toBe(before);
    await certificate.renew(valid);
    while ((await serialOf()) === before) await sleep(20);
  });
});

describe("the connections of an HTTPS server", () => {
  const LIMIT = 16;

  it("the connections of an HTTPS server that are idle, or speak no TLS, make room for others; held ones stay", async () => {
    const [cert, key] = await Promise.all([
      readFile(certificate.files.cert),
      readFile(certificate.files.key),
    ]);
    const server = createSecureServer({ cert, key, allowHTTP1: true });
    let held = 0;
    server.on("request", (asked: { readonly url: string }, response: { end(text: string): void }) => {
      if (asked.url === "/held") held += 1;
      else response.end("ok");
    });
    boundConnections(server as unknown as Server, LIMIT);
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const at = { port, url: `https://localhost:${port}` } as TestGateway;
    const over1 = await open(at);
    over1.write("GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const over2 = await openHttp2(at.url, certificate.ca);
    over2.request({ ":path": "/held" }).on("error", () => undefined);
    await until(() => held === 2);
    const flood: Socket[] = [];
    for (let n = 0; n < 3 * LIMIT; n++) {
      const idle = n % 2 === 0 ? connectPlain(port, "127.0.0.1") : await open(at);
      flood.push(idle.on("error", () => undefined).resume());
      if (n % 2 === 0) await once(idle, "connect");
      const asked = await openHttp2(at.url, certificate.ca);
      expect((await ask(asked, { ":path": "/" })).text).toBe("ok");
      asked.destroy();
    }
    expect(flood.filter(({ destroyed }) => !destroyed).length).toBeLessThan(LIMIT);
    expect([over1.destroyed, over2.destroyed]).toEqual([false, false]);
    for (const socket of [over1, over2, ...flood]) socket.destroy();
    server.close();
  });
});

describe("a certificate that cannot be used", () => {
  const start = () => startOver({}, undefined, { certificate: certificate.files });

  it("a certificate whose key every user may read stops the start with a sentence", async () => {
    await certificate.renew();
    await chmod(certificate.files.key, 0o644);
    await expect(start()).rejects.toThrow(`chmod o-rw ${certificate.files.key}`);
  });

  it("a certificate with another's key, or none, stops the start with a sentence", async () => {
    await certificate.renew();
    await certificate.put(certificate.files.key, (await certificate.make()).key);
    await expect(start()).rejects.toThrow("TLS_KEY is not the key of TLS_CERT");
    await writeFile(certificate.files.key, "");
    await expect(start()).rejects.toThrow("TLS_KEY holds no private key in PEM without a password");
    const files = { ...certificate.files, cert: "/nowhere" };
    await expect(startOver({}, undefined, { certificate: files })).rejects.toThrow(
      "TLS_CERT: the file /nowhere",
    );
  });
});
