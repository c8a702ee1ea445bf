import { chmod } from "node:fs/promises";
import {
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  logVerbosity,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServiceDefinition,
  setLogVerbosity,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import { ReadinessServiceService } from "#proto/readiness.ts";
import { AirlockError, asAirlockError } from "../errors.ts";
import { missingPermission } from "../identity/authorization.ts";
import type { Caller } from "../identity/identity.ts";
import { permissionDenied } from "../identity/permission-denied.ts";
import type { Principal } from "../identity/principal.ts";
import type { TlsIdentity } from "../identity/tls-identity.ts";
import { resolveListenAddress } from "../service/listen-address.ts";
import type { Log } from "../service/log.ts";
import { removeStaleSocket } from "../service/unix-socket.ts";
import { authorizeCalls } from "./authorizer.ts";
import { callerOf } from "./caller.ts";
import { needsTls } from "./client.ts";
import type { ClientGrants } from "./client-grants.ts";
import { toGrpcStatus } from "./errors.ts";
import { hostInProcess } from "./in-process/host.ts";
import { CHANNEL_OPTIONS, MAX_REQUEST_BYTES, NETWORK_SERVER_OPTIONS } from "./limits.ts";
import type { PassCheck } from "./pass-check.ts";
import { principalOf } from "./principal.ts";
import { type AskReadiness, readinessHandlers } from "./readiness.ts";
import { addReflection } from "./reflection.ts";
import { type Duplex, drained, openDuplex } from "./stream.ts";

/** Facts about a call that its handler gets besides the request. */
export type CallContext = {
  /** Aborts when the caller goes away or the call's deadline passes. */
  readonly signal: AbortSignal;
  /** The service, client or local user that made the call. */
  readonly caller: Caller;
  /** The principal for whom the caller made the call. */
  readonly principal: Principal;
};

// One reason for all aborts, because an abort without a reason creates an error with a stack trace for every
// call that ends early.
const CALLER_GONE = new AirlockError("cancelled", "The caller ended the call.");

/**
 * Makes wrappers for the handlers of one service. A wrapper maps each error to a gRPC status and logs it, so
 * that a rejected promise never leaves a caller waiting.
 */
export function handlersFor(log: Log) {
  const report = (path: string, error: unknown) => {
    const known = asAirlockError(error);
    if (known.code === "internal") log.error({ err: known.cause ?? known, path }, "call failed");
    else if (known.code !== "cancelled")
      log.debug({ code: known.code, path, detail: known.logDetail }, "call refused");
    return toGrpcStatus(known);
  };
  return {
    /** Wraps a handler with one request and one response. */
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
    /**
     * Wraps a handler with one request that yields responses. Its generator is ended early when the caller
     * goes away.
     */
    serverStream<Req, Res>(
      handler: (request: Req, context: CallContext) => AsyncIterable<Res>,
    ): handleServerStreamingCall<Req, Res> {
      return async (call) => {
        try {
          const context = contextOf(call);
          for await (const response of handler(call.request, context)) {
            if (context.signal.aborted) return;
            // Without this wait, responses would pile up in memory when the caller reads slowly.
            if (!call.write(response)) await drained(call);
          }
          call.end();
        } catch (error) {
          call.emit("error", report(call.getPath(), error));
        }
      };
    },
    /** Wraps a handler that reads and writes messages; the call ends when the handler returns. */
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

/**
 * The context of a call. Throws `permission_denied` when the certificate names no identity, when the caller
 * names a principal that it may not name or lacks a pass, or when the principal lacks the permission that the
 * call needs.
 */
function contextOf(
  call: ServerUnaryCall<unknown, unknown> | ServerDuplexStream<unknown, unknown>,
): CallContext {
  const abort = new AbortController();
  call.on("cancelled", () => abort.abort(CALLER_GONE));
  const caller = callerOf(call.getAuthContext());
  if (!caller)
    throw new AirlockError(
      "permission_denied",
      "The certificate names no identity of Airlock; use one that ./airlock certs made.",
    );
  const path = call.getPath();
  const principal = principalOf(caller, call.metadata, path);
  const missing = missingPermission(principal, path);
  if (missing) throw permissionDenied(principal, missing);
  return { signal: abort.signal, caller, principal };
}

export type GrpcServer = {
  /**
   * The address that the server listens on: `unix:/path`, or `host:port` with the actual port, even if port 0
   * was asked for.
   */
  readonly address: string;
  /**
   * Reports NOT_SERVING to health checks, lets open calls finish for `graceMs` milliseconds, then ends the
   * rest.
   */
  drain(graceMs: number): Promise<void>;
};

/**
 * Starts a gRPC server on `address` with the given services, the standard health service, ReadinessService
 * and reflection. `readiness` reports what the service depends on. `passes` checks the passes that services
 * present on a network, and `clients` says what programs of the operator may do there; undefined for a service
 * that is called for no principal, or on a Unix socket.
 *
 * - On `unix:/path` every caller is the user of this process, because the socket's mode is 0600 and the
 *   kernel refuses other users.
 * - On `host:port` a caller is the identity in its certificate, which must be allowed to make the call. Port
 *   0 means any free port, and `NETWORK/BITS:port` this machine's own address in a network.
 *
 * Rejects with a ConfigError for a network address without `tls`, and when the address cannot be bound.
 */
export async function startGrpcServer(
  address: string,
  services: readonly (readonly [ServiceDefinition, UntypedServiceImplementation])[],
  tls?: TlsIdentity,
  readiness: AskReadiness = async () => [],
  passes?: PassCheck,
  clients?: ClientGrants,
): Promise<GrpcServer> {
  const isLocal = address.startsWith("unix:");
  if (!isLocal && !tls) throw needsTls(address);
  silenceLibrary();
  const server = new Server({
    ...CHANNEL_OPTIONS,
    "grpc.max_receive_message_length": MAX_REQUEST_BYTES,
    ...(!isLocal && { ...NETWORK_SERVER_OPTIONS, interceptors: [authorizeCalls(passes, clients)] }),
  });
  const all = [...services, [ReadinessServiceService, readinessHandlers(readiness)] as const];
  const names = all.map(([definition]) => nameOf(definition));
  // Health probes of orchestrators and load balancers ask for one service by name, or with an empty name for
  // the whole process.
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
  const inProcess = isLocal ? hostInProcess(address, all) : undefined;
  return {
    address: isLocal ? address : target.replace(/:\d+$/, `:${port}`),
    async drain(graceMs) {
      for (const name of healthNames) health.setStatus(name, "NOT_SERVING");
      const force = setTimeout(() => {
        inProcess?.breakOff();
        server.forceShutdown();
      }, graceMs);
      await Promise.all([
        inProcess?.drain(),
        new Promise<void>((resolve) => server.tryShutdown(() => resolve())),
      ]);
      clearTimeout(force);
    },
  };
}

/**
 * Keeps grpc-js from writing to standard error past the log: it prints metadata of callers as it came, with
 * values and control characters. An operator who sets GRPC_VERBOSITY gets its lines all the same.
 */
function silenceLibrary(): void {
  const { GRPC_VERBOSITY, GRPC_NODE_VERBOSITY } = process.env;
  if (!GRPC_VERBOSITY && !GRPC_NODE_VERBOSITY) setLogVerbosity(logVerbosity.NONE);
}

/** The full name of a service, such as `airlock.v1.RouterService`, from the path of its first method. */
function nameOf(definition: ServiceDefinition): string {
  return Object.values(definition)[0]?.path.split("/")[1] ?? "";
}
