import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { PassThrough } from "node:stream";
import { connect } from "node:tls";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Refusal } from "../../../services/egress/policy/refusal.ts";
import { readClientHello } from "../../../services/egress/proxy/client-hello.ts";
import { expectServerName } from "../../../services/egress/proxy/tls-passthrough.ts";

/** The ClientHello that Node's own TLS sends. */
async function helloOf(servername: string | undefined): Promise<Buffer> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const client = connect({ host: "127.0.0.1", port, ...(servername !== undefined && { servername }) });
  client.on("error", () => undefined);
  const [socket] = (await once(server, "connection")) as [Socket];
  const [bytes] = (await once(socket, "data")) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}

/** A ClientHello with these extensions. */
function hello(extensions: readonly (readonly [type: number, content: Buffer])[]): Buffer {
  const vector = (size: number, content: Buffer) => {
    const length = Buffer.alloc(size);
    length.writeUIntBE(content.length, 0, size);
    return Buffer.concat([length, content]);
  };
  const list = extensions.map(([type, content]) => {
    const head = Buffer.alloc(2);
    head.writeUInt16BE(type);
    return Buffer.concat([head, vector(2, content)]);
  });
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32),
    Buffer.from([0, 0, 2, 0x13, 1, 1, 0]),
    vector(2, Buffer.concat(list)),
  ]);
  return Buffer.concat([
    Buffer.from([22, 3, 1]),
    vector(2, Buffer.concat([Buffer.from([1]), vector(3, body)])),
  ]);
}

function serverName(...names: string[]): readonly [number, Buffer] {
  const entries = names.map((name) => Buffer.concat([Buffer.from([0, 0, name.length]), Buffer.from(name)]));
  const list = Buffer.concat(entries);
  return [0, Buffer.concat([Buffer.from([list.length >> 8, list.length & 255]), list])];
}

describe("the reader of a ClientHello", () => {
  it("the reader of a ClientHello finds the server name in a real one, however it is cut", async () => {
    const bytes = await helloOf("Api.Example");
    expect(readClientHello(bytes)).toEqual({
      state: "complete",
      serverName: "api.example",
      hidesName: false,
    });
    for (let length = 0; length < bytes.length; length++) {
      expect(readClientHello(bytes.subarray(0, length))).toEqual({ state: "incomplete" });
    }
  });

  it("the reader of a ClientHello finds no server name where there is none", async () => {
    expect(readClientHello(await helloOf(undefined))).toEqual({
      state: "complete",
      serverName: undefined,
      hidesName: false,
    });
  });

  it("the reader of a ClientHello finds no server name where the real one is encrypted", () => {
    const plain = hello([serverName("api.example")]);
    expect(readClientHello(plain)).toEqual({
      state: "complete",
      serverName: "api.example",
      hidesName: false,
    });
    const encrypted = hello([serverName("api.example"), [0xfe0d, Buffer.from([0])]]);
    expect(readClientHello(encrypted)).toEqual({ state: "complete", serverName: undefined, hidesName: true });
  });

  it("the reader of a ClientHello refuses two names, two lists of names, and bytes that are not TLS", () => {
    const states = [
      hello([serverName("api.example", "evil.example")]),
      hello([serverName("api.example"), serverName("evil.example")]),
      Buffer.from("GET / HTTP/1.1\r\n\r\n"),
      Buffer.from([22, 3, 1, 0, 0]),
      Buffer.from([22, 3, 1, 0xff, 0xff]),
      Buffer.from([22, 3, 1, 0, 1, 2]),
    ].map((bytes) => readClientHello(bytes).state);
    expect(states).toEqual(["invalid", "invalid", "invalid", "invalid", "invalid", "invalid"]);
  });

  it("the reader of a ClientHello survives every kind of damage", () => {
    const bytes = hello([serverName("api.example"), [16, Buffer.from([0, 3, 2, 104, 50])]]);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        const damaged = Buffer.from(bytes);
        damaged[at] = value;
        expect(["complete", "incomplete", "invalid"]).toContain(readClientHello(damaged).state);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("TLS to an address", () => {
  /** The outcome of `expectServerName` for a connection that begins with these bytes. */
  const outcome = async (bytes: Buffer, host: string) => {
    const stream = new PassThrough();
    stream.write(bytes);
    return await expectServerName(stream, host).then(
      () => "passed",
      (error: unknown) => (error as Refusal).verdict,
    );
  };

  it.each(["127.0.0.1", "::1"])(
    "TLS to %s passes without a server name, as clients send it",
    async (host) => {
      expect(await outcome(await helloOf(undefined), host)).toBe("passed");
      expect(await outcome(hello([]), host)).toBe("passed");
      expect(await outcome(hello([serverName(host)]), host)).toBe("passed");
    },
  );

  it("TLS to an address is refused with another name, and with a name that is encrypted", async () => {
    expect(await outcome(await helloOf("api.example"), "127.0.0.1")).toBe("sni_refused");
    expect(await outcome(hello([serverName("127.0.0.2")]), "127.0.0.1")).toBe("sni_refused");
    expect(await outcome(hello([[0xfe0d, Buffer.from([0])]]), "127.0.0.1")).toBe("sni_refused");
  });

  it("TLS to a host is refused without a server name", async () => {
    expect(await outcome(await helloOf(undefined), "api.example")).toBe("sni_refused");
  });
});
