import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { connectTo } from "#common/grpc/client.ts";
import { type GrpcServer, handlersFor, startGrpcServer } from "#common/grpc/server.ts";
import { createLog } from "#common/service/log.ts";
import {
  SanitizeChannel,
  type SanitizeResponse,
  SanitizerServiceClient,
  SanitizerServiceService,
} from "#proto/sanitizer.ts";
import { openSanitizer, type SanitizeCall } from "../../../services/router/peers/sanitizer.ts";
import { AT_WORK } from "../../../services/sanitizer/session.ts";
import { createFakeClock, type FakeClock } from "../../support/fake-clock.ts";

const { RESULT } = SanitizeChannel;
const REDACTED: SanitizeResponse = { ...AT_WORK, channel: RESULT, data: Buffer.from("[1]"), end: true };

let directory: string;
let server: GrpcServer;
let client: SanitizerServiceClient;
let clock: FakeClock;
let session: SanitizeCall;
/** Sends a response on the stream that is open. */
let say: (response: SanitizeResponse) => Promise<void>;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-silence-"));
  const address = `unix:${join(directory, "sanitizer.sock")}`;
  const log = createLog("test", "error", { write: () => undefined });
  const sanitize = handlersFor(log).duplex<never, SanitizeResponse>(async (stream) => {
    say = (response) => stream.send(response);
    while (await stream.next());
  });
  server = await startGrpcServer(address, [[SanitizerServiceService, { sanitize }]]);
  client = connectTo(SanitizerServiceClient, address);
});
afterAll(async () => {
  client.close();
  await server.drain(0);
  await rm(directory, { recursive: true });
});

beforeEach(() => {
  clock = createFakeClock();
  const open = { project: "p", executionId: "e", secretsVersion: "v" };
  session = openSanitizer(client, open, () => undefined, clock);
});
afterEach(() => session.close());

it("the router waits for a sanitizer as long as the sanitizer reports that it is at work", async () => {
  const text = session.redact(RESULT, Buffer.from("[1]"));
  for (let sign = 0; sign < 10; sign++) {
    await sleep(50);
    await clock.advance(15_000);
    await say(AT_WORK);
  }
  await sleep(50);
  await clock.advance(15_000);
  await say(REDACTED);
  expect(await text).toBe("[1]");
  expect(clock.waiting()).toBe(0);
});

it("the router withholds the output when the sanitizer has been silent for twenty seconds", async () => {
  const text = session.redact(RESULT, Buffer.from("[1]")).catch((error) => error.code);
  await sleep(50);
  await clock.advance(15_000);
  await say(AT_WORK);
  await sleep(50);
  await clock.advance(19_000);
  expect(await Promise.race([text, sleep(20, "waits")])).toBe("waits");
  await clock.advance(1_001);
  expect(await text).toBe("output_withheld");
});
