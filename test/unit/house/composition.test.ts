import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { readEnvironment } from "#common/service/environment.ts";
import {
  readSettings,
  SERVICES,
  type ServiceName,
  START_ORDER,
  wiringOf,
} from "../../../services/composition.ts";

const COMPOSE = join(import.meta.dirname, "..", "..", "..", "docker-compose.yml");
const services: Record<string, { environment?: Record<string, string> } | undefined> = parse(
  readFileSync(COMPOSE, "utf8"),
  { merge: true },
).services;

describe("services/composition.ts", () => {
  it("services/composition.ts starts every service after the services that it needs", () => {
    expect(START_ORDER.toSorted()).toEqual(Object.keys(SERVICES).sort());
    for (const name of START_ORDER)
      for (const needed of SERVICES[name].needs as readonly ServiceName[])
        expect(START_ORDER.indexOf(needed), `${name} needs ${needed}`).toBeLessThan(
          START_ORDER.indexOf(name),
        );
  });

  it("services/composition.ts gives a service its own address and those of the services that it needs, and no other", () => {
    expect(wiringOf("router", (name) => `at-${name}`)).toEqual({
      AIRLOCK_LISTEN: "at-router",
      AIRLOCK_POOL_MANAGER_ADDRESS: "at-pool-manager",
      AIRLOCK_SANITIZER_ADDRESS: "at-sanitizer",
      AIRLOCK_EGRESS_ADDRESS: "at-egress",
      AIRLOCK_AUTHORITY_ADDRESS: "at-authority",
    });
    expect(Object.keys(wiringOf("gateway", () => ""))).not.toContain("AIRLOCK_LISTEN");
  });

  it("services/composition.ts reads the settings of all services together, with every problem", () => {
    const read = readEnvironment({ AIRLOCK_PORT: "many", AIRLOCK_QUEUE: "none", AIRLOCK_DRIVER: "podman" });
    readSettings(read, { dataDirectory: "/data", isMock: false });
    for (const name of ["AIRLOCK_PORT", "AIRLOCK_QUEUE", "AIRLOCK_DRIVER must be one of process, docker"])
      expect(() => read.check()).toThrow(name);
  });
});

describe("docker-compose.yml", () => {
  it.each(START_ORDER)(
    "docker-compose.yml gives %s the addresses of exactly the services that it needs",
    (name) => {
      const told = Object.keys(services[name]?.environment ?? {}).filter((key) => key.endsWith("_ADDRESS"));
      const needed = Object.keys(wiringOf(name, () => "")).filter((key) => key.endsWith("_ADDRESS"));
      expect(told.sort()).toEqual(needed.sort());
    },
  );
});
