import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, expect, it } from "vitest";
import { createLog } from "#common/service/log.ts";
import { startOver, type TestGateway } from "./fake-backends.ts";

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
