import type { EmbeddedPlace, EmbeddedService, EmbeddedSite } from "#common/service/embedded.ts";
import type { EnvironmentReader } from "#common/service/environment.ts";
import type { Log } from "#common/service/log.ts";
import { gateway } from "../gateway/embedded.ts";
import { egress } from "./egress/embedded.ts";
import { poolManager } from "./pool-manager/embedded.ts";
import { router } from "./router/embedded.ts";
import { sanitizer } from "./sanitizer/embedded.ts";
import { secrets } from "./secrets/embedded.ts";

/** Every service of Airlock. A new one is added here, in docker-compose.yml, and nowhere else. */
export const SERVICES = {
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

/** What an operator may choose, by service. */
export type Settings = { readonly [Name in ServiceName]: SettingsOf<Name> };

/** All names, each behind the services that it needs. */
export const START_ORDER: readonly ServiceName[] = inOrder();

/** Reads the variables of all services; the problems stay with `read`. */
export function readSettings(read: EnvironmentReader, place: EmbeddedPlace): Settings {
  const entries = START_ORDER.map((name) => [name, SERVICES[name].readSettings(read, place)]);
  return Object.fromEntries(entries) as Settings;
}

/**
 * The variables that tell a service of its own where it listens and where the services that it calls are. `address` is asked for the
 * service itself and for each that it needs. The gateway listens on a port for REST, which is no part of this.
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

/** Services of one process, on the way from their start to their end. */
export type Composition = {
  /** Rejects when the service cannot start. */
  start<Name extends ServiceName>(name: Name): Promise<RunningOf<Name>>;
  /** Ends a service that runs; one that does not is left alone. */
  stop(name: ServiceName, graceMs: number): Promise<void>;
  /** Ends from the outside in what was started: no new requests, runs finish for `graceMs`, then workers, then the rest. */
  drain(graceMs: number): Promise<void>;
};

/** Nothing is started yet. */
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
