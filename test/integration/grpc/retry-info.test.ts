import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServiceError } from "@grpc/grpc-js";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AirlockError, ERROR_RULES, type ErrorCode } from "#common/errors.ts";
import { connectTo } from "#common/grpc/client.ts";
import { type GrpcServer, handlersFor, startGrpcServer } from "#common/grpc/server.ts";
import {
  RouterServiceClient,
  type RouterServiceServer,
  RouterServiceService,
  SubmitRequest,
} from "#proto/router.ts";
import { problemHeaders } from "../../../gateway/rest/problems.ts";
import { retryDelayOf } from "../../support/retry-delay.ts";

const CODES = Object.keys(ERROR_RULES) as ErrorCode[];
const HELPS: readonly ErrorCode[] = [
  "queue_full",
  "overloaded",
  "storage_full",
  "unavailable",
  "deadline_exceeded",
];

let directory: string;
let server: GrpcServer;
let client: RouterServiceClient;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-retry-"));
  const address = `unix:${join(directory, "router.sock")}`;
  const submit = handlersFor(pino({ level: "silent" })).unary<SubmitRequest, never>(({ code }) => {
    throw new AirlockError(code as ErrorCode, `Sorry: ${code}. Größer, später.`);
  });
  const handlers = { submit } as unknown as RouterServiceServer;
  server = await startGrpcServer(address, [[RouterServiceService, handlers]]);
  client = connectTo(RouterServiceClient, address);
});
afterAll(async () => {
  client.close();
  await server.drain(0);
  await rm(directory, { recursive: true });
});

const failWith = (code: ErrorCode) =>
  new Promise<ServiceError>((resolve, reject) => {
    client.submit(SubmitRequest.fromPartial({ code }), (error) =>
      error ? resolve(error) : reject(new Error("it went well")),
    );
  });

describe("an error over gRPC", () => {
  it.each(HELPS)("the gRPC error %s says when to come again", async (code) => {
    expect(retryDelayOf(await failWith(code))).toBeGreaterThan(0);
  });

  it.each(CODES)("the gRPC error %s says the same as over REST", async (code) => {
    const { "retry-after": seconds } = problemHeaders({ code });
    expect(retryDelayOf(await failWith(code))).toBe(seconds && Number(seconds));
  });
});
