import { once } from "node:events";
import { Duplex } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { TunnelResponse } from "#proto/worker.ts";
import { copyBothWays } from "../../../services/egress/proxy/tls-passthrough.ts";
import { createRoute } from "../../../services/egress/routes/routes.ts";
import type { TunnelCall } from "../../../services/egress/tunnels/call.ts";
import { TunnelSocket } from "../../../services/egress/tunnels/socket.ts";
import { longestStretchMs } from "../../support/stretches.ts";

const BYTE = Buffer.from("x");
const ROUNDS = 2_000;

const routeOf = (maxBytes: number) =>
  createRoute(
    {
      project: "demo",
      executionId: "run",
      network: { allowlist: [], allowPrivate: [], maxBytes },
      placeholders: [],
      filters: new Map(),
    },
    { username: "run", password: "its-password" },
  ).route;

/** A peer that sends `count` bytes, each as a piece of its own, and one after the other; says how many were taken of it. */
function bytewise(count: number) {
  let taken = 0;
  const peer = new Duplex({
    highWaterMark: 1,
    read() {
      this.push(taken < count ? BYTE : null);
      taken++;
    },
    write: (_chunk, _encoding, done) => done(),
  });
  return { peer, taken: () => taken };
}

/** A peer that reads nothing. */
const deaf = () => new Duplex({ highWaterMark: 1, read: () => undefined, write: () => undefined });

/** A tunnel whose other end sends each byte as a message, as fast as they are taken. */
function tunnelOf(count: number) {
  let sent = 0;
  const call = new Duplex({
    objectMode: true,
    highWaterMark: 1,
    read() {
      const message: TunnelResponse = {
        message: sent < count ? { $case: "data", value: BYTE } : { $case: "end", value: {} },
      };
      this.push(sent <= count ? message : null);
      sent++;
    },
    write: (_message, _encoding, done) => done(),
  });
  return new TunnelSocket(call as unknown as TunnelCall, "project quiet");
}

const rounds = async (count = ROUNDS) => {
  for (let n = 0; n < count; n++) await setImmediate();
};

describe("pieces of one byte", () => {
  it("pieces of one byte from a server are not read while the run reads nothing", async () => {
    const { peer, taken } = bytewise(200_000);
    const client = deaf();
    void copyBothWays(client, peer, routeOf(1e9), "a.example").catch(() => undefined);
    await rounds();
    client.destroy();
    expect(taken()).toBeLessThan(200);
  });

  it("pieces of one byte from a run are joined into few while its server reads nothing", async () => {
    const socket = tunnelOf(40_000);
    // The first read asks for what comes, the second has all that came meanwhile.
    socket.read();
    await rounds(3_000);
    const pieces: Buffer[] = [];
    for (let n = 0; n < 5; n++) {
      const piece = socket.read() as Buffer | null;
      if (piece) pieces.push(piece);
      await setImmediate();
    }
    expect(pieces.length).toBeLessThan(6);
    expect(Buffer.concat(pieces).length).toBeGreaterThan(100);
    socket.destroy();
  });

  it("pieces of one byte arrive whole, and leave the event loop to other work between them", async () => {
    const socket = tunnelOf(20_000);
    let bytes = 0;
    socket.on("data", (piece: Buffer) => {
      bytes += piece.length;
    });
    const longestMs = await longestStretchMs(() => once(socket, "end"), 50);
    expect(bytes).toBe(20_000);
    expect(longestMs).toBeLessThan(50);
  });

  it("pieces of one byte count as 64 bytes each, so that the run's limit ends the connection", async () => {
    const { peer, taken } = bytewise(1_000_000);
    const client = new Duplex({
      read: () => undefined,
      write: (_chunk, _encoding, done) => done(),
    });
    await expect(copyBothWays(client, peer, routeOf(64_000), "a.example")).rejects.toMatchObject({
      verdict: "over_limit",
    });
    expect(taken()).toBeLessThan(1_200);
  });
});
