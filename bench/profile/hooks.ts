// Loaded into `./airlock up` before all other code, for the profile. It records in memory when gRPC calls,
// messages and SQL statements pass, and writes the records to AIRLOCK_PROFILE at exit. The services' own code
// has no hooks for this.
import { subscribe } from "node:diagnostics_channel";
import { writeFileSync } from "node:fs";
import { DatabaseSync, StatementSync } from "node:sqlite";
import { Channel, Server } from "@grpc/grpc-js";
import { InProcessCall } from "#common/grpc/in-process/call.ts";
import { UnixChannel } from "#common/grpc/in-process/channel.ts";
import type { Stamp } from "./stamp.ts";

type Method = (this: unknown, ...args: never[]) => unknown;
type Message = { readonly message?: { $case: string }; readonly event?: { $case: string }; end?: boolean };

const stamps: Stamp[] = [];
const path = process.env.AIRLOCK_PROFILE;

/** The time in milliseconds, on the clock that the worker's stamps have too. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function stamp(what: string): void {
  stamps.push([now(), what]);
}

/** The name of a message, such as `Run start`, from the path of its call and its kind. */
function nameOf(call: string, message?: unknown): string {
  const { message: request, event, end } = (message ?? {}) as Message;
  const rpc = call.slice(call.lastIndexOf("/") + 1);
  return [rpc, request?.$case ?? event?.$case, end === true ? "end" : undefined].filter(Boolean).join(" ");
}

/** Wraps a method of `target` so that `note` is called first. */
function before(target: object, method: string, note: (...args: never[]) => void): void {
  const methods = target as Record<string, Method>;
  const own = methods[method] as Method;
  methods[method] = function (...args: never[]) {
    note(...args);
    return own.apply(this, args);
  };
}

function hookStream(stream: object, path: string): void {
  before(stream, "write", (message) => stamp(`${nameOf(path, message)}: answered`));
  before(stream, "push", (message) => {
    if (message !== null) stamp(`${nameOf(path, message)}: received`);
  });
}

function hookServer(): void {
  const { addService } = Server.prototype;
  Server.prototype.addService = function (definition, implementation) {
    for (const [name, { path, requestStream, responseStream }] of Object.entries(definition)) {
      const handler = implementation[name] as ((call: object, callback: unknown) => unknown) | undefined;
      if (!handler || !path.startsWith("/airlock.")) continue;
      implementation[name] = (call: object, callback: unknown) => {
        stamp(`${nameOf(path)}: at its service`);
        if (requestStream || responseStream) {
          hookStream(call, path);
          return handler(call, callback);
        }
        return handler(call, (...answer: unknown[]) => {
          stamp(`${nameOf(path)}: answered`);
          (callback as (...answer: unknown[]) => void)(...answer);
        });
      };
    }
    return addService.call(this, definition, implementation);
  };
}

/**
 * Hooks gRPC calls at the channel, because grpc-js builds a client's methods long before they are called, and
 * every call goes through a channel.
 */
function hookClient(): void {
  hookChannel(Channel.prototype, () => true);
  // A call that goes through the socket after all is seen at the channel below.
  hookChannel(UnixChannel.prototype, (call) => call instanceof InProcessCall);
}

/** Stamps the calls of a channel that `concerns` accepts. */
function hookChannel(channel: Channel, concerns: (call: object) => boolean): void {
  const { createCall } = channel;
  channel.createCall = function (path, ...rest) {
    const calledAt = now();
    const call = createCall.call(this, path, ...rest);
    if (!concerns(call)) return call;
    stamps.push([calledAt, `${nameOf(path)}: called`]);
    const { start } = call;
    call.start = (metadata, listener) => {
      before(listener, "onReceiveMessage", () => stamp(`${nameOf(path)}: seen`));
      start.call(call, metadata, listener);
    };
    return call;
  };
}

function hookStore(): void {
  for (const [target, methods] of [
    [StatementSync.prototype, ["run", "get", "all"]],
    [DatabaseSync.prototype, ["exec"]],
  ] as const) {
    for (const method of methods) {
      const statements = target as unknown as Record<string, Method>;
      const own = statements[method] as Method;
      statements[method] = function (...args: never[]) {
        const text = String((this as StatementSync).sourceSQL ?? args[0]);
        const result = own.apply(this, args);
        const table = /\b(execution\w*)/.exec(text)?.[1] ?? "";
        stamp(`store: ${[text.trim().split(/\s/)[0], table].join(" ").trim()} done`);
        return result;
      };
    }
  }
}

function hookHttp(): void {
  subscribe("http.server.request.start", (message) => {
    const { request } = message as { request: { method: string } };
    stamp(`gateway: ${request.method} received`);
  });
  subscribe("http.server.response.finish", (message) => {
    const { request } = message as { request: { method: string } };
    stamp(`gateway: ${request.method} answered`);
  });
}

if (path) {
  hookServer();
  hookClient();
  hookStore();
  hookHttp();
  process.on("exit", () => writeFileSync(path, JSON.stringify(stamps)));
}
