import { createHash } from "node:crypto";

/** Labels of this deployment's containers, networks and images, by which they are found again. */
export const LABEL = {
  deployment: "airlock.deployment",
  project: "airlock.project",
  worker: "airlock.worker",
  /** A hash on a container, which differs when the container would be made differently today. */
  revision: "airlock.revision",
  /** The pool-manager that a volume announces. */
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
     * The name of a network interface has at most 15 characters. All begin alike, so that one firewall rule
     * matches them.
     */
    bridge: (project: string) => `airlock${digest(`${deployment}/${project}`).slice(0, 8)}`,
    image: (project: string, tag: string) => `airlock-${deployment}/${project}:${tag}`,
    labels: (project: string) => ({ [LABEL.deployment]: deployment, [LABEL.project]: project }),
    /** Finds the objects of this deployment, or of one project in it. */
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
