import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { restClient } from "../../harness/rest.ts";
import { heldBytes } from "../../support/held-memory.ts";
import {
  EXECUTION_ID,
  execution,
  holdingBackend,
  startOver,
  type TestGateway,
  until,
} from "./fake-backends.ts";

const MIB = 1024 * 1024;
const HALF = Buffer.alloc(7 * MIB, "x");

let gateway: TestGateway;
let sockets: Socket[];
beforeEach(async () => {
  gateway = await startOver({});
  sockets = [];
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await gateway.drain(0);
});

/** Sends half of a body of fourteen megabytes; `finish` sends the rest and resolves to the answer. */
async function sendHalf(): Promise<{ finish(): Promise<string> }> {
  const socket = connect(gateway.port, "127.0.0.1");
  sockets.push(socket);
  await once(socket, "connect");
  let answer = "";
  socket.on("data", (data) => {
    answer += data;
  });
  socket.write(
    `POST /execute HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${2 * HALF.length}\r\n\r\n`,
  );
  await new Promise((resolve) => socket.write(HALF, resolve));
  return {
    async finish() {
      socket.write(HALF);
      while (!answer.includes("\r\n\r\n")) await once(socket, "data");
      return answer;
    },
  };
}

describe("bodies that are half sent", () => {
  it("bodies that are half sent are bounded together: further ones get 503 with Retry-After, and small ones still pass", async () => {
    const before = process.memoryUsage().arrayBuffers;
    const senders = await Promise.all(Array.from({ length: 30 }, sendHalf));
    await sleep(200);
    // The gateway may hold 64 MiB, in buffers that may be twice as large; thirty half bodies have 210 MiB.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(170 * MIB);
    const client = restClient(gateway.url);
    const small = await client.post("/execute", { project: "mock-project", code: "print(1)" });
    expect(small.status).toBe(202);
    const answers = await Promise.all(senders.map((sender) => sender.finish()));
    const refused = answers.filter((answer) => answer.startsWith("HTTP/1.1 503"));
    expect(refused.length).toBeGreaterThanOrEqual(15);
    expect(refused[0]?.toLowerCase()).toContain("retry-after: 2");
    expect(refused[0]).toContain('"code":"overloaded"');
  });

  it("bodies that are half sent are given up for a whole body once they have stood still for a second", async () => {
    await Promise.all(Array.from({ length: 9 }, sendHalf));
    await sleep(1_500);
    const client = restClient(gateway.url);
    const whole = await client.post("/execute", { project: "mock-project", code: "#".repeat(15 * MIB) });
    expect(whole.status).toBe(202);
  });
});

describe("beginnings of bodies, each as much as has room of its own", () => {
  it("small bodies pass, however many others have stopped after their first 64 KiB", async () => {
    const head =
      "POST /execute HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 70000\r\n\r\n";
    const beginning = Buffer.concat([Buffer.from(head), Buffer.alloc(64 * 1024, " ")]);
    const client = restClient(gateway.url);
    const statuses = new Set<number>();
    for (let n = 0; n < 600; n++) {
      const socket = connect(gateway.port, "127.0.0.1");
      sockets.push(socket);
      await once(socket, "connect");
      await new Promise((resolve) => socket.write(beginning, resolve));
      if (n % 10 !== 0) continue;
      const { status } = await client.post("/execute", { project: "mock-project", code: "print(1)" });
      statuses.add(status);
    }
    expect(statuses).toEqual(new Set([202]));
  });
});

describe("bodies that the router has taken", () => {
  const body = { project: "mock-project", code: `#${"x".repeat(15 * MIB)}` };
  const bytes = Buffer.from(JSON.stringify(body));
  const head = `Host: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${bytes.length}\r\n\r\n`;

  it("bodies that the router has accepted hold neither budget nor memory while the outcome is waited for", async () => {
    const { calls, getExecution } = holdingBackend();
    const submit = async () => ({ executionId: EXECUTION_ID, status: execution().status, replayed: false });
    const holding = await startOver({ router: { submit, getExecution } });
    try {
      const before = await heldBytes();
      for (let n = 0; n < 4; n++) {
        const socket = connect(holding.port, "127.0.0.1");
        sockets.push(socket);
        socket.write(`POST /execute?wait=60 HTTP/1.1\r\n${head}`);
        socket.write(bytes);
      }
      await until(() => calls.length === 4);
      expect((await heldBytes()) - before).toBeLessThan(20 * MIB);
      expect((await restClient(holding.url).post("/execute", body)).status).toBe(202);
    } finally {
      for (const socket of sockets) socket.destroy();
      await holding.drain(0);
    }
  });
});
