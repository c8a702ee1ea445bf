import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { authorizationOf, startTestEgress, type TestEgress } from "../../harness/egress.ts";

// A little more than the megabyte that the project permits.
const LARGE = "x".repeat(1_100_000);
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** What the server sends to a request for each path. */
const RESPONSES: Readonly<Record<string, string>> = {
  "/body": `HTTP/1.1 200 OK\r\nContent-Length: ${LARGE.length}\r\n\r\n${LARGE}`,
  "/chunks": `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${"1\r\nx\r\n".repeat(1_000)}0\r\n\r\n`,
  "/headers": `HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(200)}Content-Length: 2\r\n\r\nok`,
  "/hints": `${"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"}${OK}`,
  "/continue": `HTTP/1.1 100 Continue\r\n\r\n${OK}`,
  "/processing": `HTTP/1.1 102 Processing\r\n\r\n${OK}`,
  "/many-hints": `${"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(20)}${OK}`,
  "/": OK,
};

let directory: string;
let server: Server;
let egress: TestEgress;
let runs = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-limit-"));
  server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (head: Buffer) => {
      const path = /^\w+ ([^ ?]*)/.exec(head.toString("latin1"))?.[1] ?? "/";
      socket.write(RESPONSES[path] ?? OK);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  await writeFile(
    join(directory, "small.yaml"),
    `name: small\nnetwork_allowlist: ["limit.example:${port}"]\nallow_private: [127.0.0.1]\nlimits: {network_mb: 1}\n`,
  );
  egress = await startTestEgress(directory);
});
afterAll(async () => {
  await egress.close();
  server.close();
  await rm(directory, { recursive: true });
});

/** A run with a network route. `ask` sends one request and resolves to all bytes of the answer. */
async function openRun() {
  const executionId = `execution-${runs++}`;
  const { network, stream } = await egress.holdRoute("small", executionId);
  const { port } = server.address() as { port: number };
  const ask = async (path: string, { method = "GET", headers = "", body = "" } = {}): Promise<string> => {
    const connection = await egress.worker.connect(executionId);
    connection.on("error", () => undefined);
    connection.write(
      `${method} http://limit.example:${port}${path} HTTP/1.1\r\nHost: limit.example:${port}\r\nConnection: close\r\nProxy-Authorization: ${authorizationOf(network)}\r\n${headers}\r\n${body}`,
    );
    let text = "";
    connection.on("data", (chunk) => {
      text += String(chunk);
    });
    await once(connection, "close");
    return text;
  };
  return { ask, end: () => stream.cancel() };
}

describe("the traffic limit of a run", () => {
  it.each(Object.keys(RESPONSES))(
    "a run that has received its limit gets nothing of %s, and the service lives on",
    async (path) => {
      const run = await openRun();
      await run.ask("/body");
      expect(await run.ask(path)).toMatch(/^HTTP\/1\.1 403 .*moved more than 1 MB in/s);
      run.end();
      const other = await openRun();
      expect(await other.ask("/")).toMatch(/^HTTP\/1\.1 200 OK\r\n.*ok$/s);
      other.end();
    },
  );

  it.each(["/hints", "/continue", "/processing"])(
    "a run within its limit gets what follows %s",
    async (path) => {
      const run = await openRun();
      expect(await run.ask(path)).toMatch(/^HTTP\/1\.1 200 OK\r\n.*ok$/s);
      run.end();
    },
  );

  it.each([
    ["its path", { path: `/${"x".repeat(1_000)}` }],
    ["its headers", { headers: "A: b\r\n".repeat(100) }],
    ["its body", { method: "POST", headers: "Content-Length: 1\r\n", body: "x" }],
    [
      "its chunks",
      { method: "POST", headers: "Transfer-Encoding: chunked\r\n", body: "1\r\nx\r\n0\r\n\r\n" },
    ],
  ])(
    "a run that has sent its limit sends nothing in %s, and the service lives on",
    async (_what, request) => {
      const run = await openRun();
      await run.ask("/", { method: "POST", headers: `Content-Length: ${LARGE.length}\r\n`, body: LARGE });
      const { path = "/", ...rest } = request as { path?: string };
      expect(await run.ask(path, rest)).toMatch(/^HTTP\/1\.1 403 .*moved more than 1 MB out/s);
      run.end();
      const other = await openRun();
      expect(await other.ask("/")).toMatch(/^HTTP\/1\.1 200 OK/);
      other.end();
    },
  );
});
