import type Docker from "dockerode";
import type { Log } from "#common/service/log.ts";
import { ask, refusedWith, unlessGone } from "./engine.ts";

/**
 * The services that connect to workers and run in containers: routers, egress services, this pool-manager.
 * Each container of theirs is put into every project's Docker network, also one that starts later.
 */
export type Callers = {
  /**
   * Puts the containers of all callers into the network. Until `leave`, new callers are put into the network
   * too.
   */
  join(networkId: string): Promise<void>;
  /** Takes all callers out of the network, because Docker removes no network that has containers in it. */
  leave(networkId: string): Promise<void>;
  /** Ends the search for new callers. Callers stay in their networks. */
  close(): void;
};

// Milliseconds between two searches for new callers. A router that has just started gets its first execution
// later than this, so it is in the networks by then.
const LOOK_EVERY_MS = 1_000;

/** `label` (`name=value`): the Docker label by which the containers of callers are found. */
export function createCallers(docker: Docker, label: string, log: Log): Callers {
  const joined = new Set<string>();
  let timer: NodeJS.Timeout | undefined;

  const running = () =>
    ask((abortSignal) => docker.listContainers({ filters: { label: [label] }, abortSignal }));

  const joinAll = async (networkIds: readonly string[]) => {
    const callers = await running();
    await Promise.all(
      networkIds.flatMap((networkId) =>
        callers
          .filter(({ NetworkSettings }) => !isIn(NetworkSettings, networkId))
          .map(({ Id }) => connect(docker, networkId, Id)),
      ),
    );
  };

  const look = async () => {
    try {
      await joinAll([...joined]);
    } catch (error) {
      log.warn({ err: error }, "a service could not be put into a project's network");
    }
    // While no project has a network, new callers are not searched for. The next `join` begins the search
    // again.
    timer = joined.size > 0 ? setTimeout(() => void look(), LOOK_EVERY_MS).unref() : undefined;
  };

  return {
    async join(networkId) {
      await joinAll([networkId]);
      joined.add(networkId);
      timer ??= setTimeout(() => void look(), LOOK_EVERY_MS).unref();
    },
    async leave(networkId) {
      joined.delete(networkId);
      const callers = (await running()).filter(({ NetworkSettings }) => isIn(NetworkSettings, networkId));
      const network = docker.getNetwork(networkId);
      await Promise.all(
        callers.map(({ Id }) =>
          unlessGone(ask((abortSignal) => network.disconnect({ Container: Id, Force: true, abortSignal }))),
        ),
      );
    },
    close() {
      clearTimeout(timer);
      joined.clear();
    },
  };
}

function isIn(settings: Docker.ContainerInfo["NetworkSettings"], networkId: string): boolean {
  return Object.values(settings.Networks).some(({ NetworkID }) => NetworkID === networkId);
}

async function connect(docker: Docker, networkId: string, containerId: string): Promise<void> {
  try {
    const network = docker.getNetwork(networkId);
    await ask(() => network.connect({ Container: containerId }));
  } catch (error) {
    // These refusals are ignored: the container is in the network already, or was stopped at this moment.
    const status = refusedWith(error);
    if (status !== 403 && status !== 404 && status !== 409) throw error;
  }
}
