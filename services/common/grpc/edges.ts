import type { Client } from "@grpc/grpc-js";
import type { Dependency } from "#proto/readiness.ts";
import { ownerOf } from "../identity/authorization.ts";
import type { ServiceIdentity } from "../identity/identity.ts";
import { openTlsIfAny, type TlsIdentity } from "../identity/tls-identity.ts";
import type { Log } from "../service/log.ts";
import { type ClientConstructor, connectTo } from "./client.ts";
import { createReadinessCheck, mergeDependencies, type ReadinessCheck } from "./readiness.ts";

/** The part of a service's configuration that its edges, its connections to other services, need. */
export type EdgesConfig = {
  /**
   * The directory of this service's certificates; undefined when the service calls, and is called, on Unix
   * sockets only.
   */
  readonly tlsDirectory?: string | undefined;
};

/** The edges of one service: its TLS identity, and gRPC clients for the services that it calls. */
export type Edges = {
  /** The service's TLS identity; undefined without certificates, when only Unix sockets are used. */
  readonly tls: TlsIdentity | undefined;
  /** A client for the service at `address`. The client connects on first use and is closed by `close`. */
  connectTo<C extends Client>(Service: ClientConstructor<C>, address: string): C;
  /**
   * Asks `service` whether it serves; a failed call is reported as not ready. Rejects only when `connectTo` was
   * never called for this service.
   */
  health(service: ServiceIdentity): Promise<Dependency>;
  /**
   * Asks each connected service whether it serves; the answers are in the order of the `connectTo` calls. Does
   * not reject.
   */
  readiness(): Promise<Dependency[]>;
  /**
   * Asks each connected service whether it serves and what it depends on; lists each service and database
   * once. Does not reject.
   */
  deepReadiness(): Promise<Dependency[]>;
  /** Closes all clients, and stops reading the certificate files. */
  close(): void;
};

/** Opens the edges of the service `self`. Rejects with a ConfigError when its certificates cannot be used. */
export async function openEdges(self: ServiceIdentity, config: EdgesConfig, log: Log): Promise<Edges> {
  const tls = await openTlsIfAny(config.tlsDirectory, self, log);
  const clients: Client[] = [];
  const checks = new Map<ServiceIdentity, ReadinessCheck>();
  return {
    tls,
    connectTo(Service, address) {
      const peer = ownerOf(Service.serviceName ?? "");
      if (!peer) throw new Error(`no service is known to answer ${Service.serviceName}`);
      const client = connectTo(Service, address, tls, peer);
      clients.push(client);
      checks.set(peer, checks.get(peer) ?? createReadinessCheck(peer, address, tls));
      return client;
    },
    async health(service) {
      const check = checks.get(service);
      if (!check) throw new Error(`the ${self} has no edge to the ${service}`);
      return await check.health();
    },
    readiness: () => Promise.all([...checks.values()].map((check) => check.health())),
    async deepReadiness() {
      const answers = await Promise.all([...checks.values()].map((check) => check.readiness()));
      return mergeDependencies(answers.flat());
    },
    close() {
      for (const each of [...clients, ...checks.values()]) each.close();
      tls?.close();
    },
  };
}
