import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RouterBackend } from "../../../gateway/backends/router.ts";
import { EXECUTION_ID, execution, holdingBackend, startOver, type TestGateway } from "./fake-backends.ts";

const MIB = 1024 * 1024;
const ANSWER_BYTES = 28 * MIB;
const CLIENTS = 40;

let start: (options?: { stalledAfterMs?: number }) => Promise<void>;
let gateway: TestGateway;
let sockets: Socket[];
let fetched: number;
beforeEach(async () => {
  const holding = holdingBackend();
  fetched = 0;
  const getExecution: RouterBackend["getExecution"] = async (id, waitMs, call, reserveMemory) => {
    if (waitMs > 0) return holding.getExecution(id, waitMs, call, reserveMemory);
    await reserveMemory(ANSWER_BYTES);
    fetched += 1;
    return execution({ stdout: "x".repeat(ANSWER_BYTES / 2), stderr: "y".repeat(ANSWER_BYTES / 2) });
  };
  start = async (options = {}) => {
    gateway = await startOver({ router: { getExecution } }, undefined, options);
  };
  sockets = [];
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await gateway.drain(0);
});

/** Asks for a large execution and reads nothing of the answer. */
async function askOnly(): Promise<Socket> {
  const socket = connect(gateway.port, "127.0.0.1").on("error", () => undefined);
  sockets.push(socket);
  await once(socket, "connect");
  socket.pause();
  socket.write(`GET /executions/${EXECUTION_ID} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
  return socket;
}

describe("answers that their clients do not read", () => {
  it("answers that their clients do not read delay no small answer", async () => {
    await start();
    await Promise.all(Array.from({ length: 12 }, askOnly));
    await sleep(500);
    const beganMs = performance.now();
    const page = await fetch(`${gateway.url}/skill.md`);
    expect((await page.text()).length).toBeGreaterThan(4 * 1024);
    // A large answer would have to wait for five seconds here.
    expect(performance.now() - beganMs).toBeLessThan(4_000);
  });

  it("answers that their clients do not read are bounded together, and are given up for a client that reads", async () => {
    await start();
    const before = process.memoryUsage().rss;
    await Promise.all(Array.from({ length: CLIENTS }, askOnly));
    await sleep(1_000);
    expect(fetched).toBe(4);
    expect(process.memoryUsage().rss - before).toBeLessThan(600 * MIB);
    await sleep(5_000);
    const reader = await fetch(`${gateway.url}/executions/${EXECUTION_ID}`);
    expect(reader.status).toBe(200);
    expect((await reader.text()).length).toBeGreaterThan(ANSWER_BYTES);
  }, 60_000);

  it("answers that their clients do not read end with their connection after a while, and a long poll does not", async () => {
    // Half a minute unless said.
    await start({ stalledAfterMs: 1_000 });
    const poll = fetch(`${gateway.url}/executions/${EXECUTION_ID}?wait=6`);
    const socket = await askOnly();
    await sleep(5_000);
    // Bytes that had arrived already can be read; the rest never arrives.
    let received = 0;
    socket.on("data", (data) => {
      received += data.length;
    });
    socket.resume();
    await once(socket, "close");
    expect(received).toBeLessThan(ANSWER_BYTES);
    expect((await poll).status).toBe(200);
  }, 60_000);
});
