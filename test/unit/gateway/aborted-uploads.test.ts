import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterEach, expect, it } from "vitest";
import { onceClosed } from "#common/http/response-closed.ts";
import { createLog } from "#common/service/log.ts";
import { heldBytes } from "../../support/held-memory.ts";
import { EXECUTION_ID, holdingBackend, startOver, type TestGateway } from "./fake-backends.ts";

let gateway: TestGateway | undefined;
afterEach(() => gateway?.drain(0));

/** Sends a part of a request and resets the connection. */
async function abort(sent: string): Promise<void> {
  const socket = connect(gateway?.port as number, "127.0.0.1");
  await once(socket, "connect");
  await new Promise((resolve) => socket.write(sent, resolve));
  await once(socket.setTimeout(100), "timeout");
  socket.resetAndDestroy();
  await once(socket, "close");
}

it("an upload that the client aborts is not logged as an error of Airlock, however it is framed", async () => {
  const lines: string[] = [];
  gateway = await startOver({}, createLog("gateway", "debug", { write: (line) => void lines.push(line) }));
  const head = "HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
  await abort(`POST /execute ${head}content-length: 1000\r\n\r\n{"project"`);
  await abort(`POST /execute ${head}transfer-encoding: chunked\r\n\r\n10\r\n{"project"`);
  await abort(`POST /nowhere ${head}content-length: 1000\r\n\r\n{"project"`);
  await abort(`POST /projects/mock-project/up ${head}content-length: 1000\r\n\r\n{`);
  await abort("POST /execute HTTP/1.1\r\nhost: loc");
  expect((await fetch(`${gateway.url}/health`)).status).toBe(200);
  const levels = lines.map((line) => (JSON.parse(line) as { level: number }).level);
  expect(Math.max(...levels)).toBe(20);
  expect(lines.join("")).not.toContain("stack");
});

it("uploads and held polls that the client aborts leave nothing in memory", async () => {
  gateway = await startOver({ router: { getExecution: holdingBackend().getExecution } });
  const head = "HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
  const upload = `POST /execute ${head}content-length: 8000000\r\n\r\n${"x".repeat(4_000_000)}`;
  const poll = `GET /executions/${EXECUTION_ID}?wait=60 ${head}\r\n`;
  const abortAll = async (uploads: number, polls: number) => {
    for (let n = 0; n < uploads; n++) await abort(upload);
    for (let n = 0; n < polls; n += 50) await Promise.all(Array.from({ length: 50 }, () => abort(poll)));
  };
  await abortAll(2, 50);
  const before = await heldBytes();
  await abortAll(10, 400);
  // The uploads alone have 40 MB.
  expect((await heldBytes()) - before).toBeLessThan(5_000_000);
});

it("an action for the end of a response runs although the response has been closed before", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const socket = connect(port, "127.0.0.1");
  socket.write("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
  const [, response] = (await once(server, "request")) as [unknown, ServerResponse];
  const early = new Promise<void>((resolve) => onceClosed(response, resolve));
  socket.destroy();
  await early;
  await new Promise<void>((resolve) => onceClosed(response, resolve));
  server.close();
});
