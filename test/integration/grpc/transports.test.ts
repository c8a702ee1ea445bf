import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Metadata, type ServerReadableStream, type sendUnaryData } from "@grpc/grpc-js";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AirlockError } from "#common/errors.ts";
import { callStream, callUnary, clientDuplex, connectTo } from "#common/grpc/client.ts";
import { MAX_MESSAGE_BYTES, MAX_REQUEST_BYTES } from "#common/grpc/limits.ts";
import { type CallContext, type GrpcServer, handlersFor, startGrpcServer } from "#common/grpc/server.ts";
import type { Duplex } from "#common/grpc/stream.ts";
import { type EchoClient, EchoService, EchoServiceClient, type Note } from "../../support/echo-service.ts";

// What a client gets of a server must not depend on the way there: a socket, or a hand-over within the process.

const OVER_A_SOCKET = { channelFactoryOverride: undefined, callInvocationTransformer: undefined };
const LIMITS = { timeoutMs: 5_000 };
/** More messages than all buffers between a client and a server hold. */
const MANY = 10_000;

type Handlers = {
  unary: (request: Note, context: CallContext) => Promise<Note> | Note;
  repeat: (request: Note, context: CallContext) => AsyncIterable<Note>;
  converse: (stream: Duplex<Note, Note>, context: CallContext) => Promise<void>;
};

let directory: string;
let server: GrpcServer;
let client: EchoClient;
let handlers: Handlers;

const note = (text: string): Note => ({ text });
const ofBytes = (count: number): Note => ({ text: "", bytes: Buffer.alloc(count, "x") });

/** Answers with all texts of a stream of requests, one after the other. */
function collect(call: ServerReadableStream<Note, Note>, callback: sendUnaryData<Note>): void {
  let text = "";
  call.on("data", (each: Note) => {
    text += each.text;
  });
  call.on("end", () => callback(null, { text }));
}

async function echo(stream: Duplex<Note, Note>): Promise<void> {
  for (let each = await stream.next(); each; each = await stream.next()) await stream.send(each);
}

/** A promise, and what settles it: tells a test of what a handler sees. */
function signalled<T>() {
  return Promise.withResolvers<T>();
}

describe.each(["a socket", "the process"] as const)("a call through %s", (way) => {
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "airlock-transport-"));
    const { unary, serverStream, duplex } = handlersFor(pino({ level: "silent" }));
    handlers = {
      unary: (request) => request,
      async *repeat(request) {
        for (let each = 0; each < 3; each++) yield { text: `${request.text}${each}` };
      },
      converse: echo,
    };
    server = await startGrpcServer(`unix:${join(directory, "s.sock")}`, [
      [
        EchoService,
        {
          unary: unary<Note, Note>((request, context) => handlers.unary(request, context)),
          collect,
          repeat: serverStream<Note, Note>((request, context) => handlers.repeat(request, context)),
          converse: duplex<Note, Note>((stream, context) => handlers.converse(stream, context)),
        },
      ],
    ]);
    const options = way === "a socket" ? OVER_A_SOCKET : {};
    client = connectTo(EchoServiceClient, server.address, undefined, "router", options);
  });
  afterEach(async () => {
    client.close();
    await server.drain(100);
    await rm(directory, { recursive: true });
  });

  const call = (request: Note, limits: { timeoutMs: number; signal?: AbortSignal } = LIMITS) =>
    callUnary(client, client.unary, request, "router", limits);
  const repeat = (request: Note, limits: { timeoutMs: number; signal?: AbortSignal } = LIMITS) =>
    callStream(client, client.repeat, request, "router", limits);
  const converse = () => clientDuplex<Note, Note>(client.converse(), "router");

  it("a call of each kind is answered", async () => {
    expect(await call(note("one"))).toEqual(note("one"));
    const repeated: Note[] = [];
    for await (const each of repeat(note("r"))) repeated.push(each);
    expect(repeated).toEqual([note("r0"), note("r1"), note("r2")]);
    const collected = new Promise<Note | undefined>((resolve, reject) => {
      const stream = client.collect(new Metadata(), {}, (error, answer) =>
        error ? reject(error) : resolve(answer),
      );
      for (const text of ["a", "b", "c"]) stream.write({ text });
      stream.end();
    });
    expect(await collected).toEqual(note("abc"));
    const stream = converse();
    for (const text of ["x", "y"]) {
      await stream.send({ text });
      expect(await stream.next()).toEqual({ text });
    }
    stream.close();
    expect(await stream.next()).toBeNull();
  });

  it("a call hands its messages over in their order", async () => {
    const stream = converse();
    const sending = (async () => {
      for (let each = 0; each < 2_000; each++) await stream.send(note(String(each)));
    })();
    for (let each = 0; each < 2_000; each++) expect(await stream.next()).toEqual(note(String(each)));
    await sending;
    stream.close();
  });

  it("a call gives each side messages of its own, which the other side cannot change", async () => {
    const kept = signalled<Note>();
    const answer = { text: "answer", bytes: Buffer.from("abc") };
    handlers.unary = (request) => {
      kept.resolve(request);
      return answer;
    };
    const request = { text: "request", bytes: Buffer.from("123") };
    const answered = call(request);
    Object.assign(request, { text: "changed" }).bytes.fill("9");
    expect(await kept.promise).toEqual({ text: "request", bytes: Buffer.from("123") });
    const seen = await answered;
    answer.bytes.fill("9");
    expect(seen).toEqual({ text: "answer", bytes: Buffer.from("abc") });
  });

  it("a call that the handler refuses fails with the handler's error", async () => {
    handlers.unary = () => {
      throw new AirlockError("project_not_found", "Use one of: démo.", {
        field: "project",
        logDetail: "private",
      });
    };
    await expect(call(note(""))).rejects.toMatchObject({
      code: "project_not_found",
      message: "Use one of: démo.",
      field: "project",
      logDetail: undefined,
      origin: "peer",
    });
  });

  it("a call whose handler fails tells the caller nothing of the reason", async () => {
    handlers.unary = () => Promise.reject(new Error("postgres://user:password@host"));
    const failure = { code: "internal", message: expect.not.stringContaining("password") };
    await expect(call(note(""))).rejects.toMatchObject(failure);
  });

  it("a call of a stream that fails half-way gives what came before", async () => {
    handlers.repeat = async function* () {
      yield note("first");
      throw new AirlockError("worker_lost", "It is gone.");
    };
    const seen: Note[] = [];
    const all = (async () => {
      for await (const each of repeat(note(""))) seen.push(each);
    })();
    await expect(all).rejects.toMatchObject({ code: "worker_lost", message: "It is gone." });
    expect(seen).toEqual([note("first")]);
  });

  it("a call of a method that the server does not have fails", async () => {
    const unknown = { ...EchoService.unary, path: "/airlock.test.EchoService/Missing" };
    const missing = new Promise((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = unknown;
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, note(""), (error, answer) =>
        error ? reject(error) : resolve(answer),
      );
    });
    await expect(missing).rejects.toMatchObject({ code: 12 });
  });

  it("a call ends at its deadline on both sides", async () => {
    const aborted = signalled<void>();
    handlers.unary = (_request, { signal }) => {
      signal.addEventListener("abort", () => aborted.resolve());
      return new Promise(() => undefined);
    };
    const late = call(note(""), { timeoutMs: 50 });
    await expect(late).rejects.toMatchObject({ code: "deadline_exceeded", origin: "transport" });
    await aborted.promise;
  });

  it("a call whose deadline has passed does not reach the handler", async () => {
    let calls = 0;
    handlers.unary = (request) => {
      calls += 1;
      return request;
    };
    await expect(call(note(""), { timeoutMs: -1 })).rejects.toMatchObject({ code: "deadline_exceeded" });
    await call(note("in time"));
    expect(calls).toBe(1);
  });

  it("a call that the client cancels ends on both sides", async () => {
    const started = signalled<void>();
    const aborted = signalled<void>();
    handlers.unary = (_request, { signal }) => {
      started.resolve();
      signal.addEventListener("abort", () => aborted.resolve());
      return new Promise(() => undefined);
    };
    const abort = new AbortController();
    const cancelled = call(note(""), { timeoutMs: 5_000, signal: abort.signal });
    await started.promise;
    abort.abort();
    await expect(cancelled).rejects.toMatchObject({ code: "cancelled" });
    await aborted.promise;
  });

  it("a call of a stream ends its handler when the client stops reading", async () => {
    const over = signalled<void>();
    handlers.repeat = async function* () {
      try {
        for (;;) {
          yield note("more");
          await sleep(1);
        }
      } finally {
        over.resolve();
      }
    };
    for await (const each of repeat(note(""))) if (each.text === "more") break;
    await over.promise;
  });

  it("a call of both directions that the client cancels rejects what its handler waits for", async () => {
    const started = signalled<unknown>();
    const seen = signalled<unknown>();
    handlers.converse = async (stream) => {
      started.resolve(await stream.next());
      await stream.next().catch(seen.resolve);
    };
    const stream = converse();
    await stream.send(note("hello"));
    await started.promise;
    stream.cancel();
    expect(await seen.promise).toMatchObject({ code: "cancelled" });
    await expect(stream.next()).rejects.toMatchObject({ code: "cancelled" });
  });

  it("a call that is half-closed still gets its answers", async () => {
    handlers.converse = async (stream) => {
      while (await stream.next()) await sleep(1);
      await stream.send(note("after the end"));
    };
    const raw = client.converse();
    const stream = clientDuplex<Note, Note>(raw, "router");
    await stream.send(note("one"));
    raw.end();
    expect(await stream.next()).toEqual(note("after the end"));
    expect(await stream.next()).toBeNull();
  });

  it("a call that its handler ends is over for the client, which was still writing", async () => {
    handlers.converse = async (stream) => {
      await stream.send((await stream.next()) as Note);
    };
    const stream = converse();
    for (let each = 0; each < 10; each++) await stream.send(note(String(each)));
    expect(await stream.next()).toEqual(note("0"));
    expect(await stream.next()).toBeNull();
  });

  it("a call whose client does not read slows its handler down", async () => {
    let produced = 0;
    handlers.repeat = async function* () {
      for (; produced < MANY; produced++) yield ofBytes(10_000);
    };
    const stream = client.repeat(note(""), new Metadata(), {});
    stream.on("error", () => undefined);
    await once(stream, "readable");
    let before = -1;
    while (before !== produced) {
      before = produced;
      await sleep(300);
    }
    expect(produced).toBeLessThan(MANY / 2);
    stream.cancel();
  });

  it("a call whose handler does not read slows its client down", async () => {
    const over = signalled<void>();
    handlers.converse = async (_stream, { signal }) => {
      signal.addEventListener("abort", () => over.resolve());
      await over.promise;
    };
    const stream = converse();
    let sent = 0;
    const flood = (async () => {
      for (; sent < MANY; sent++) await stream.send(ofBytes(10_000));
    })();
    let before = -1;
    while (before !== sent) {
      before = sent;
      await sleep(300);
    }
    expect(sent).toBeLessThan(MANY / 2);
    stream.cancel();
    await expect(flood).rejects.toMatchObject({ code: "cancelled" });
    await over.promise;
  });

  it("a call with a request or an answer that is too large fails, and its handler ends", async () => {
    let calls = 0;
    handlers.unary = () => {
      calls += 1;
      return ofBytes(MAX_MESSAGE_BYTES);
    };
    const tooLarge = { code: "payload_too_large", origin: "transport" };
    await expect(call(ofBytes(MAX_REQUEST_BYTES))).rejects.toMatchObject(tooLarge);
    expect(calls).toBe(0);
    await expect(call(note(""), { timeoutMs: 20_000 })).rejects.toMatchObject(tooLarge);
    expect(calls).toBe(1);
  });

  it("a call that is open when its server drains may finish, and a later one finds no server", async () => {
    const stream = converse();
    await stream.send(note("one"));
    expect(await stream.next()).toEqual(note("one"));
    const drained = server.drain(5_000);
    await stream.send(note("two"));
    expect(await stream.next()).toEqual(note("two"));
    stream.close();
    expect(await stream.next()).toBeNull();
    await drained;
    await expect(call(note(""))).rejects.toMatchObject({ code: "unavailable", origin: "transport" });
  });

  it("a call that is still open after the grace period is broken off", async () => {
    const stream = converse();
    await stream.send(note("one"));
    await stream.next();
    await server.drain(50);
    await expect(stream.next()).rejects.toMatchObject({ code: "cancelled", origin: "transport" });
  });

  it("a call on a closed client fails", async () => {
    client.close();
    await expect(call(note(""))).rejects.toThrow();
  });
});
