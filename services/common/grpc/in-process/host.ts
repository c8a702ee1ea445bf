import type {
  MethodDefinition,
  ServiceDefinition,
  UntypedHandleCall,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";

/** A method of a server that runs in this process. */
export type HostedMethod = {
  readonly definition: MethodDefinition<unknown, unknown>;
  readonly handler: UntypedHandleCall;
  /** The open calls of the whole server. */
  readonly calls: OpenCalls;
};

type OpenCall = { breakOff(): void };

/** The calls of one server that have not ended. */
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

  /** Resolves once no call is open. */
  async none(): Promise<void> {
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#whenNone = resolve;
    });
  }

  /** Ends every open call. */
  breakOff(): void {
    for (const call of this.#open) call.breakOff();
  }
}

/** A gRPC server that clients in the same process reach without its socket. */
export type InProcessServer = {
  /** Hands over no new calls: they go to the socket. Resolves once all calls that were handed over have ended. */
  drain(): Promise<void>;
  /** Ends every open call. */
  breakOff(): void;
};

const hosts = new Map<string, ReadonlyMap<string, HostedMethod>>();

/** The method behind `path` of the server at `address`; undefined unless that server runs in this process. */
export function hostedMethod(address: string, path: string): HostedMethod | undefined {
  return hosts.get(address)?.get(path);
}

/** Whether a server in this process has the address. */
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
