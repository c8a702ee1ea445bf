import type {
  MethodDefinition,
  ServiceDefinition,
  UntypedHandleCall,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";

/** One RPC of a gRPC server of this process, which clients in the same process call without a socket. */
export type HostedMethod = {
  readonly definition: MethodDefinition<unknown, unknown>;
  readonly handler: UntypedHandleCall;
  /** The open in-process calls of the server that this RPC belongs to, of all its RPCs. */
  readonly calls: OpenCalls;
};

type OpenCall = { breakOff(): void };

/**
 * The in-process calls of one server that have not ended. A stopping server waits for them, then ends those
 * that are left.
 */
export class OpenCalls {
  readonly #open = new Set<OpenCall>();
  #whenNone: (() => void) | undefined;

  add(call: OpenCall): void {
    this.#open.add(call);
  }

  delete(call: OpenCall): void {
    this.#open.delete(call);
    if (this.#open.size === 0) this.#whenNone?.();
  }

  /** Resolves when no in-process call of the server is open; at once when there is none. */
  async none(): Promise<void> {
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#whenNone = resolve;
    });
  }

  /** Ends every open call with CANCELLED, because the time that a stopping server gives its calls is over. */
  breakOff(): void {
    for (const call of this.#open) call.breakOff();
  }
}

/** A gRPC server that clients in the same process reach without its socket. */
export type InProcessServer = {
  /**
   * Sends every new call of a client in this process through the socket. Resolves when all in-process calls
   * that had begun have ended.
   */
  drain(): Promise<void>;
  /** Ends every open in-process call with CANCELLED. */
  breakOff(): void;
};

const hosts = new Map<string, ReadonlyMap<string, HostedMethod>>();

/**
 * The RPC with the gRPC path `path` of the server at `address`; undefined unless that server runs in this
 * process.
 */
export function hostedMethod(address: string, path: string): HostedMethod | undefined {
  return hosts.get(address)?.get(path);
}

/**
 * Whether a server in this process serves `address`, so that clients in this process need no socket for it.
 */
export function isHosted(address: string): boolean {
  return hosts.has(address);
}

/** Lets clients in this process call the services of the server at `address` without its socket. */
export function hostInProcess(
  address: string,
  services: readonly (readonly [ServiceDefinition, UntypedServiceImplementation])[],
): InProcessServer {
  const calls = new OpenCalls();
  const methods = new Map<string, HostedMethod>();
  for (const [service, implementation] of services) {
    for (const [name, definition] of Object.entries(service)) {
      const handler = implementation[name];
      if (handler) methods.set(definition.path, { definition, handler, calls });
    }
  }
  hosts.set(address, methods);
  return {
    async drain() {
      if (hosts.get(address) === methods) hosts.delete(address);
      await calls.none();
    },
    breakOff: () => calls.breakOff(),
  };
}
