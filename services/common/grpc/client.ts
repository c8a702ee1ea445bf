import { isIP } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type CallOptions,
  type ChannelCredentials,
  type ChannelOptions,
  type Client,
  type ClientDuplexStream,
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
import { CHANNEL_OPTIONS, NETWORK_CLIENT_OPTIONS } from "./limits.ts";
import { metadataFor } from "./principal.ts";
import { type Duplex, openDuplex, openMessages } from "./stream.ts";

/** The class of a generated client. */
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
 * A client for the service at `address` (`unix:/path`, or with `tls` `host:port`, or the replicas of a service as
 * `ipv4:ADDRESS:PORT,ADDRESS:PORT`); it connects on first use. Over TLS the other side must be `peer`, or else the one
 * service that answers such calls. `options` go before the usual ones.
 */
export function connect<C extends Client>(
  Service: ClientConstructor<C>,
  address: string,
  tls?: TlsIdentity,
  peer: ServiceIdentity | undefined = ownerOf(Service.serviceName ?? ""),
  options: ChannelOptions = {},
): C {
  return new Service(address, credentialsFor(address, tls, peer), {
    ...CHANNEL_OPTIONS,
    ...(!address.startsWith("unix:") && NETWORK_CLIENT_OPTIONS),
    // An IP address is no server name in TLS, and a container has no other.
    ...(isIpAddress(address) && peer && { "grpc.ssl_target_name_override": peer }),
    // A worker's socket appears some tenths of a second after its process: whoever waits for it looks often.
    "grpc.initial_reconnect_backoff_ms": 20,
    "grpc.max_reconnect_backoff_ms": 1_000,
    ...options,
  });
}

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
  if (!peer) throw new Error("nobody is known to answer the calls of this service");
  return tls.client(peer);
}

/** Nothing is said over a network without identities on both sides. */
export function needsTls(address: string): ConfigError {
  return new ConfigError([
    `${address} is a network address and needs AIRLOCK_TLS_DIR (./airlock certs makes it); on one machine use unix:/PATH.`,
  ]);
}

export type CallLimits = {
  /** The call is given up after this long. */
  readonly timeoutMs: number;
  /** The call is cancelled when this aborts. */
  readonly signal?: AbortSignal;
  /** For whom the call is made; without one it is the caller's own. Only the gateway may name one. */
  readonly principal?: Principal;
};

// A server that stops refuses calls for no longer than it takes to be struck off the list of those that are called.
const REFUSED_AGAIN_MS = 20;

function mayBeMadeAgain(error: unknown, deadline: number): boolean {
  return isServiceError(error) && wasRefused(error) && Date.now() + REFUSED_AGAIN_MS < deadline;
}

/**
 * Makes one unary call. Rejects with an AirlockError; `peer` is how that error names the service. A call that was refused,
 * as those of a server that stops are, is made again until its time is over: no handler has seen it (RFC 9113 §8.7).
 * grpc-js does so once, and its second choice may be a server that stops as well.
 * Usage: `callUnary(client, client.getProject, { name }, 'pool-manager', { timeoutMs: 2_000 })`.
 */
export function callUnary<Req, Res>(
  client: Client,
  method: UnaryMethod<Req, Res>,
  request: Req,
  peer: string,
  { timeoutMs, signal, principal }: CallLimits,
): Promise<Res> {
  const deadline = Date.now() + timeoutMs;
  return new Promise((resolve, reject) => {
    const attempt = () => {
      if (signal?.aborted) return reject(callCancelled());
      const cancel = () => call.cancel();
      const call = method.call(client, request, metadataFor(principal), { deadline }, (error, response) => {
        signal?.removeEventListener("abort", cancel);
        if (!error) resolve(response);
        else if (mayBeMadeAgain(error, deadline)) setTimeout(attempt, REFUSED_AGAIN_MS);
        else reject(fromGrpcError(error, peer));
      });
      signal?.addEventListener("abort", cancel, { once: true });
    };
    attempt();
  });
}

/**
 * Makes one call that is answered with a stream, message by message. Rejects with an AirlockError, also when the stream
 * breaks; a call that was refused is made again, as `callUnary` does.
 */
export async function* callStream<Req, Res>(
  client: Client,
  method: StreamMethod<Req, Res>,
  request: Req,
  peer: string,
  { timeoutMs, signal, principal }: CallLimits,
): AsyncGenerator<Res> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    if (signal?.aborted) throw callCancelled();
    const call = method.call(client, request, metadataFor(principal), { deadline });
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
  /** Ends the call in good order: nothing more is sent, and the other side ends it too. */
  close(): void;
  /** Gives the call up; the other side sees a cancellation. */
  cancel(): void;
};

// The other side has this long to end a call that was closed here.
const CLOSE_TIMEOUT_MS = 5_000;

/** Wraps a duplex call that was just made. */
export function clientDuplex<Out, In>(
  call: ClientDuplexStream<Out, In>,
  peer: string,
): ClientDuplex<In, Out> {
  return {
    ...openDuplex<In, Out>(call, peer),
    close() {
      // A cancellation would do too, but costs both ends an error with its stack trace on every call.
      call.end();
      const giveUp = setTimeout(() => call.cancel(), CLOSE_TIMEOUT_MS).unref();
      call.once("status", () => clearTimeout(giveUp));
    },
    cancel: () => call.cancel(),
  };
}
