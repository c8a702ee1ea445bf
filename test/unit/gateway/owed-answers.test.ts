import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EXECUTION_ID, holdingBackend, startOver, type TestGateway } from "./fake-backends.ts";

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await startOver({ router: { getExecution: holdingBackend().getExecution } });
});
afterEach(() => gateway.drain(0));

/** Writes the parts with a pause between them, and reads until the server closes the connection. */
async function exchange(...parts: string[]): Promise<string> {
  const socket = connect(gateway.port, "127.0.0.1");
  let received = "";
  socket.on("data", (data) => {
    received += data;
  });
  const closed = once(socket, "end");
  for (const part of parts) {
    socket.write(part);
    await sleep(100);
  }
  await closed;
  socket.destroy();
  return received;
}

const statusesOf = (received: string) => received.match(/HTTP\/1\.1 \d+/g)?.map((line) => line.slice(9));
const HELD = `GET /executions/${EXECUTION_ID}?wait=1 HTTP/1.1\r\nhost: localhost\r\n\r\n`;
const HEALTH = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
const BODY = JSON.stringify({ project: "mock-project", code: "1" });
const JSON_HEAD = "host: localhost\r\ncontent-type: application/json";
const EXECUTE = `POST /execute HTTP/1.1\r\n${JSON_HEAD}\r\ncontent-length: ${BODY.length}\r\n\r\n${BODY}`;

describe("bytes that are no HTTP request", () => {
  it.each([
    ["while an answer is held", [HELD, "} "], ["200"]],
    ["in the same packet as a request with a body", [`${EXECUTE}} `], ["202"]],
    ["behind a request without a body", [`${HEALTH}} `], ["200"]],
    ["while two answers are owed", [HELD + EXECUTE, "} "], ["200", "202"]],
    ["twice, while an answer is held", [HELD, "} ", "} "], ["200"]],
    ["on a connection that was answered before", [HEALTH, `${HELD}} `], ["200", "200"]],
    [
      "in the headers of the next request",
      [HELD, "GET /health HTTP/1.1\r\nhost: a\r\n:bad\r\n\r\n"],
      ["200"],
    ],
    [
      "in the body of the next request",
      [HELD, `POST /execute HTTP/1.1\r\n${JSON_HEAD}\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n`],
      ["200"],
    ],
  ])(
    "bytes that are no HTTP request do not replace the answers to earlier requests: %s",
    async (_, parts, statuses) => {
      const received = await exchange(...parts);
      expect(statusesOf(received), received).toEqual(statuses);
      expect(received).toMatch(/^connection: close\r$/im);
    },
  );

  it("bytes that are no HTTP request are refused in the middle of the only request", async () => {
    const received = await exchange(
      `POST /execute HTTP/1.1\r\n${JSON_HEAD}\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n`,
    );
    expect(statusesOf(received)).toEqual(["400"]);
    expect(received).toContain('"malformed_http"');
  });
});

describe("a request that Node would answer by itself", () => {
  it("a request that expects something unknown is answered as if it did not", async () => {
    const received = await exchange(EXECUTE.replace("\r\n", "\r\nexpect: more\r\nconnection: close\r\n"));
    expect(statusesOf(received)).toEqual(["202"]);
  });

  it("a CONNECT request is refused with a problem document", async () => {
    const received = await exchange("CONNECT localhost:80 HTTP/1.1\r\nhost: localhost\r\n\r\n");
    expect(statusesOf(received)).toEqual(["405"]);
    expect(received).toMatch(/^allow: GET, POST\r$/im);
    expect(received).toContain('"method_not_allowed"');
  });

  it("a refused CONNECT request does not replace the answers to earlier requests", async () => {
    const received = await exchange(HELD, "CONNECT localhost:80 HTTP/1.1\r\nhost: localhost\r\n\r\n");
    expect(received).toBe("");
  });
});
