import { createHash } from "node:crypto";

/**
 * Docker labels of this deployment's containers, networks and images, by which a later pool-manager finds
 * them.
 */
export const LABEL = {
  deployment: "airlock.deployment",
  project: "airlock.project",
  worker: "airlock.worker",
  /**
   * On a container: a hash of its options, which differs from a new hash when the container would be made
   * differently today.
   */
  revision: "airlock.revision",
  /**
   * On a volume: the identity of the pool-manager that announces itself with this volume (owner.ts), as JSON.
   */
  owner: "airlock.pool-manager",
} as const;

export const DEPLOYMENT_NAME = /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/;

export type DeploymentNames = ReturnType<typeof namesOf>;

/**
 * The names of a deployment's objects. Each contains the deployment's name, so that several deployments can
 * share an engine.
 */
export function namesOf(deployment: string) {
  return {
    deployment,
    container: (workerId: string) => `airlock-${deployment}-${workerId}`,
    owner: (id: string) => `airlock-${deployment}-pool-manager-${id}`,
    network: (project: string) => `airlock-${deployment}-${project}`,
    /**
     * The name of the network's interface on the machine. The name ends with a hash, because it has at most
     * 15 characters. All names begin with `airlock`, so that one firewall rule matches them.
     */
    bridge: (project: string) => `airlock${digest(`${deployment}/${project}`).slice(0, 8)}`,
    image: (project: string, tag: string) => `airlock-${deployment}/${project}:${tag}`,
    labels: (project: string) => ({ [LABEL.deployment]: deployment, [LABEL.project]: project }),
    /**
     * The engine's filter for the containers, networks or images of this deployment, or of one project in it.
     */
    filter: (project?: string) => ({
      label: [
        `${LABEL.deployment}=${deployment}`,
        ...(project === undefined ? [] : [`${LABEL.project}=${project}`]),
      ],
    }),
  };
}

/** The default name of a deployment, made from the path of its data directory. */
export function deploymentOf(dataDirectory: string): string {
  return digest(dataDirectory).slice(0, 12);
}

export function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
