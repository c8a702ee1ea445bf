import type Docker from "dockerode";
import type { Log } from "#common/service/log.ts";
import { ask, refusedWith, unlessGone } from "./engine.ts";

/**
 * The services that dial workers and run in containers: routers, egress services, this pool-manager. Each of
 * them is put into every project's network, also when it starts later.
 */
export type Callers = {
  /** Puts all callers into the network, and from then on new callers too. */
  join(networkId: string): Promise<void>;
  /** Takes all callers out of the network, so that it can be removed. */
  leave(networkId: string): Promise<void>;
  close(): void;
};

// The interval of the look for new callers. A replica that has just started gets its first execution later
// than this.
const LOOK_EVERY_MS = 1_000;

/** `label` (`name=value`) marks the containers of callers. */
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
    // Without a network, there is nothing to look for until the next `join`.
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
    // The container is in the network already, or was stopped at this moment.
    const status = refusedWith(error);
    if (status !== 403 && status !== 404 && status !== 409) throw error;
  }
}
