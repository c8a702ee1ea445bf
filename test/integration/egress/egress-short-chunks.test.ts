import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { authorizationOf, startTestEgress, type TestEgress } from "../../harness/egress.ts";
import { heldBytes } from "../../support/held-memory.ts";

const MIB = 1024 * 1024;
const CHUNKS = 700_000;
const BODY = "1\r\nX\r\n".repeat(CHUNKS);

let directory: string;
let server: Server;
let accepted = Promise.withResolvers<Socket>();
let egress: TestEgress;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-chunks-"));
  server = createServer((socket) => {
    socket.on("error", () => undefined);
    accepted.resolve(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  await writeFile(
    join(directory, "open.yaml"),
    `name: open\nnetwork_allowlist: ["chunks.example:${port()}"]\nallow_private: [127.0.0.1]\nlimits: {network_mb: 100}\n`,
  );
  egress = await startTestEgress(directory);
});
afterAll(async () => {
  await egress.close();
  server.close();
  await rm(directory, { recursive: true });
});

const port = () => (server.address() as { port: number }).port;

/** A run's connection to the proxy, and what a request on it begins with. */
async function open() {
  accepted = Promise.withResolvers();
  const { network, stream } = await egress.holdRoute("open", "e");
  const connection = await egress.worker.connect("e");
  connection.on("error", () => undefined);
  const head = (method: string) =>
    `${method} http://chunks.example:${port()}/ HTTP/1.1\r\nHost: chunks.example:${port()}\r\nProxy-Authorization: ${authorizationOf(network)}\r\n`;
  const close = () => {
    connection.destroy();
    stream.cancel();
  };
  return { connection, head, close };
}

/** By how much the memory of this process has grown a few seconds after `begin`. */
async function growth(begin: () => void): Promise<number> {
  const before = await heldBytes();
  begin();
  await delay(4_000);
  return (await heldBytes()) - before;
}

describe("a body of chunks of one byte", () => {
  it("a request body in chunks of one byte takes little memory while the server reads nothing", async () => {
    const { connection, head, close } = await open();
    const bytes = await growth(() => {
      connection.write(`${head("POST")}Transfer-Encoding: chunked\r\n\r\n`);
      connection.write(BODY);
      void accepted.promise.then((socket) => socket.pause());
    });
    close();
    (await accepted.promise).destroy();
    expect(bytes).toBeLessThan(25 * MIB);
  });

  it("a request body in chunks of one byte arrives whole at the server", async () => {
    const { connection, head, close } = await open();
    connection.write(`${head("POST")}Transfer-Encoding: chunked\r\n\r\n`);
    connection.write(`${BODY}0\r\n\r\n`);
    const socket = await accepted.promise;
    let text = "";
    for await (const piece of socket) {
      text += String(piece);
      if (text.endsWith("0\r\n\r\n")) break;
    }
    close();
    expect(text.slice(text.indexOf("\r\n\r\n")).match(/X/g)).toHaveLength(CHUNKS);
    // The proxy sends many small chunks as one.
    expect(text.length).toBeLessThan(CHUNKS * 2);
  });

  it("a response body in chunks of one byte arrives whole at a script that reads late, and takes little memory until then", async () => {
    const { connection, head, close } = await open();
    connection.write(`${head("GET")}\r\n`);
    const socket = await accepted.promise;
    const bytes = await growth(() => {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      socket.end(`${BODY}0\r\n\r\n`);
    });
    let text = "";
    for await (const piece of connection) {
      text += String(piece);
      if (text.endsWith("0\r\n\r\n")) break;
    }
    close();
    expect(text.slice(text.indexOf("\r\n\r\n")).match(/X/g)).toHaveLength(CHUNKS);
    expect(bytes).toBeLessThan(25 * MIB);
  });

  it("each chunk of one byte in a body counts as 64 bytes, so that the run's limit ends it", async () => {
    const { connection, head, close } = await open();
    void accepted.promise.then((socket) => socket.resume());
    connection.write(`${head("POST")}Transfer-Encoding: chunked\r\n\r\n`);
    connection.write(BODY);
    connection.write(BODY);
    connection.write(BODY);
    let text = "";
    for await (const piece of connection) {
      text += String(piece);
      if (text.includes("network_mb")) break;
    }
    close();
    expect(text).toMatch(/^HTTP\/1\.1 403 .*more than 100 MB out/);
  });
});
