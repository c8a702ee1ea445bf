import { chmod } from "node:fs/promises";
import {
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import { ReadinessServiceService } from "#proto/readiness.ts";
import { AirlockError, asAirlockError } from "../errors.ts";
import type { Caller } from "../identity/identity.ts";
import type { Principal } from "../identity/principal.ts";
import type { TlsIdentity } from "../identity/tls-identity.ts";
import { resolveListenAddress } from "../service/listen-address.ts";
import type { Log } from "../service/log.ts";
import { removeStaleSocket } from "../service/unix-socket.ts";
import { authorizeCalls } from "./authorizer.ts";
import { callerOf } from "./caller.ts";
import { needsTls } from "./client.ts";
import { toGrpcStatus } from "./errors.ts";
import { CHANNEL_OPTIONS, MAX_REQUEST_BYTES, NETWORK_SERVER_OPTIONS } from "./limits.ts";
import { principalOf } from "./principal.ts";
import { type AskReadiness, readinessHandlers } from "./readiness.ts";
import { addReflection } from "./reflection.ts";
import { type Duplex, drained, openDuplex } from "./stream.ts";

/** What a handler knows of its call. */
export type CallContext = {
  /** Aborts when the caller goes away or its deadline passes. */
  readonly signal: AbortSignal;
  /** Who made the call. */
  readonly caller: Caller;
  /** For whom the caller made it. */
  readonly principal: Principal;
};

// Made once: an abort without a reason makes an error with a stack trace for every call that ends early.
const CALLER_GONE = new AirlockError("cancelled", "The caller went away.");

/** Wraps handlers of one service: errors are mapped once, and no rejected promise leaves a caller waiting. */
export function handlersFor(log: Log) {
  const report = (path: string, error: unknown) => {
    const known = asAirlockError(error);
    if (known.code === "internal") log.error({ err: known.cause ?? known, path }, "call failed");
    else if (known.code !== "cancelled")
      log.debug({ code: known.code, path, detail: known.logDetail }, "call refused");
    return toGrpcStatus(known);
  };
  return {
    /** A request in, a response out. */
    unary<Req, Res>(
      handler: (request: Req, context: CallContext) => Promise<Res> | Res,
    ): handleUnaryCall<Req, Res> {
      return async (call, callback) => {
        try {
          callback(null, await handler(call.request, contextOf(call)));
        } catch (error) {
          callback(report(call.getPath(), error));
        }
      };
    },
    /** A request in, responses out as the handler yields them; it is returned early when the caller goes away. */
    serverStream<Req, Res>(
      handler: (request: Req, context: CallContext) => AsyncIterable<Res>,
    ): handleServerStreamingCall<Req, Res> {
      return async (call) => {
        try {
          const context = contextOf(call);
          for await (const response of handler(call.request, context)) {
            if (context.signal.aborted) return;
            // A caller that takes slowly is waited for, so that what waits for it is bounded.
            if (!call.write(response)) await drained(call);
          }
          call.end();
        } catch (error) {
          call.emit("error", report(call.getPath(), error));
        }
      };
    },
    /** Messages both ways until the handler returns. */
    duplex<Req, Res>(
      handler: (stream: Duplex<Req, Res>, context: CallContext) => Promise<void>,
    ): handleBidiStreamingCall<Req, Res> {
      return async (call) => {
        try {
          await handler(openDuplex<Req, Res>(call, "caller"), contextOf(call));
          call.end();
        } catch (error) {
          call.emit("error", report(call.getPath(), error));
        }
      };
    },
  };
}

/** Throws when the call names a principal that its caller may not name. */
function contextOf(
  call: ServerUnaryCall<unknown, unknown> | ServerDuplexStream<unknown, unknown>,
): CallContext {
  const abort = new AbortController();
  call.on("cancelled", () => abort.abort(CALLER_GONE));
  const caller = callerOf(call.getAuthContext());
  if (!caller) throw new AirlockError("permission_denied", "This certificate stands for no identity.");
  return { signal: abort.signal, caller, principal: principalOf(caller, call.metadata) };
}

export type GrpcServer = {
  /** Where it listens: `unix:/path` or `host:port` with the port that was given out. */
  readonly address: string;
  /** Says NOT_SERVING, lets calls finish for `graceMs`, then ends the rest. */
  drain(graceMs: number): Promise<void>;
};

/**
 * Starts a gRPC server on `address` with the given services, the standard health service, ReadinessService and reflection.
 * `readiness` tells what the service depends on. The caller's identity on
 * `unix:/path` is the user of this process (mode 0600, the kernel refuses everybody else); on `host:port` (port 0 for
 * any; `NETWORK/BITS:port` for the own address in a network) it is that of its certificate, which must be allowed to make the
 * call. Rejects when the address cannot be bound.
 */
export async function startGrpcServer(
  address: string,
  services: readonly (readonly [ServiceDefinition, UntypedServiceImplementation])[],
  tls?: TlsIdentity,
  readiness: AskReadiness = async () => [],
): Promise<GrpcServer> {
  const isLocal = address.startsWith("unix:");
  if (!isLocal && !tls) throw needsTls(address);
  const server = new Server({
    ...CHANNEL_OPTIONS,
    "grpc.max_receive_message_length": MAX_REQUEST_BYTES,
    ...(!isLocal && { ...NETWORK_SERVER_OPTIONS, interceptors: [authorizeCalls] }),
  });
  const all = [...services, [ReadinessServiceService, readinessHandlers(readiness)] as const];
  const names = all.map(([definition]) => nameOf(definition));
  // Probes of orchestrators and load balancers name a service; the empty name is the whole process.
  const healthNames = ["", ...names];
  const health = new HealthImplementation(Object.fromEntries(healthNames.map((name) => [name, "SERVING"])));
  health.addToServer(server);
  for (const [definition, implementation] of all) server.addService(definition, implementation);
  addReflection(server, names);
  if (isLocal) await removeStaleSocket(address.slice("unix:".length));
  const target = resolveListenAddress(address);
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = isLocal || !tls ? ServerCredentials.createInsecure() : tls.server;
    server.bindAsync(target, credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  if (isLocal) await chmod(address.slice("unix:".length), 0o600);
  return {
    address: isLocal ? address : target.replace(/:\d+$/, `:${port}`),
    drain: (graceMs) =>
      new Promise((resolve) => {
        for (const name of healthNames) health.setStatus(name, "NOT_SERVING");
        const force = setTimeout(() => server.forceShutdown(), graceMs);
        server.tryShutdown(() => {
          clearTimeout(force);
          resolve();
        });
      }),
  };
}

/** `airlock.v1.RouterService`, from the path of one of its methods. */
function nameOf(definition: ServiceDefinition): string {
  return Object.values(definition)[0]?.path.split("/")[1] ?? "";
}
