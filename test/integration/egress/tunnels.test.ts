import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createWorkerConnections, type WorkerConnections } from "#common/grpc/worker-connections.ts";
import { createLog } from "#common/service/log.ts";
import { createRoute } from "../../../services/egress/routes/routes.ts";
import type { TunnelSocket } from "../../../services/egress/tunnels/socket.ts";
import {
  createTunnelOpener,
  TUNNEL_CHANNEL_OPTIONS,
  type WorkerTunnels,
} from "../../../services/egress/tunnels/worker-tunnels.ts";
import { startTunnelWorker, type TunnelWorker } from "../../harness/tunnel-worker.ts";

const { route } = createRoute(
  {
    project: "demo",
    executionId: "run",
    network: { allowlist: [], allowPrivate: [], maxBytes: 1 },
    placeholders: [],
    filters: new Map(),
  },
  { username: "run", password: "its-password" },
);
const MIB = Buffer.alloc(1024 * 1024, "x");

let directory: string;
let worker: TunnelWorker;
let workers: WorkerConnections;
let tunnels: WorkerTunnels;
let accepted: TunnelSocket[];
let onAccepted: () => void;
const logged: string[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-tunnels-"));
  worker = await startTunnelWorker(directory);
  workers = createWorkerConnections(undefined, TUNNEL_CHANNEL_OPTIONS);
  accepted = [];
  const accept = (socket: TunnelSocket) => {
    accepted.push(socket);
    onAccepted?.();
  };
  const log = createLog("test", "warn", { write: (line) => void logged.push(line) });
  const itsWorker = { workerId: "w", workerAddress: worker.address };
  tunnels = await createTunnelOpener(workers, accept, log)(route, itsWorker);
});
afterEach(async () => {
  tunnels.close();
  workers.close();
  await worker.close();
  await rm(directory, { recursive: true });
  expect(logged.splice(0)).toEqual([]);
});

const waiting = () => expect.poll(() => worker.waiting("run"), { timeout: 5_000 });

/** Both ends of a connection: what the run has, and what the egress service has of it. */
async function connected(queued = 0): Promise<[run: Duplex, egress: TunnelSocket]> {
  const next = new Promise<void>((resolve) => {
    onAccepted = resolve;
  });
  const run = await worker.connect("run", queued);
  await next;
  return [run, accepted.at(-1) as TunnelSocket];
}

describe("the tunnels of a run", () => {
  it("the tunnels of a run wait in twos, and one more is opened for each that is used", async () => {
    await waiting().toBe(2);
    await connected();
    await waiting().toBe(2);
    expect(accepted).toHaveLength(1);
  });

  it("the tunnels of a run are as many as the worker has connections for", async () => {
    await waiting().toBe(2);
    await connected(30);
    await waiting().toBe(32);
  });

  it("the tunnels of a run and its connections are together no more than 256", async () => {
    await waiting().toBe(2);
    const [first] = await connected(1_000);
    await waiting().toBe(255);
    await connected(1_000);
    await waiting().toBe(254);
    first.destroy();
    await expect.poll(() => accepted[0]?.destroyed).toBe(true);
    await connected(1_000);
    await waiting().toBe(254);
  });

  it("the tunnels of a run are opened again when they end unused", async () => {
    await waiting().toBe(2);
    worker.end("run");
    expect(worker.waiting("run")).toBe(0);
    await waiting().toBe(2);
  });

  it("the tunnels of a run end with its network route, and so do its connections", async () => {
    const [run] = await connected();
    const closed = once(run, "close");
    await waiting().toBe(2);
    tunnels.close();
    await closed;
    await waiting().toBe(0);
    await expect.poll(() => accepted[0]?.destroyed).toBe(true);
  });

  it("the tunnels of a run break with their worker, which is reported once", async () => {
    const [, egress] = await connected();
    const closed = once(egress, "close");
    await worker.close();
    await closed;
    await expect.poll(() => logged.length).toBe(1);
    expect(logged.splice(0)[0]).toContain("no tunnel to the worker");
  });
});

describe("a connection through a tunnel", () => {
  it("a connection through a tunnel carries any number of bytes both ways, however they were written", async () => {
    const [run, egress] = await connected();
    egress.on("data", (data: Buffer) => void egress.write(data.toString().toUpperCase()));
    egress.on("end", () => egress.end());
    const back = buffer(run);
    run.write("a");
    run.cork();
    for (const piece of ["b", "", "c"]) run.write(piece);
    run.uncork();
    for (let i = 0; i < 8; i++) run.write(MIB);
    run.end();
    expect((await back).equals(Buffer.concat([Buffer.from("ABC"), Buffer.alloc(8 * MIB.length, "X")]))).toBe(
      true,
    );
  });

  it("a connection through a tunnel can be half open in either direction", async () => {
    const [run, egress] = await connected();
    egress.end("from egress");
    expect(await text(run)).toBe("from egress");
    run.write("from the run");
    expect(String((await once(egress, "data"))[0])).toBe("from the run");
    const [other, far] = await connected();
    other.end("from the run");
    expect(await text(far)).toBe("from the run");
    far.end("from egress");
    expect(await text(other)).toBe("from egress");
  });

  it("a connection through a tunnel delivers the bytes that were written before it was destroyed", async () => {
    const [run, egress] = await connected();
    const all = buffer(run);
    egress.write(MIB);
    egress.write(MIB, () => egress.destroy());
    expect((await all).length).toBe(2 * MIB.length);
    const [other, far] = await connected();
    const said = text(other);
    far.write("the last word");
    far.destroySoon();
    expect(await said).toBe("the last word");
    await expect.poll(() => other.closed).toBe(true);
  });

  it("a connection through a tunnel is closed when the run closes its end, or breaks off", async () => {
    const [run, egress] = await connected();
    const closed = once(egress, "close");
    egress.resume();
    run.destroy();
    await closed;
    egress.write("into the void");
    expect(egress.destroyed).toBe(true);
  });

  it("a connection through a tunnel makes its writer wait when the other end reads nothing, and delays no other connection", async () => {
    // The stand-in for the worker reads further ahead than a worker does.
    for (const [away, limit] of [["run", 1.5 * MIB.length] as const, ["egress", MIB.length / 2] as const]) {
      const [run, egress] = await connected();
      const [reader, writer] = away === "run" ? [run, egress] : [egress, run];
      let written = 0;
      const write = () =>
        writer.write(MIB.subarray(0, 65_536), (error) => {
          if (error) return;
          written += 65_536;
          write();
        });
      reader.pause();
      write();
      const [other, far] = await connected();
      far.end(MIB);
      expect((await buffer(other)).length).toBe(MIB.length);
      const [third, fourth] = await connected();
      third.end(MIB);
      expect((await buffer(fourth)).length).toBe(MIB.length);
      expect(written).toBeLessThan(limit);
      const before = written;
      reader.resume();
      await expect.poll(() => written).toBeGreaterThan(before + 8 * MIB.length);
      reader.destroy();
      writer.destroy();
    }
  });

  it("a connection through a tunnel reports that it was idle, unless the idle timeout is cancelled", async () => {
    const [, egress] = await connected();
    let timeouts = 0;
    egress.on("timeout", () => timeouts++);
    egress.setTimeout(5).setTimeout(0);
    const [, other] = await connected();
    other.setTimeout(5);
    await once(other, "timeout");
    expect(timeouts).toBe(0);
  });
});
