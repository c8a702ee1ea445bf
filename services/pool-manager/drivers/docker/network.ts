import type Docker from "dockerode";
import { AirlockError } from "#common/errors.ts";
import type { Log } from "#common/service/log.ts";
import type { Callers } from "./callers.ts";
import { ask, refusedWith, unlessGone } from "./engine.ts";
import type { DeploymentNames } from "./names.ts";

/**
 * One internal Docker network per project, in which callers (routers, egress services) connect to the
 * project's workers. A worker reaches no address outside of its network. Workers reach each other only when
 * the callers are containers in the network.
 */
export type Networks = {
  /**
   * Resolves to the id of the project's network, which is made when there is none. The network stays until
   * `release` was called as often as `hold`, and 5 s longer.
   */
  hold(project: string): Promise<string>;
  /** Ends one `hold` of the project's network. */
  release(project: string): void;
  /** Removes the networks of this deployment that are not held. */
  sweep(): Promise<void>;
  /** Removes all networks of this deployment in which no worker runs; called when the pool-manager stops. */
  close(): Promise<void>;
};

// Milliseconds that a network stays without workers, so that it survives the replacement of its last worker.
const LINGER_MS = 5_000;

type Held = {
  /** The id of the network; undefined until the engine is asked for it. */
  id: Promise<string> | undefined;
  /** How many calls of `hold` have not been ended by `release`. */
  holders: number;
  /** The timer that removes the network; set when the last holder has released it. */
  removal?: NodeJS.Timeout;
};

/**
 * `callers`: the services in containers, which are put into each network; undefined when all services run on
 * the host. Containers of a network can reach each other only when `callers` is given.
 */
export function createNetworks(
  docker: Docker,
  names: DeploymentNames,
  log: Log,
  callers?: Callers,
  lingerMs = LINGER_MS,
): Networks {
  const removals = new Map<string, Promise<void>>();
  const held = new Map<string, Held>();

  const find = async (project: string) => {
    const filters = { ...names.filter(project), name: [names.network(project)] };
    const found = await ask((abortSignal) => docker.listNetworks({ filters, abortSignal }));
    return found.find(({ Name }) => Name === names.network(project))?.Id;
  };

  const make = async (project: string) => {
    const options = networkOptions(names, project, callers !== undefined);
    try {
      return (await ask((abortSignal) => docker.createNetwork({ ...options, abortSignal }))).id;
    } catch (error) {
      const taken =
        refusedWith(error) === 409 || /already exists/.test((error as AirlockError).logDetail ?? "");
      const id = taken ? await find(project) : undefined;
      if (id !== undefined) return id;
      if (!taken) throw error;
      throw new AirlockError(
        "start_failed",
        `The Docker network ${names.network(project)} exists and is not Airlock's; the operator removes it.`,
        { cause: error },
      );
    }
  };

  const remove = async (id: string) => {
    const network = docker.getNetwork(id);
    try {
      await callers?.leave(id);
      await unlessGone(ask((abortSignal) => network.remove({ abortSignal })));
    } catch (error) {
      log.warn({ err: error, network: id }, "a network could not be removed");
      // A container still runs in the network, perhaps a worker of this deployment, so the callers are put
      // back.
      await callers
        ?.join(id)
        .catch((cause: unknown) => log.warn({ err: cause, network: id }, "a network has lost its callers"));
    }
  };

  const drop = async (project: string) => {
    const entry = held.get(project);
    if (!entry) return;
    clearTimeout(entry.removal);
    held.delete(project);
    const id = entry.id ?? find(project);
    const removal = id
      .then((known) => (known === undefined ? undefined : remove(known)))
      .catch(() => undefined)
      .finally(() => removals.delete(project));
    removals.set(project, removal);
    await removal;
  };

  /**
   * Removes the project's network unless a worker runs in it. The engine is asked, because it may know before
   * this process that the last worker has ended.
   */
  const dropUnlessNeeded = async (project: string) => {
    const filters = names.filter(project);
    const workers = await ask((abortSignal) => docker.listContainers({ filters, abortSignal })).catch(
      () => [],
    );
    if (workers.length === 0) await drop(project);
  };

  const letGo = (project: string, entry: Held) => {
    entry.holders = Math.max(0, entry.holders - 1);
    if (entry.holders > 0) return;
    clearTimeout(entry.removal);
    entry.removal = setTimeout(() => void drop(project), lingerMs).unref();
  };

  /** The id of a held network. A network that was removed by hand is made again. */
  const there = async (project: string, entry: Held): Promise<string> => {
    entry.id ??= find(project).then((id) => id ?? make(project));
    const looked = entry.id;
    try {
      const known = await looked;
      const isThere = await unlessGone(ask(() => docker.getNetwork(known).inspect()));
      // When several holders (starts of workers) miss the network at the same time, only one of them makes
      // it.
      if (!isThere && entry.id === looked) entry.id = make(project);
      return await (entry.id ?? looked);
    } catch (error) {
      entry.id = undefined;
      throw error;
    }
  };

  const sweep = async () => {
    const found = await ask((abortSignal) => docker.listNetworks({ filters: names.filter(), abortSignal }));
    const inUse = await Promise.all([...held.values()].map(({ id }) => id?.catch(() => "")));
    await Promise.all(found.filter(({ Id }) => !inUse.includes(Id)).map(({ Id }) => remove(Id)));
  };

  return {
    sweep,
    async hold(project) {
      await removals.get(project);
      const entry = held.get(project) ?? { id: undefined, holders: 0 };
      held.set(project, entry);
      clearTimeout(entry.removal);
      entry.holders++;
      try {
        const id = await there(project, entry);
        await callers?.join(id);
        return id;
      } catch (error) {
        // Only this hold is ended, because other workers may still need the network.
        letGo(project, entry);
        throw error;
      }
    },
    release(project) {
      const entry = held.get(project);
      if (entry) letGo(project, entry);
    },
    async close() {
      await Promise.all([...held.keys()].map(dropUnlessNeeded));
      // The sweep finds networks that an unreachable engine made without answering, or failed to remove.
      await sweep().catch((error: unknown) => log.warn({ err: error }, "networks could not be listed"));
      callers?.close();
    },
  };
}

function networkOptions(
  names: DeploymentNames,
  project: string,
  hasCallers: boolean,
): Docker.NetworkCreateOptions {
  return {
    Name: names.network(project),
    Driver: "bridge",
    // No traffic is routed out of the network, or into it from outside this machine.
    Internal: true,
    CheckDuplicate: true,
    Labels: names.labels(project),
    Options: {
      "com.docker.network.bridge.name": names.bridge(project),
      // Containers of the network cannot reach each other, unless services that call workers are containers
      // in the network too.
      "com.docker.network.bridge.enable_icc": String(hasCallers),
      "com.docker.network.bridge.enable_ip_masquerade": "false",
    },
  };
}
