import type Docker from "dockerode";
import { AirlockError } from "#common/errors.ts";
import type { Log } from "#common/service/log.ts";
import type { Callers } from "./callers.ts";
import { ask, refusedWith, unlessGone } from "./engine.ts";
import type { DeploymentNames } from "./names.ts";

/** One internal network per project: its workers reach neither each other nor anything else, and are dialled only. */
export type Networks = {
  /** The id of the project's network, which is made when there is none; it stays until as many `release` as `hold`. */
  hold(project: string): Promise<string>;
  release(project: string): void;
  /** Removes those that nobody holds. */
  sweep(): Promise<void>;
  /** Removes all of them. */
  close(): Promise<void>;
};

// A worker that is replaced does not cost its project the network.
const LINGER_MS = 5_000;

type Held = {
  /** Undefined: it has to be looked for. */
  id: Promise<string> | undefined;
  holders: number;
  removal?: NodeJS.Timeout;
};

/** `callers` are put into each network: between its containers there is a way then, which is shut otherwise. */
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
        `A Docker network ${names.network(project)} is there that is not Airlock's; the operator removes it.`,
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
      // A container lives in it, perhaps one of ours: it goes on being called.
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

  /** Drops the project's network unless a worker lives on in it. The engine may know first that the last one has gone. */
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

  /** The id of the network that is held, made anew where it was removed by hand since. */
  const there = async (project: string, entry: Held): Promise<string> => {
    entry.id ??= find(project).then((id) => id ?? make(project));
    const looked = entry.id;
    try {
      const known = await looked;
      const isThere = await unlessGone(ask(() => docker.getNetwork(known).inspect()));
      // Of holders that miss it at the same time one makes it.
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
        // Others may hold it all the same.
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
      // One that the engine made without saying so, or did not remove while it was away.
      await sweep().catch((error: unknown) => log.warn({ err: error }, "networks could not be looked for"));
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
    // Nothing is routed out of it, or into it from elsewhere than this machine.
    Internal: true,
    CheckDuplicate: true,
    Labels: names.labels(project),
    Options: {
      "com.docker.network.bridge.name": names.bridge(project),
      // Between the workers of a project: nothing, unless who dials them is a container among them.
      "com.docker.network.bridge.enable_icc": String(hasCallers),
      "com.docker.network.bridge.enable_ip_masquerade": "false",
    },
  };
}
