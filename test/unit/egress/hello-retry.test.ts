import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "#common/resilience/clock.ts";
import { type CertificateAuthority, openAuthority } from "../../../services/egress/interception-ca.ts";
import { copyBothWays, expectServerName } from "../../../services/egress/proxy/tls-passthrough.ts";
import { createRoute } from "../../../services/egress/routes/routes.ts";

const LISTED = "listed.example";
// As long as the listed one, so that it can be written over it.
const HIDDEN = "hidden.example";

let directory: string;
let authority: CertificateAuthority;
let servers: Server[];
/** The bytes that the server has got. */
let received: Buffer;
/** How the connections through the proxy ended. */
let endings: unknown[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-retry-"));
  authority = await openAuthority(directory, systemClock);
  servers = [];
  received = Buffer.alloc(0);
  endings = [];
});
afterEach(async () => {
  for (const server of servers) server.close();
  await rm(directory, { recursive: true });
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

type Pass = (chunks: AsyncIterable<Buffer>) => AsyncIterable<Buffer>;

/** A listener that passes connections on to `port`; `pass` gets what their clients send. */
async function startRelay(port: number, pass: Pass): Promise<number> {
  return await listen(
    createServer({ allowHalfOpen: true }, (socket) => {
      const next = connect({ host: "127.0.0.1", port, noDelay: true, allowHalfOpen: true });
      const over = () => {
        socket.destroy();
        next.destroy();
      };
      pipeline(socket, pass, next).catch(over);
      pipeline(next, socket).catch(over);
    }),
  );
}

/** A TLS server that greets by the name that it was asked for; `curve` is the only one that it takes. */
async function startServer(curve: string, maxVersion: "TLSv1.2" | "TLSv1.3" = "TLSv1.3"): Promise<number> {
  const options = {
    ecdhCurve: curve,
    maxVersion,
    SNICallback: async (name: string, done: (error: null, context: never) => void) =>
      done(null, (await authority.contextFor(name)) as never),
  };
  const server = createTlsServer(options, (socket) => {
    socket.on("error", () => undefined);
    socket.end(`this is ${(socket as unknown as { servername: string }).servername}`);
  });
  server.on("tlsClientError", () => undefined);
  const port = await listen(server);
  return await startRelay(port, async function* (chunks) {
    for await (const chunk of chunks) {
      received = Buffer.concat([received, chunk]);
      yield chunk;
    }
  });
}

/** What the proxy does for `CONNECT listed.example`, once it has dialled. */
async function startPassThrough(upstreamPort: number): Promise<number> {
  const { route } = createRoute(
    {
      ...{ project: "demo", executionId: "run", placeholders: [], filters: new Map() },
      network: { allowlist: [], allowPrivate: [], maxBytes: 1e6 },
    },
    { username: "run", password: "its-password" },
  );
  const serve = async (socket: Socket) => {
    const upstream = connect({ host: "127.0.0.1", port: upstreamPort, allowHalfOpen: true });
    socket.on("error", () => undefined);
    upstream.on("error", () => undefined);
    await expectServerName(socket, LISTED);
    await copyBothWays(socket, upstream, route, LISTED);
  };
  return await listen(
    createServer({ allowHalfOpen: true }, (socket) => {
      serve(socket).then(
        () => endings.push("ended"),
        (error: { verdict?: string; code?: string }) => {
          endings.push(error.verdict ?? error.code);
          socket.destroy();
        },
      );
    }),
  );
}

/** A client whose bytes pass `rewrite`, in pieces as the client writes them. Resolves to the greeting. */
async function greeting(port: number, rewrite: (chunk: Buffer, flight: number) => Buffer = (chunk) => chunk) {
  const relay = await startRelay(port, async function* (chunks) {
    let flight = 0;
    for await (const chunk of chunks) yield rewrite(chunk, flight++);
  });
  const client = connectTls({
    ...{ host: "127.0.0.1", port: relay, servername: LISTED, ca: authority.certificatePem },
    // The client offers a key for the first curve only, so a server with another one asks for a second hello.
    ecdhCurve: "X25519:secp521r1:prime256v1",
  });
  let text = "";
  client.on("data", (chunk) => {
    text += chunk;
  });
  return await new Promise<string>((resolve) => {
    client.once("error", (error) => resolve((error as NodeJS.ErrnoException).code ?? ""));
    client.once("close", () => resolve(text));
  });
}

const hellosAt = (bytes: Buffer) =>
  [...bytes.toString("latin1").matchAll(new RegExp(`${LISTED}|${HIDDEN}`, "g"))].map(([name]) => name);

const renamed = (chunk: Buffer) => Buffer.from(chunk.toString("latin1").replace(LISTED, HIDDEN), "latin1");

describe("a server that asks for a second ClientHello", () => {
  it.each([
    ["secp521r1", "TLSv1.3", 2],
    ["X25519", "TLSv1.3", 1],
    ["prime256v1", "TLSv1.2", 1],
  ] as const)(
    "TLS passes with curve %s and %s, which takes %d ClientHello",
    async (curve, version, hellos) => {
      const port = await startPassThrough(await startServer(curve, version));
      expect(await greeting(port)).toBe(`this is ${LISTED}`);
      expect(hellosAt(received)).toEqual(Array(hellos).fill(LISTED));
      await expect.poll(() => endings).toEqual(["ended"]);
    },
  );

  it("a second ClientHello passes in pieces of one byte", async () => {
    const port = await startPassThrough(await startServer("secp521r1"));
    const relay = await startRelay(port, async function* (chunks) {
      for await (const chunk of chunks) for (const byte of chunk) yield Buffer.from([byte]);
    });
    expect(await greeting(relay)).toBe(`this is ${LISTED}`);
    expect(hellosAt(received)).toEqual([LISTED, LISTED]);
  });

  it("a second ClientHello that names another server does not reach it", async () => {
    const port = await startPassThrough(await startServer("secp521r1"));
    await greeting(port, (chunk, flight) => (flight === 0 ? chunk : renamed(chunk)));
    await expect.poll(() => endings).toEqual(["sni_refused"]);
    expect(hellosAt(received)).toEqual([LISTED]);
  });

  it("a second ClientHello that is sent together with the first one is checked as well", async () => {
    const port = await startPassThrough(await startServer("secp521r1"));
    await greeting(port, (chunk, flight) => (flight === 0 ? Buffer.concat([chunk, renamed(chunk)]) : chunk));
    await expect.poll(() => endings).toEqual(["sni_refused"]);
    expect(hellosAt(received)).toEqual([LISTED]);
  });

  it("a second ClientHello in two records is refused", async () => {
    const port = await startPassThrough(await startServer("secp521r1"));
    const split = (chunk: Buffer) => {
      const at = chunk.indexOf(Buffer.from([22, 3, 3]));
      const length = chunk.readUInt16BE(at + 3);
      const record = (content: Buffer) =>
        Buffer.concat([Buffer.from([22, 3, 3, content.length >> 8, content.length & 255]), content]);
      const content = chunk.subarray(at + 5, at + 5 + length);
      return Buffer.concat([
        chunk.subarray(0, at),
        record(content.subarray(0, 10)),
        record(content.subarray(10)),
        chunk.subarray(at + 5 + length),
      ]);
    };
    await greeting(port, (chunk, flight) => (flight === 0 ? chunk : split(chunk)));
    await expect.poll(() => endings).toEqual(["sni_refused"]);
    expect(hellosAt(received)).toEqual([LISTED]);
  });

  it("a ClientHello that shares its record with another one is refused", async () => {
    const port = await startPassThrough(await startServer("secp521r1"));
    const doubled = (chunk: Buffer) => {
      const content = chunk.subarray(5);
      const length = content.length * 2;
      return Buffer.concat([
        chunk.subarray(0, 3),
        Buffer.from([length >> 8, length & 255]),
        content,
        renamed(content),
      ]);
    };
    await greeting(port, (chunk, flight) => (flight === 0 ? doubled(chunk) : chunk));
    await expect.poll(() => endings).toEqual(["sni_refused"]);
    expect(hellosAt(received)).toEqual([]);
  });
});
