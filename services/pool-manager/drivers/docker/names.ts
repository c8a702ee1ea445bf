import { createHash } from "node:crypto";

/** What this deployment's containers, networks and images carry: by these they are found again. */
export const LABEL = {
  deployment: "airlock.deployment",
  project: "airlock.project",
  worker: "airlock.worker",
  /** Changes when a container would be made differently today. */
  revision: "airlock.revision",
  /** Of a volume: the pool-manager that it announces. */
  owner: "airlock.pool-manager",
} as const;

export const DEPLOYMENT_NAME = /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/;

export type DeploymentNames = ReturnType<typeof namesOf>;

/** Everything of one deployment is named by it, so that several can share an engine. */
export function namesOf(deployment: string) {
  return {
    deployment,
    container: (workerId: string) => `airlock-${deployment}-${workerId}`,
    owner: (id: string) => `airlock-${deployment}-pool-manager-${id}`,
    network: (project: string) => `airlock-${deployment}-${project}`,
    /** An interface's name has at most 15 characters; all begin alike, so that one firewall rule fits them. */
    bridge: (project: string) => `airlock${digest(`${deployment}/${project}`).slice(0, 8)}`,
    image: (project: string, tag: string) => `airlock-${deployment}/${project}:${tag}`,
    labels: (project: string) => ({ [LABEL.deployment]: deployment, [LABEL.project]: project }),
    /** Finds what is this deployment's, or one project's of it. */
    filter: (project?: string) => ({
      label: [
        `${LABEL.deployment}=${deployment}`,
        ...(project === undefined ? [] : [`${LABEL.project}=${project}`]),
      ],
    }),
  };
}

/** The name of a deployment that was given none: that of its data directory. */
export function deploymentOf(dataDirectory: string): string {
  return digest(dataDirectory).slice(0, 12);
}

export function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
