import type { EmbeddedPlace, EmbeddedService, EmbeddedSite } from "#common/service/embedded.ts";
import type { EnvironmentReader } from "#common/service/environment.ts";
import type { Log } from "#common/service/log.ts";
import { gateway } from "../gateway/embedded.ts";
import { authority } from "./authority/embedded.ts";
import { egress } from "./egress/embedded.ts";
import { poolManager } from "./pool-manager/embedded.ts";
import { router } from "./router/embedded.ts";
import { sanitizer } from "./sanitizer/embedded.ts";
import { secrets } from "./secrets/embedded.ts";

/** All services of Airlock. A new service is added here and in docker-compose.yml, and nowhere else. */
export const SERVICES = {
  authority,
  secrets,
  sanitizer,
  egress,
  "pool-manager": poolManager,
  router,
  gateway,
} as const;

export type ServiceName = keyof typeof SERVICES;
type SettingsOf<Name extends ServiceName> = Parameters<(typeof SERVICES)[Name]["start"]>[1];
type RunningOf<Name extends ServiceName> = Awaited<ReturnType<(typeof SERVICES)[Name]["start"]>>;

/** The settings that an operator may choose, by service. */
export type Settings = { readonly [Name in ServiceName]: SettingsOf<Name> };

/** All service names, each after the services that it calls. */
export const START_ORDER: readonly ServiceName[] = inOrder();

/** Reads the environment variables of all services; `read` collects the problems. */
export function readSettings(read: EnvironmentReader, place: EmbeddedPlace): Settings {
  const entries = START_ORDER.map((name) => [name, SERVICES[name].readSettings(read, place)]);
  return Object.fromEntries(entries) as Settings;
}

/**
 * The environment variables that tell a service in its own process where to listen, and where the services
 * are that it calls. `address` returns the address of a service. The gateway's port for REST is not among the
 * variables.
 */
export function wiringOf(
  name: ServiceName,
  address: (service: ServiceName) => string,
): Record<string, string> {
  const variableOf = (service: string) => `AIRLOCK_${service.toUpperCase().replaceAll("-", "_")}_ADDRESS`;
  const needed = SERVICES[name].needs as readonly ServiceName[];
  return {
    ...(name !== "gateway" && { AIRLOCK_LISTEN: address(name) }),
    ...Object.fromEntries(needed.map((service) => [variableOf(service), address(service)])),
  };
}

/** Services that run together in one process, from their start to their stop. */
export type Composition = {
  /** Starts a service. Rejects when it cannot start. */
  start<Name extends ServiceName>(name: Name): Promise<RunningOf<Name>>;
  /**
   * Stops a running service: its calls and runs may finish for `graceMs` milliseconds. Does nothing for a
   * service that does not run.
   */
  stop(name: ServiceName, graceMs: number): Promise<void>;
  /**
   * Stops all started services in reverse order of their start: new requests are refused, runs may finish for
   * `graceMs` milliseconds, then workers stop, then all other services.
   */
  drain(graceMs: number): Promise<void>;
};

/** Prepares a composition in which no service is started yet. */
export function compose(
  site: EmbeddedSite,
  settings: Settings,
  logFor: (service: ServiceName) => Log,
): Composition {
  const running = new Map<ServiceName, RunningOf<ServiceName>>();
  const stop = async (name: ServiceName, graceMs: number) => {
    const service = running.get(name);
    running.delete(name);
    await service?.drain(graceMs);
  };
  return {
    async start<Name extends ServiceName>(name: Name): Promise<RunningOf<Name>> {
      const service = SERVICES[name] as EmbeddedService<SettingsOf<Name>>;
      const hosted = [...running.values()].flatMap(({ registry }) => registry ?? []);
      const started = (await service.start(site, settings[name], logFor(name), hosted)) as RunningOf<Name>;
      running.set(name, started);
      return started;
    },
    stop,
    async drain(graceMs) {
      for (const name of START_ORDER.toReversed()) await stop(name, graceMs);
    },
  };
}

function inOrder(): ServiceName[] {
  const ordered = new Set<ServiceName>();
  const add = (name: ServiceName) => {
    for (const needed of SERVICES[name].needs as readonly ServiceName[]) add(needed);
    ordered.add(name);
  };
  for (const name of Object.keys(SERVICES) as ServiceName[]) add(name);
  return [...ordered];
}
