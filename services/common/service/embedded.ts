import type { Registry } from "prom-client";
import type { EnvironmentReader } from "./environment.ts";
import type { Log } from "./log.ts";
import type { RunningService } from "./run-service.ts";

/** Directories and addresses of services that run together in one process. */
export type EmbeddedSite = {
  readonly projectsDirectory: string;
  readonly dataDirectory: string;
  /**
   * The directory of workers' sockets and scratch files. Its path must be short, because a socket path has at
   * most 107 characters.
   */
  readonly runDirectory: string;
  /** The gRPC target of a service, which is also the address that the service listens on. */
  address(service: string): string;
  /** The directory of a service's certificates; undefined when all connections stay on this machine. */
  tlsDirectoryOf(service: string): string | undefined;
};

/**
 * Facts about the process on which the settings of a service may depend. `isMock`: the process serves the
 * mock (`./airlock up --mock`), which runs no scripts.
 */
export type EmbeddedPlace = { readonly dataDirectory: string; readonly isMock: boolean };

/**
 * A service that can run in one process with others. `Settings` are the choices that the operator has for
 * this service.
 */
export type EmbeddedService<Settings, Running extends RunningService = RunningService> = {
  /** The names of the services that this service calls; they are started first. */
  readonly needs: readonly string[];
  /** Reads the service's own environment variables; `read` collects the problems. */
  readSettings(read: EnvironmentReader, place: EmbeddedPlace): Settings;
  /**
   * Starts the service. `hosted`: the metrics of the services that were started before. Rejects when it
   * cannot start.
   */
  start(site: EmbeddedSite, settings: Settings, log: Log, hosted: readonly Registry[]): Promise<Running>;
};
