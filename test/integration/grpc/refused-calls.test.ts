import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { constants, createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { callUnary, connectTo } from "#common/grpc/client.ts";
import { PoolManagerServiceClient } from "#proto/pool_manager.ts";

const EMPTY_MESSAGE = Buffer.alloc(5);

let directory: string;
let server: Http2Server;
let client: PoolManagerServiceClient;
let calls: number;

/** A server that refuses its first `count` calls, as one does that is about to stop, and serves the others. */
async function refuse(count: number): Promise<void> {
  const path = join(directory, "s");
  server = createServer().listen(path);
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => undefined);
    if (++calls <= count) return stream.close(constants.NGHTTP2_REFUSED_STREAM);
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(EMPTY_MESSAGE);
  });
  await once(server, "listening");
  client = connectTo(PoolManagerServiceClient, `unix:${path}`);
}

const list = (limits: { timeoutMs: number; signal?: AbortSignal }) =>
  callUnary(client, client.listProjects, {}, "pool-manager", limits);

beforeEach(async () => {
  calls = 0;
  directory = await mkdtemp(join(tmpdir(), "airlock-refused-"));
});
afterEach(async () => {
  client.close();
  server.close();
  await rm(directory, { recursive: true });
});

it("a refused gRPC call is made again, however often", async () => {
  await refuse(5);
  expect(await list({ timeoutMs: 5_000 })).toEqual({ projects: [] });
  expect(calls).toBe(6);
});

it("a gRPC call that is refused until its deadline is reported as such", async () => {
  await refuse(Number.POSITIVE_INFINITY);
  // Its last attempt may be under way by then.
  await expect(list({ timeoutMs: 300 })).rejects.toMatchObject({
    code: expect.stringMatching(/^(unavailable|deadline_exceeded)$/),
  });
  await sleep(100);
  const made = calls;
  await sleep(100);
  expect(calls).toBe(made);
});

it("a refused gRPC call is not made again for a caller that has gone", async () => {
  await refuse(Number.POSITIVE_INFINITY);
  await expect(list({ timeoutMs: 5_000, signal: AbortSignal.timeout(100) })).rejects.toMatchObject({
    code: "cancelled",
  });
});
