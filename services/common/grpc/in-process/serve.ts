import { type Metadata, type sendUnaryData, status, type UntypedHandleCall } from "@grpc/grpc-js";
import {
  ServerDuplexStreamImpl,
  ServerUnaryCallImpl,
  ServerWritableStreamImpl,
  serverErrorToStatus,
} from "@grpc/grpc-js/build/src/server-call.js";
import type { ServerInterceptingCallInterface as ServerCall } from "@grpc/grpc-js/build/src/server-interceptors.js";
import type { HostedMethod } from "./host.ts";
import type { LaneReader } from "./lane.ts";

/**
 * The handler's half of an in-process call. InProcessCall tells it of each request and of the end of the
 * call.
 */
export type Served = LaneReader & {
  /**
   * Called when the call is over, also when the call ended well, because grpc-js emits `cancelled` on a
   * server call after every call.
   */
  onOver(): void;
};

/**
 * Runs the handler of `method` for one in-process call, with the same call objects as grpc-js's own server. A
 * handler that takes one request starts when that request has arrived. A handler that takes a stream of
 * requests starts at once.
 */
export function serve(method: HostedMethod, call: ServerCall, metadata: Metadata): Served {
  return method.definition.requestStream
    ? serveStream(method, call, metadata)
    : serveRequest(method, call, metadata);
}

function serveRequest({ definition, handler }: HostedMethod, call: ServerCall, metadata: Metadata): Served {
  const { path, responseStream } = definition;
  let request: unknown;
  let surface: ServerUnaryCallImpl<unknown, unknown> | ServerWritableStreamImpl<unknown, unknown> | undefined;
  call.startRead();
  return {
    onMessage(message) {
      request = message;
    },
    onEnd() {
      if (request === undefined) {
        const details = `Received no request message for method ${path}`;
        return call.sendStatus({ code: status.UNIMPLEMENTED, details });
      }
      surface = responseStream
        ? new ServerWritableStreamImpl(path, call, metadata, request)
        : new ServerUnaryCallImpl(path, call, metadata, request);
      run(handler, surface, call);
    },
    onOver() {
      if (!surface) return;
      surface.cancelled = true;
      surface.emit("cancelled", "cancelled");
      if (surface instanceof ServerWritableStreamImpl) surface.destroy();
    },
  };
}

function serveStream({ definition, handler }: HostedMethod, call: ServerCall, metadata: Metadata): Served {
  const stream = new ServerDuplexStreamImpl<unknown, unknown>(definition.path, call, metadata);
  setImmediate(() => {
    if (!stream.cancelled) run(handler, stream, call);
  });
  return {
    onMessage: (message) => void stream.push(message),
    onEnd: () => void stream.push(null),
    onOver() {
      stream.cancelled = true;
      stream.emit("cancelled", "cancelled");
      stream.destroy();
    },
  };
}

function run(handler: UntypedHandleCall, surface: object, call: ServerCall): void {
  const respond: sendUnaryData<unknown> = (error, value, trailer) => {
    if (error) call.sendStatus(serverErrorToStatus(error, trailer));
    else {
      const metadata = trailer ?? null;
      call.sendMessage(value, () => call.sendStatus({ code: status.OK, details: "OK", metadata }));
    }
  };
  try {
    (handler as (surface: object, respond: sendUnaryData<unknown>) => void)(surface, respond);
  } catch {
    call.sendStatus({ code: status.UNKNOWN, details: "Unknown error" });
  }
}
