import { isIP } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type CallOptions,
  type ChannelCredentials,
  type Client,
  type ClientDuplexStream,
  type ClientOptions,
  type ClientReadableStream,
  type ClientUnaryCall,
  credentials,
  type Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { type AirlockError, callCancelled } from "../errors.ts";
import { ownerOf } from "../identity/authorization.ts";
import type { ServiceIdentity } from "../identity/identity.ts";
import type { Principal } from "../identity/principal.ts";
import type { TlsIdentity } from "../identity/tls-identity.ts";
import { ConfigError } from "../service/environment.ts";
import { fromGrpcError, isServiceError, wasRefused } from "./errors.ts";
import { UnixChannel, withoutSerialising } from "./in-process/channel.ts";
import { CHANNEL_OPTIONS, NETWORK_CLIENT_OPTIONS } from "./limits.ts";
import { metadataFor } from "./principal.ts";
import { type Duplex, openDuplex, openMessages } from "./stream.ts";

/** The class of a generated gRPC client, such as RouterServiceClient. */
export type ClientConstructor<C extends Client> = {
  new (address: string, creds: ChannelCredentials, options: Record<string, unknown>): C;
  readonly serviceName?: string;
};

type UnaryMethod<Req, Res> = (
  request: Req,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, response: Res) => void,
) => ClientUnaryCall;

type StreamMethod<Req, Res> = (
  request: Req,
  metadata: Metadata,
  options: Partial<CallOptions>,
) => ClientReadableStream<Res>;

/**
 * A gRPC client for the service at `address`; it connects at the first call.
 *
 * - `address`: `unix:/path`. With `tls` also `host:port`, or several replicas as
 *   `ipv4:ADDRESS:PORT,ADDRESS:PORT`.
 * - `peer`: the service that the server must prove to be over TLS; by default the one that answers this
 *   client's calls.
 * - `options`: channel options that override Airlock's usual ones.
 *
 * Throws a ConfigError for a network address without `tls`.
 */
export function connectTo<C extends Client>(
  Service: ClientConstructor<C>,
  address: string,
  tls?: TlsIdentity,
  peer: ServiceIdentity | undefined = ownerOf(Service.serviceName ?? ""),
  options: ClientOptions = {},
): C {
  return new Service(address, credentialsFor(address, tls, peer), {
    ...CHANNEL_OPTIONS,
    ...(!address.startsWith("unix:") && NETWORK_CLIENT_OPTIONS),
    // TLS allows no IP address as a server name, and a worker's container has no other name. The name of the
    // called service is used instead.
    ...(isIpAddress(address) && peer && { "grpc.ssl_target_name_override": peer }),
    // Milliseconds between attempts to connect, at first and at most. Short, because a worker's socket
    // appears some tenths of a second after the worker's process starts, and a client may already wait for
    // it.
    "grpc.initial_reconnect_backoff_ms": 20,
    "grpc.max_reconnect_backoff_ms": 1_000,
    ...(address.startsWith("unix:") && IN_PROCESS_IF_POSSIBLE),
    ...options,
  });
}

const IN_PROCESS_IF_POSSIBLE: ClientOptions = {
  channelFactoryOverride: (...args) => new UnixChannel(...args),
  callInvocationTransformer: withoutSerialising,
};

function isIpAddress(address: string): boolean {
  const [first = ""] = address.replace(/^ipv[46]:/, "").split(",");
  return isIP(first.replace(/:\d+$/, "").replace(/^\[|\]$/g, "")) !== 0;
}

function credentialsFor(
  address: string,
  tls: TlsIdentity | undefined,
  peer: ServiceIdentity | undefined,
): ChannelCredentials {
  if (address.startsWith("unix:")) return credentials.createInsecure();
  if (!tls) throw needsTls(address);
  if (!peer) throw new Error("no service is known that answers these calls");
  return tls.client(peer);
}

/**
 * The error for a network address without certificates, because over a network client and server must both
 * prove their identity.
 */
export function needsTls(address: string): ConfigError {
  return new ConfigError([
    `${address} is a network address and needs AIRLOCK_TLS_DIR (./airlock certs makes it); on one machine use unix:/PATH.`,
  ]);
}

export type CallLimits = {
  /** Milliseconds after which the call ends with `deadline_exceeded`. */
  readonly timeoutMs: number;
  /** A signal that cancels the call when it aborts; undefined when only the deadline ends the call early. */
  readonly signal?: AbortSignal;
  /**
   * The client on whose behalf the call is made; undefined when the calling service acts for itself. Servers
   * take it on Unix sockets only.
   */
  readonly principal?: Principal;
  /** The pass for the called service, which names the principal on a network; sent instead of `principal`. */
  readonly pass?: string | undefined;
};

// Milliseconds between two attempts of a call that a stopping server refused. Short, because a stopping
// server refuses calls only for a moment, until this client has removed the server from its list of replicas.
const REFUSED_AGAIN_MS = 20;

function mayBeMadeAgain(error: unknown, deadline: number): boolean {
  return isServiceError(error) && wasRefused(error) && Date.now() + REFUSED_AGAIN_MS < deadline;
}

/**
 * Makes one unary call. Rejects with an AirlockError, whose message names the server as `peer`. A call that a
 * stopping server refused is repeated until the deadline, which is safe because no handler has seen it (RFC
 * 9113 §8.7). grpc-js repeats such a call only once, perhaps to another stopping server.
 * Usage: `callUnary(client, client.getProject, { name }, 'pool-manager', { timeoutMs: 2_000 })`.
 */
export function callUnary<Req, Res>(
  client: Client,
  method: UnaryMethod<Req, Res>,
  request: Req,
  peer: string,
  { timeoutMs, signal, principal, pass }: CallLimits,
): Promise<Res> {
  const deadline = Date.now() + timeoutMs;
  return new Promise((resolve, reject) => {
    const attempt = () => {
      if (signal?.aborted) return reject(callCancelled());
      const cancel = () => call.cancel();
      const call = method.call(
        client,
        request,
        metadataFor(principal, pass),
        { deadline },
        (error, response) => {
          signal?.removeEventListener("abort", cancel);
          if (!error) resolve(response);
          else if (mayBeMadeAgain(error, deadline)) setTimeout(attempt, REFUSED_AGAIN_MS);
          else reject(fromGrpcError(error, peer));
        },
      );
      signal?.addEventListener("abort", cancel, { once: true });
    };
    attempt();
  });
}

/**
 * Makes one server-streaming call and yields its messages. Throws an AirlockError when the call fails or the
 * stream breaks. A call that a stopping server refused is repeated until the deadline, because no handler has
 * seen it.
 */
export async function* callStream<Req, Res>(
  client: Client,
  method: StreamMethod<Req, Res>,
  request: Req,
  peer: string,
  { timeoutMs, signal, principal, pass }: CallLimits,
): AsyncGenerator<Res> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    if (signal?.aborted) throw callCancelled();
    const call = method.call(client, request, metadataFor(principal, pass), { deadline });
    const cancel = () => call.cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    const { next } = openMessages<Res>(call, peer);
    let isOver = false;
    try {
      let message = await next().catch((error: AirlockError) => {
        if (mayBeMadeAgain(error.cause, deadline)) return "refused" as const;
        throw error;
      });
      if (message !== "refused") {
        for (; message !== null; message = await next()) yield message;
        isOver = true;
        return;
      }
    } finally {
      signal?.removeEventListener("abort", cancel);
      if (!isOver) call.cancel();
    }
    await sleep(REFUSED_AGAIN_MS);
  }
}

export type ClientDuplex<In, Out> = Duplex<In, Out> & {
  /**
   * Ends the call without an error: the client sends nothing more, and the server ends the call in turn. A
   * server that has not done so after 5 s sees a cancellation.
   */
  close(): void;
  /** Ends the call at once; the server sees a cancellation. */
  cancel(): void;
};

// Milliseconds that the server has to end a call after the client closed it.
const CLOSE_TIMEOUT_MS = 5_000;

/**
 * Wraps a bidirectional grpc-js call that was just made. A sender waits while the server is not ready for
 * more, and error messages name the server as `peer`.
 */
export function clientDuplex<Out, In>(
  call: ClientDuplexStream<Out, In>,
  peer: string,
): ClientDuplex<In, Out> {
  return {
    ...openDuplex<In, Out>(call, peer),
    close() {
      // A cancellation would end the call as well, but creates an error with a stack trace on client and
      // server for every call.
      call.end();
      const giveUp = setTimeout(() => call.cancel(), CLOSE_TIMEOUT_MS).unref();
      call.once("status", () => clearTimeout(giveUp));
    },
    cancel: () => call.cancel(),
  };
}
