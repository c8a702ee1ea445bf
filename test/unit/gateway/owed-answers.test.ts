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

describe("a request that would rather speak another protocol", () => {
  const UPGRADE = HEALTH.replace("\r\n\r\n", "\r\nconnection: Upgrade\r\nupgrade: h2c\r\n\r\n");
  const SMUGGLED = "GET /skill.md HTTP/1.1\r\nhost: localhost\r\n\r\n";

  it.each([
    ["alone", [UPGRADE]],
    ["together with the next request", [UPGRADE + EXECUTE]],
    ["before the next request", [UPGRADE, EXECUTE]],
    [
      "together with the head of a request whose body looks like a request",
      [
        `${UPGRADE}POST /execute HTTP/1.1\r\n${JSON_HEAD}\r\ncontent-length: ${SMUGGLED.length}\r\n\r\n`,
        SMUGGLED,
      ],
    ],
    ["on a connection whose next bytes are none", [UPGRADE, "} "]],
  ])("a request with an Upgrade header is answered, and nothing after it is: %s", async (_, parts) => {
    const received = await exchange(...parts);
    expect(statusesOf(received), received).toEqual(["200"]);
    expect(received).toContain('{"status":"ok"}');
    expect(received).toMatch(/^connection: close\r$/im);
  });

  it("a request with an Upgrade header and a body is served whole, and nothing after it is", async () => {
    const upgrade = EXECUTE.replace("\r\n", "\r\nconnection: Upgrade\r\nupgrade: h2c\r\n");
    expect(statusesOf(await exchange(upgrade))).toEqual(["202"]);
    expect(statusesOf(await exchange(upgrade + HEALTH))).toEqual(["202"]);
    expect(statusesOf(await exchange(upgrade.slice(0, -5), upgrade.slice(-5) + HEALTH, HEALTH))).toEqual([
      "202",
    ]);
  });

  it("a request with an Upgrade header behind one that is still unanswered is served in its turn", async () => {
    const received = await exchange(HELD + UPGRADE + EXECUTE, EXECUTE);
    expect(statusesOf(received), received).toEqual(["200", "200"]);
    expect(received).toMatch(/\{"status":"ok"\}$/);
  });

  it("a held answer to a request with an Upgrade header does not outlive the gateway", async () => {
    const held = HELD.replace("wait=1", "wait=50").replace(
      "\r\n",
      "\r\nconnection: Upgrade\r\nupgrade: h2c\r\n",
    );
    const ended = exchange(held);
    await sleep(200);
    await gateway.drain(100);
    await ended;
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
