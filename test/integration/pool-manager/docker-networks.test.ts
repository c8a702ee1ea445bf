import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createCallers } from "../../../services/pool-manager/drivers/docker/callers.ts";
import { openEngine } from "../../../services/pool-manager/drivers/docker/engine.ts";
import { namesOf } from "../../../services/pool-manager/drivers/docker/names.ts";
import { createNetworks, type Networks } from "../../../services/pool-manager/drivers/docker/network.ts";
import { describeWithEngine, docker, removeDeployment } from "../../harness/docker/classes.ts";

const LINGER_MS = 300;
const CALLER = "airlock-test-caller";
// A network of the test's own, because engines of other tests may remove the default bridge of this machine.
const CALLERS_NETWORK = `airlock-test-callers-${process.pid}`;
const names = namesOf(`networks-${process.pid}`);
const log = pino({ level: "silent" });
const ENGINE_CALLS = { timeout: 60_000 };

await describeWithEngine("the network of a project", "runc", () => {
  let networks: Networks;
  const containers: string[] = [];

  const start = () => {
    const engine = openEngine();
    networks = createNetworks(
      engine,
      names,
      log,
      createCallers(engine, `${CALLER}=${process.pid}`, log),
      LINGER_MS,
    );
  };
  const container = async (network: string, labels: Record<string, string>) => {
    const made = await docker.createContainer({
      ...{ Image: "python:3.12-slim", Cmd: ["sleep", "600"], Labels: labels },
      HostConfig: { NetworkMode: network, Init: true },
    });
    containers.push(made.id);
    await made.start();
    return made.id;
  };
  const remove = async (id: string) => {
    containers.splice(containers.indexOf(id), 1);
    await docker.getContainer(id).remove({ force: true });
  };
  const caller = (network = "none") => container(network, { [CALLER]: String(process.pid) });
  const membersOf = async (network: string) => {
    const { Containers } = (await docker.getNetwork(network).inspect()) as { Containers: object };
    return Object.keys(Containers).sort();
  };
  beforeEach(async () => {
    await docker.createNetwork({ Name: CALLERS_NETWORK, Internal: true });
  });
  afterEach(async () => {
    await networks.close();
    await Promise.all([...containers].map(remove));
    await docker.getNetwork(CALLERS_NETWORK).remove();
    await removeDeployment(names.deployment);
  });

  it(
    "the network of a project stays for the workers that hold it when a further one failed, and goes with the last",
    ENGINE_CALLS,
    async () => {
      start();
      const router = await caller(CALLERS_NETWORK);
      const id = await networks.hold("demo");
      // A container in the host's network, which the engine refuses to connect to another network.
      const odd = await caller("host");
      await expect(networks.hold("demo")).rejects.toThrow();
      await remove(odd);
      expect(await networks.hold("demo")).toBe(id);
      networks.release("demo");
      await sleep(3 * LINGER_MS);
      expect(await membersOf(id)).toEqual([router]);
      networks.release("demo");
      await expect.poll(() => membersOf(id).catch(() => "gone")).toBe("gone");
    },
  );

  it(
    "the network of a project that cannot be removed, because a container lives in it, keeps its callers",
    ENGINE_CALLS,
    async () => {
      start();
      const router = await caller(CALLERS_NETWORK);
      const id = await networks.hold("demo");
      const other = await container(id, {});
      networks.release("demo");
      await sleep(6 * LINGER_MS);
      await expect.poll(() => membersOf(id)).toEqual([router, other].sort());
    },
  );
});
