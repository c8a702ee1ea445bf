import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AirlockError } from "#common/errors.ts";
import { callUnary, clientDuplex, connectTo } from "#common/grpc/client.ts";
import { type CallContext, type GrpcServer, handlersFor, startGrpcServer } from "#common/grpc/server.ts";
import type { Duplex } from "#common/grpc/stream.ts";
import {
  type LeaseRequest,
  type LeaseResponse,
  PoolManagerServiceClient,
  PoolManagerServiceService,
} from "#proto/pool_manager.ts";

type Handler = (stream: Duplex<LeaseRequest, LeaseResponse>, context: CallContext) => Promise<void>;

const queued = (position: number): LeaseResponse => ({ event: { $case: "queued", value: { position } } });
const park: LeaseRequest = { action: { $case: "park", value: {} } };

let directory: string;
let server: GrpcServer;
let client: PoolManagerServiceClient;
let handler: Handler;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-stream-"));
  const { duplex, unary } = handlersFor(pino({ level: "silent" }));
  const notHere = unary(() => {
    throw new AirlockError("project_not_found", "Use one of: demo.", { logDetail: "internal detail" });
  });
  server = await startGrpcServer(`unix:${join(directory, "s.sock")}`, [
    [
      PoolManagerServiceService,
      {
        lease: duplex<LeaseRequest, LeaseResponse>((stream, context) => handler(stream, context)),
        getProject: notHere,
        listProjects: unary(() => Promise.reject(new Error("postgres://user:password@host"))),
        upProject: unary(() => new Promise(() => undefined)),
        downProject: notHere,
      },
    ],
  ]);
  client = connectTo(PoolManagerServiceClient, server.address);
});

afterEach(async () => {
  client.close();
  await server.drain(100);
  await rm(directory, { recursive: true });
});

const lease = () => clientDuplex(client.lease(), "pool-manager");

describe("a unary call", () => {
  it("a unary call passes code and message of Airlock's errors on, and nothing else", async () => {
    const call = callUnary(client, client.getProject, { name: "x" }, "pool-manager", { timeoutMs: 1_000 });
    await expect(call).rejects.toMatchObject({
      code: "project_not_found",
      message: "Use one of: demo.",
      logDetail: undefined,
      origin: "peer",
    });
  });

  it("a unary call hides an error that was not meant for callers", async () => {
    const call = callUnary(client, client.listProjects, {}, "pool-manager", { timeoutMs: 1_000 });
    await expect(call).rejects.toMatchObject({
      code: "internal",
      message: expect.not.stringContaining("password"),
    });
  });

  it("a unary call ends at its deadline", async () => {
    const call = callUnary(client, client.upProject, { name: "x" }, "pool-manager", { timeoutMs: 50 });
    await expect(call).rejects.toMatchObject({ code: "deadline_exceeded", origin: "transport" });
  });

  it("a unary call ends when its signal aborts", async () => {
    const abort = new AbortController();
    const limits = { timeoutMs: 5_000, signal: abort.signal };
    const call = callUnary(client, client.upProject, { name: "x" }, "pool-manager", limits);
    setTimeout(() => abort.abort(), 20);
    await expect(call).rejects.toMatchObject({ code: "cancelled" });
  });

  it("a unary call names the service that cannot be reached", async () => {
    const nobody = connectTo(PoolManagerServiceClient, `unix:${join(directory, "nobody.sock")}`);
    const call = callUnary(nobody, nobody.listProjects, {}, "pool-manager", { timeoutMs: 1_000 });
    await expect(call).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("pool-manager"),
      origin: "transport",
    });
    nobody.close();
  });
});

describe("a duplex call", () => {
  it("a duplex call carries messages both ways in order until the handler returns", async () => {
    handler = async (stream) => {
      for (let position = 1; (await stream.next()) !== null; position++) await stream.send(queued(position));
    };
    const stream = lease();
    for (let i = 0; i < 3; i++) await stream.send(park);
    expect([await stream.next(), await stream.next(), await stream.next()]).toEqual([
      queued(1),
      queued(2),
      queued(3),
    ]);
    stream.close();
    expect(await stream.next()).toBeNull();
  });

  it("a duplex call that was closed ends for the handler without a cancellation", async () => {
    const ended = Promise.withResolvers<string>();
    handler = async (stream, { signal }) => {
      while ((await stream.next()) !== null);
      await new Promise((resolve) => setTimeout(resolve, 50));
      ended.resolve(`aborted: ${signal.aborted}`);
    };
    const stream = lease();
    await stream.send(park);
    stream.close();
    expect(await ended.promise).toBe("aborted: false");
  });

  it("a duplex call passes the handler's error to the caller", async () => {
    handler = async () => {
      throw new AirlockError("start_failed", "pandas is broken");
    };
    await expect(lease().next()).rejects.toMatchObject({ code: "start_failed", message: "pandas is broken" });
  });

  it("a duplex call tells the handler at once when the caller goes away", async () => {
    const seen = Promise.withResolvers<string>();
    const arrived = Promise.withResolvers<void>();
    handler = async (stream, { signal }) => {
      await stream.next();
      arrived.resolve();
      await stream.next().catch((error: AirlockError) => seen.resolve(`${error.code} ${signal.aborted}`));
    };
    const stream = lease();
    await stream.send(park);
    await arrived.promise;
    stream.cancel();
    expect(await seen.promise).toBe("cancelled true");
  });

  it("a duplex call breaks for the caller when the server dies", async () => {
    handler = async (stream) => {
      await stream.next();
      await new Promise(() => undefined);
    };
    const stream = lease();
    await stream.send(park);
    const broken = stream.next();
    await server.drain(20);
    await expect(broken).rejects.toMatchObject({ code: expect.stringMatching(/unavailable|cancelled/) });
  });

  it("a duplex call makes a sender wait for a slow reader", async () => {
    let sent = 0;
    const big = {
      event: {
        $case: "granted",
        value: {
          workerId: "x".repeat(1_000_000),
          workerAddress: "",
          secretsVersion: "",
          llmTimeoutMs: 0,
          network: false,
        },
      },
    } as const;
    const finished = Promise.withResolvers<void>();
    handler = async (stream) => {
      for (; sent < 40; sent++) await stream.send(big);
      finished.resolve();
    };
    const stream = lease();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(sent).toBeLessThan(40);
    let received = 0;
    while ((await stream.next()) !== null) received++;
    await finished.promise;
    expect(received).toBe(40);
  });
});
