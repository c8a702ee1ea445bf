import type { Registry } from "prom-client";
import type { EnvironmentReader } from "./environment.ts";
import type { Log } from "./log.ts";
import type { RunningService } from "./run-service.ts";

/** Where services that share one process find each other, and what they share. */
export type EmbeddedSite = {
  readonly projectsDirectory: string;
  readonly dataDirectory: string;
  /** Sockets and scratch directories of workers; short, because a socket path has at most 107 characters. */
  readonly runDirectory: string;
  /** The gRPC target of a service; the service itself listens there. */
  address(service: string): string;
  /** The certificates of a service; undefined where all connections stay on this machine. */
  tlsDirectoryOf(service: string): string | undefined;
};

/** What a service's own settings may depend on, before there is a site. */
export type EmbeddedPlace = { readonly dataDirectory: string; readonly isMock: boolean };

/** How a service is started beside the others in one process; its `Settings` are what an operator may choose for it. */
export type EmbeddedService<Settings, Running extends RunningService = RunningService> = {
  /** The services that it calls; they are started before it. */
  readonly needs: readonly string[];
  /** Reads the service's own variables; the problems stay with `read`. */
  readSettings(read: EnvironmentReader, place: EmbeddedPlace): Settings;
  /** `hosted`: the metrics of the services that were started before. Rejects when the service cannot start. */
  start(site: EmbeddedSite, settings: Settings, log: Log, hosted: readonly Registry[]): Promise<Running>;
};
